"""Sends Redis the ledger's offsets, so that the log is trimmed and takes entries again after it was full.

It sends them after new rows, when a partition is taken, and from time to time for all partitions. So an offset that
Redis refused does not wait for new rows, which a full log does not take.
"""

from collections.abc import Collection, Mapping
from time import monotonic

import structlog

from ..drivers.redis import RedisConnection, is_loss
from ..metrics import FLUSHES_REFUSED
from ..store.capacity import Capacity
from ..store.partitions import advance_flushed_call
from .lease import Lease

log = structlog.get_logger()

#: Seconds after which the offsets of all partitions are sent again: a refused offset delays writers no longer than
#: that.
SEND_ALL_S = 1.0


class Flusher:
    """Sends the offsets of one persister. `link` has advance_flushed.lua; tail_s: how long a log keeps entries that the
    ledger has, where there is room for them."""

    def __init__(self, link: RedisConnection, tail_s: float, capacity: Capacity) -> None:
        self._link = link
        self._capacity = capacity
        self._tail_s = tail_s
        self._all_sent_s = 0.0
        self._refused: set[int] = set()

    async def send_offsets(self, leases: Mapping[int, Lease], fresh: Collection[int]) -> None:
        """Sends the offsets of partitions with new rows, and from time to time those of all. A refusal is logged once,
        and the offset is sent again later. Raises what a single Redis raises; a lost node of a cluster keeps no
        other from its offsets. O(partitions)."""
        due: Collection[int] = fresh
        if monotonic() - self._all_sent_s >= SEND_ALL_S:
            due, self._all_sent_s = list(leases), monotonic()
        targets = {p: leases[p] for p in due if p in leases and leases[p].checked}
        if not targets:
            return
        calls = [
            advance_flushed_call(
                p,
                (lease.offset.epoch, lease.offset.seq),
                lease.tail_begin(self._tail_s),
                self._capacity.log_length(p),
            )
            for p, lease in targets.items()
        ]
        for (p, lease), reply in zip(targets.items(), await self._link.run_apart(calls), strict=True):
            if is_loss(reply):
                continue  # its node is away; the offset is sent again later
            if isinstance(reply, Exception):
                self._refuse(p, str(reply))
                continue
            self._refused.discard(p)
            if reply == 0:
                # Redis is at another place than the ledger: the log is compared again before anything else is read.
                lease.checked = False

    def _refuse(self, p: int, error: str) -> None:
        FLUSHES_REFUSED.inc()
        if p not in self._refused:
            log.warning("redis refuses to note how far the ledger is", partition=p, error=error)
        self._refused.add(p)

"""Telling Redis how far the ledger is, so that the log is trimmed and takes entries again after it was full.

It is told with every new row, when a partition is taken, and again and again while it is held: a telling that was
refused must not wait for new rows, for a full log takes none.
"""

from collections.abc import Collection, Mapping
from time import monotonic

import structlog

from ..drivers.redis import RedisConnection
from ..metrics import FLUSHES_REFUSED
from ..store.partitions import advance_flushed_call
from .lease import Lease

log = structlog.get_logger()

#: Seconds after which a partition without new rows is told again: a refused telling costs writers no more than that.
TELL_S = 1.0


class Flusher:
    """One persister's tellings. `link` knows advance_flushed.lua; tail_s: how long a log keeps what the
    ledger holds."""

    def __init__(self, link: RedisConnection, tail_s: float) -> None:
        self._link = link
        self._tail_s = tail_s
        self._all_sent_s = 0.0
        self._refused: set[int] = set()

    async def tell(self, leases: Mapping[int, Lease], fresh: Collection[int]) -> None:
        """Tells the offsets of partitions with new rows, from time to time those of all. A refusal is logged, once, and
        told again later; what the link raises is raised. O(partitions)."""
        due: Collection[int] = fresh
        if monotonic() - self._all_sent_s >= TELL_S:
            due, self._all_sent_s = list(leases), monotonic()
        targets = {p: leases[p] for p in due if p in leases and leases[p].checked}
        if not targets:
            return
        calls = [
            advance_flushed_call(p, (lease.offset.epoch, lease.offset.seq), lease.tail_begin(self._tail_s))
            for p, lease in targets.items()
        ]
        for (p, lease), reply in zip(targets.items(), await self._link.run(calls), strict=True):
            if isinstance(reply, Exception):
                self._refuse(p, str(reply))
                continue
            self._refused.discard(p)
            if reply == 0:
                # Redis is not where the ledger is: the log is compared with it anew before anything else is read.
                lease.checked = False

    def _refuse(self, p: int, error: str) -> None:
        FLUSHES_REFUSED.inc()
        if p not in self._refused:
            log.warning("redis refuses to note how far the ledger is", partition=p, error=error)
        self._refused.add(p)

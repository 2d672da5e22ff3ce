"""Sends Redis the ledger's offsets, so that the log is trimmed and takes entries again after it was full.

It sends them after new rows, when a partition is taken, and from time to time for all partitions. So an offset that
Redis refused does not wait for new rows, which a full log does not take.
"""

import asyncio
from collections.abc import Collection, Mapping
from time import monotonic

import structlog

from ..drivers.redis import REDIS_ERRORS, RedisConnection, is_elsewhere
from ..metrics import FLUSHES_REFUSED
from ..store.capacity import Capacity
from ..store.nodes import PartitionNodes
from ..store.partitions import advance_flushed_call
from ..task_end import end_all
from .lease import Lease

log = structlog.get_logger()

#: Seconds after which the offsets of all partitions are sent again: a refused offset delays writers no longer than
#: that.
SEND_ALL_S = 1.0
#: Seconds for which the ledger waits for replies: a node that hangs gets its next offsets when it has answered, or was
#: given up.
REPLY_S_MAX = 0.25


class Flusher:
    """Sends the offsets of one persister. `link` has advance_flushed.lua; tail_s: how long a log keeps entries that the
    ledger has, where there is room for them."""

    def __init__(self, link: RedisConnection, tail_s: float, capacity: Capacity) -> None:
        self._link = link
        self._nodes = PartitionNodes(link)
        self._sends: dict[str, asyncio.Task[None]] = {}
        self._capacity = capacity
        self._tail_s = tail_s
        self._all_sent_s = 0.0
        self._refused: set[int] = set()

    async def send_offsets(self, leases: Mapping[int, Lease], fresh: Collection[int]) -> None:
        """Sends the offsets of partitions with new rows, and from time to time those of all, to each node by itself. A
        refusal is logged once, and the offset is sent again later. Raises what a single Redis raises; a node of a
        cluster that is lost or hangs keeps no other from its offsets. O(partitions)."""
        due: Collection[int] = fresh
        if monotonic() - self._all_sent_s >= SEND_ALL_S:
            due, self._all_sent_s = list(leases), monotonic()
        by_node: dict[str, dict[int, Lease]] = {}
        for p in due:
            if p in leases and leases[p].checked:
                by_node.setdefault(self._nodes.of(p), {})[p] = leases[p]
        began = []
        for name, targets in by_node.items():
            if name not in self._sends:
                self._sends[name] = asyncio.create_task(self._send(name, targets))
                began.append(self._sends[name])
        if began:
            await asyncio.wait(began, timeout=REPLY_S_MAX)
        for name in [name for name, task in self._sends.items() if task.done()]:
            self._sends.pop(name).result()

    async def cancel(self) -> None:
        """Ends what is under way."""
        sends, self._sends = self._sends, {}
        await end_all(sends.values())

    async def _send(self, name: str, targets: Mapping[int, Lease]) -> None:
        calls = [
            advance_flushed_call(
                p,
                (lease.offset.epoch, lease.offset.seq),
                lease.tail_begin(self._tail_s),
                self._capacity.log_length(p),
            )
            for p, lease in targets.items()
        ]
        try:
            replies = await self._nodes.link(name).run(calls)
        except REDIS_ERRORS:
            if not self._link.is_cluster:
                raise
            self._nodes.doubt()
            return  # the offsets are sent again later
        for (p, lease), reply in zip(targets.items(), replies, strict=True):
            if is_elsewhere(reply):
                self._nodes.doubt()
                continue
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

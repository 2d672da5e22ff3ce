"""Reads the logs of a persister's partitions, those of each node of Redis by themselves: one that is away delays no
other."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ..drivers.redis import REDIS_ERRORS, NodeConnection, RedisConnection, RedisRefused, is_elsewhere
from ..store import keys
from ..store.apply import ELSEWHERE, CallRefused
from ..store.ledger_offset import LedgerOffset
from ..store.log import digest_in, entry_call, first_entry_call, follow_call
from ..store.nodes import PartitionNodes
from ..store.partitions import Renew, read_marked_heads
from ..task_end import end_all
from .faults import LEDGER, LOG, Faults, WorkUnit
from .lease import Lease
from .ledger_row import LedgerRow, read_row
from .maintenance import log_loss

#: Milliseconds that a read of a single Redis waits there for a new entry; then the pass goes on with its other work.
BLOCK_MS = 1_000
#: Seconds between two reads of a cluster's node without new entries: a call that waits reads one slot alone.
POLL_S = 0.05
#: Seconds for a read, beside what it waits for new entries.
READ_S_MAX = 5.0
#: Seconds for which a node of a cluster rests that was lost: its replica is promoted meanwhile.
NODE_PAUSE_S = 0.5
#: Rows of one transaction: less than a second of Postgres.
ROWS_MAX = 10_000
#: Seconds that a transaction with few rows waits for more, because a transaction costs as much as 50 rows. An idle
#: ledger adds no wait.
LINGER_S = 0.05
ROWS_WORTH_IT = 1_000
#: Seconds for which a persister without work rests; a partition may wait so long for its new persister.
IDLE_S = 0.2


class PartitionStopped(Exception):
    """A partition's log does not continue its ledger. Nothing more is written until an operator has looked at it."""


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows of one partition that follow its offset without gaps."""

    partition: int
    lease: Lease
    rows: list[LedgerRow]


class LogReader:
    """One persister's reads. leases: its partitions; stop: gives one up for a while, with the reason."""

    def __init__(
        self,
        link: RedisConnection,
        leases: Mapping[int, Lease],
        faults: Faults,
        stop: Callable[[int, Lease, str], None],
        renew_marks: Renew,
    ) -> None:
        self._renew_marks = renew_marks
        self._link = link
        self._nodes = PartitionNodes(link)
        self._leases = leases
        self._faults = faults
        self._stop = stop
        self._reads: dict[str, asyncio.Task[list[NewRows]]] = {}
        self._resting: dict[str, float] = {}
        self._busy: dict[str, int] = {}
        self._pause = 0.0

    async def read(self) -> list[NewRows]:
        """New entries of the logs, of those nodes that answer first; none after a while. The error of a single
        Redis."""
        await asyncio.sleep(self._pause)
        await self._nodes.learn()
        for name, leases in self._due().items():
            if name not in self._reads and self._resting.get(name, 0.0) <= monotonic():
                self._reads[name] = asyncio.create_task(self._read_node(name, leases))
        if not self._reads:
            await asyncio.sleep(IDLE_S)
            return []
        await asyncio.wait(self._reads.values(), return_when=asyncio.FIRST_COMPLETED)
        answers = [self._reads.pop(name) for name, task in list(self._reads.items()) if task.done()]
        reads = [read for task in answers for read in task.result()]
        self._pause = LINGER_S if 0 < sum(len(read.rows) for read in reads) < ROWS_WORTH_IT else 0.0
        return reads

    def doubt(self) -> None:
        """Another node may have a partition by now: a cluster's map is learned before the next read."""
        self._nodes.doubt()

    async def cancel(self) -> None:
        """Ends the reads under way."""
        reads, self._reads = self._reads, {}
        await end_all(reads.values())

    def _due(self) -> dict[str, dict[int, Lease]]:
        """The leases whose logs are to be read now, by node."""
        by_node: dict[str, dict[int, Lease]] = {}
        for p, lease in self._leases.items():
            if self._faults.is_due(WorkUnit(p, LEDGER)):
                by_node.setdefault(self._nodes.of(p), {})[p] = lease
        return by_node

    async def _read_node(self, name: str, leases: dict[int, Lease]) -> list[NewRows]:
        """The new entries of one node. One of a cluster that is lost has none for a while."""
        node = self._nodes.link(name)
        try:
            unchecked = {p: lease for p, lease in leases.items() if not lease.checked}
            if unchecked:
                await node.close()  # It may lead to a former primary.
            for p, lease in unchecked.items():
                await self._check(node, p, lease)
            checked = {p: lease for p, lease in leases.items() if lease.checked and self._leases.get(p) is lease}
            if not checked:
                await asyncio.sleep(IDLE_S)
                return []
            read = self._read_slots if self._link.is_cluster else self._read_all
            places = _places(checked)
            return self._new_rows(checked, places, await read(node, checked))
        except REDIS_ERRORS as error:
            if not self._link.is_cluster:
                raise
            log_loss("node of redis lost", error, node=name)
            self._nodes.doubt()
            self._resting[name] = monotonic() + NODE_PAUSE_S
            return []

    async def _read_all(self, node: NodeConnection, leases: dict[int, Lease]) -> dict[int, list[Any]]:
        """The new entries of a single Redis, which waits for some; by partition, of those that have any."""
        # COUNT applies to each log, so it is divided by the number of logs that had rows the last time.
        count = ROWS_MAX // max(1, self._busy.get("", 1))
        (reply,) = await node.run([follow_call(_places(leases), count, BLOCK_MS)], BLOCK_MS / 1000 + READ_S_MAX)
        if isinstance(reply, Exception):
            await self._stop_unreadable(node, leases, str(reply))
            return {}
        self._busy[""] = len(reply or ())
        logs = {keys.log(p): p for p in leases}
        return {logs[key.decode()]: raw for key, raw in reply or ()}

    async def _read_slots(self, node: NodeConnection, leases: dict[int, Lease]) -> dict[int, list[Any]]:
        """The new entries of a cluster's node: a call reads the log of one slot, and none waits."""
        name = next(map(self._nodes.of, leases))
        count = ROWS_MAX // max(1, self._busy.get(name, 1))
        calls = [follow_call({p: place}, count) for p, place in _places(leases).items()]
        entries: dict[int, list[Any]] = {}
        for (p, lease), reply in zip(leases.items(), await node.run(calls, READ_S_MAX), strict=True):
            if is_elsewhere(reply):
                self._nodes.doubt()
            elif isinstance(reply, Exception):
                self._stop(p, lease, f"the log cannot be read: {reply}")
            elif reply:
                entries[p] = reply[0][1]
        self._busy[name] = len(entries)
        if not entries:
            await asyncio.sleep(POLL_S)
        return entries

    def _new_rows(
        self, leases: dict[int, Lease], places: dict[int, tuple[int, int]], entries: dict[int, list[Any]]
    ) -> list[NewRows]:
        """The entries behind some places as rows; a partition whose log does not go on stops. While a partition moves,
        two nodes may have been asked for the same entries: then the later answer is dropped."""
        for p in leases.keys() - entries.keys():
            if self._leases.get(p) is leases[p]:  # else it has just stopped
                self._faults.clear(WorkUnit(p, LOG))
        reads = []
        for p, raw in entries.items():
            lease = leases[p]
            if (lease.read.epoch, lease.read.seq) != places[p]:
                continue
            try:
                rows = rows_behind(p, raw, lease.read)
            except PartitionStopped as error:
                self._stop(p, lease, str(error))
                continue
            lease.read = LedgerOffset(rows[-1].epoch, rows[-1].seq, rows[-1].digest)
            reads.append(NewRows(p, lease, rows))
        return reads

    async def _stop_unreadable(self, node: NodeConnection, leases: dict[int, Lease], reason: str) -> None:
        """Reads each log alone, and stops the partitions whose logs Redis refuses. RedisRefused if it refuses none."""
        replies = await node.run([first_entry_call(p) for p in leases])
        refused = {p: reply for p, reply in zip(leases, replies, strict=True) if isinstance(reply, Exception)}
        if not refused:
            raise RedisRefused(reason)
        for p, reply in refused.items():
            self._stop(p, leases[p], f"the log cannot be read: {reply}")

    async def _check(self, node: NodeConnection, p: int, lease: Lease) -> None:
        """Checks, before the first write of a session, that the log has the ledger's last entry."""
        offset = lease.offset
        try:
            (head,) = await read_marked_heads(node, [p], lambda: self._renew_marks(self._nodes.of(p)))
            if isinstance(head, CallRefused):
                raise head
            if head.epoch <= lease.fence_epoch:
                await node.close()
                raise ConnectionError(
                    f"partition {p} is in epoch {head.epoch}, which is over: a former primary answers"
                )
            if offset.seq:
                (reply,) = await node.run([entry_call(p, epoch=offset.epoch, seq=offset.seq)])
                if isinstance(reply, Exception):
                    raise PartitionStopped(f"the log cannot be read: {reply}")
                if digest_in(reply) != offset.digest:
                    raise PartitionStopped(f"the log does not hold {offset.epoch}-{offset.seq} as the ledger does")
            elif head.epoch < offset.epoch:
                raise PartitionStopped("the log is of an earlier epoch than the ledger")
            lease.checked = True
        except (CallRefused, PartitionStopped) as error:
            if isinstance(error, CallRefused) and error.code == ELSEWHERE:
                self._nodes.doubt()
            else:
                if not isinstance(error, CallRefused) or error.code != "closed":
                    await self._renew_marks(self._nodes.of(p))  # Writers learn of it, too.
                self._stop(p, lease, str(error))


def _places(leases: Mapping[int, Lease]) -> dict[int, tuple[int, int]]:
    return {p: (lease.read.epoch, lease.read.seq) for p, lease in leases.items()}


def rows_behind(p: int, raw: list[Any], offset: LedgerOffset) -> list[LedgerRow]:
    """The stream's entries as rows. PartitionStopped unless they follow the offset without gaps."""
    seq, rows = offset.seq, []
    for stream_id, fields in raw:
        row = read_row(p, stream_id, fields)
        seq += 1
        if row.seq != seq:
            raise PartitionStopped(f"the log goes on at {row.epoch}-{row.seq}, the ledger ends at seq {seq - 1}")
        rows.append(row)
    return rows

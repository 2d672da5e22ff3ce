"""The persister: follows the logs of the partitions it holds and writes them to the ledger, in order and once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import asyncpg
import structlog

from ..metrics import PERSIST_LAG, PERSISTED_ROWS
from ..settings import Settings
from ..store import keys
from ..store.apply import CallRefused
from ..store.changes import BUMP
from ..store.directory import PUBLISH
from ..store.partitions import read_head
from ..store.redis import LOST, Call, Link, Refused, evalsha
from ..store.scripts import Script, load
from ..store.veil import UNVEIL, VEIL
from .archive import ARCHIVE, Archivist
from .drift import Drift
from .drop import Dropper
from .ending import end
from .flush import FLUSH, Flusher
from .heal import heal
from .lease import Lease
from .people import People
from .row import Row, read_row
from .seal import Sealer
from .sink import Offset, Sink, Superseded

log = structlog.get_logger()

ROTATE = load("rotate")
SCRIPTS: Sequence[Script] = (FLUSH, ROTATE, PUBLISH, BUMP, VEIL, UNVEIL, ARCHIVE)

BLOCK_MS = 1_000
ROWS_MAX = 10_000
# A transaction costs as much as 50 rows: under steady writes the next one waits to be worth it; idle adds no wait.
LINGER_S = 0.05
ROWS_WORTH_IT = 1_000
ROWS_BUSY = 50
COUNT_S_MAX = 30.0
BALANCE_S = 1.0
PEOPLE_S = 0.25


class Stopped(Exception):
    """A partition whose log does not continue its ledger: nothing more is written until somebody has looked."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one partition that follow its offset without a gap."""

    partition: int
    lease: Lease
    rows: list[Row]


class Worker:
    """One persister process. Several share the partitions; the locks of a dead one fall to the others."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        log_link: Link,
        apply_link: Link,
        partitions: int,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._link = link
        self._log_link = log_link
        self._apply_link = apply_link
        self._partitions = partitions
        self._leases: dict[int, Lease] = {}
        self._stopped: dict[int, float] = {}
        self._released: set[int] = set()
        self._sink: Sink | None = None
        self._ahead: asyncio.Task[list[Batch]] | None = None
        self._busy = 1
        self._pause = 0.0
        self._balanced = 0.0
        self._chores = 0.0
        self._uncounted = 1
        self._counted = 0.0
        self._clock = clock
        self._sealer = Sealer()
        self._archivist = Archivist()
        self._flusher = Flusher(link, settings.log_tail_s)
        self._people = People(link, apply_link)
        self._looked = 0.0
        self._dropper = Dropper()
        self._drift = Drift(settings, self._leases)

    async def run(self) -> None:
        """Passes, for ever; whatever is lost is connected to again. Beside them it is looked for drift."""
        drift = asyncio.create_task(self._drift.run())
        try:
            await self._run()
        finally:
            await end(drift)

    async def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._pass()
                pause = 0.1
            except Superseded as error:
                log.warning("superseded", what=str(error))
                await self._drop()
            except (*LOST, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                log.warning("store lost", error=f"{type(error).__name__}: {error}")
                await self._drop()
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _drop(self) -> None:
        """Forgets every lease and whatever was read under it."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None
        if self._sink is not None:
            self._sink.terminate()
        self._sink = None
        self._leases.clear()
        self._tell_held()
        self._released.clear()
        self._balanced = 0.0
        self._uncounted = 1
        self._dropper = Dropper()

    async def _pass(self) -> None:
        if self._sink is None:
            self._sink = await Sink.connect(self._settings.postgres_url)
        if monotonic() - self._balanced >= BALANCE_S:
            await self._balance(self._sink)
            self._balanced = monotonic()
        if not self._leases and self._ahead is None:
            await asyncio.sleep(0.2)
            return
        batches = await (self._ahead or self._read())
        # The next rows are read while Postgres takes these. A lease given up meanwhile takes its rows with it.
        self._ahead = asyncio.create_task(self._read()) if batches else None
        held = [b for b in batches if self._leases.get(b.partition) is b.lease]
        rows = sum(len(b.rows) for b in held)
        if held:
            await self._sink.write({b.partition: (b.lease.offset, b.rows) for b in held})
            PERSISTED_ROWS.inc(rows)
        await self._count(self._sink, rows)
        for batch in held:
            last = batch.rows[-1]
            batch.lease.advance(Offset(last.epoch, last.seq, last.digest))
        await self._flusher.tell(self._leases, [batch.partition for batch in held])
        await self._archive(self._sink)
        if monotonic() - self._chores >= self._settings.chores_s:
            await self._do_chores(self._sink)
            self._chores = monotonic()
        if monotonic() - self._looked >= PEOPLE_S:
            await self._people.look(self._sink, {p: lease.offset for p, lease in self._leases.items()})
            self._looked = monotonic()
        await self._dropper.step(self._sink, self._link, self._leases)

    async def _balance(self, sink: Sink) -> None:
        """Takes partitions up to a fair share, gives up what is beyond it."""
        for p in sorted(self._released):
            await sink.unlock(p)
        self._released.clear()
        share = -(-self._partitions // await sink.persisters())
        for p in list(self._leases)[share:]:
            self._leases.pop(p)
            await sink.unlock(p)
        for p in range(self._partitions):
            if len(self._leases) >= share:
                break
            if p not in self._leases and self._stopped.get(p, 0) < monotonic() and await sink.lock(p):
                offset = await sink.offset(p)
                self._leases[p] = Lease.taken(offset)
                self._uncounted += 1
        self._tell_held()

    def _tell_held(self) -> None:
        """What is known of partitions that are another's now is that one's to tell."""
        self._archivist.keep(self._leases)
        self._drift.keep(self._leases)

    async def _read(self) -> list[Batch]:
        """What the logs hold behind what was read; blocks a while where that is nothing."""
        for p in [p for p, lease in self._leases.items() if not lease.checked]:
            await self._check(p)
        await asyncio.sleep(self._pause)
        leases = dict(self._leases)
        if not leases:
            return []
        ids = [f"{lease.read.epoch}-{lease.read.seq}" for lease in leases.values()]
        logs = {keys.log(p): p for p in leases}
        # COUNT is per log: shared out among as many as had rows the last time.
        count = ROWS_MAX // max(1, self._busy)
        call: Call = ("XREAD", "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", *logs, *ids)
        (reply,) = await self._log_link.run([call], timeout_s=BLOCK_MS / 1000 + 5)
        if isinstance(reply, Exception):
            raise Refused(str(reply))
        self._busy = len(reply or ())
        batches = []
        for name, raw in reply or ():
            p = logs[name.decode()]
            lease = leases[p]
            try:
                rows = _rows(p, raw, lease.read)
            except Stopped as error:
                self._stop(p, lease, str(error))
                continue
            lease.read = Offset(rows[-1].epoch, rows[-1].seq, rows[-1].digest)
            batches.append(Batch(p, lease, rows))
        self._pause = LINGER_S if 0 < sum(len(b.rows) for b in batches) < ROWS_WORTH_IT else 0.0
        return batches

    async def _check(self, p: int) -> None:
        """Before the first write on a connection: the log must hold the very entry at the offset."""
        lease = self._leases.get(p)
        if lease is None:
            return
        offset = lease.offset
        try:
            head = await read_head(self._log_link, p)
            if offset.seq:
                wanted = f"{offset.epoch}-{offset.seq}"
                (found,) = await self._log_link.run([("XRANGE", keys.log(p), wanted, wanted)])
                if not found or found[0][1][1] != offset.digest:
                    raise Stopped(f"the log does not hold {wanted} as the ledger does")
            elif head.epoch < offset.epoch:
                raise Stopped("the log is of an earlier epoch than the ledger")
            lease.checked = True
        except (CallRefused, Stopped) as error:
            self._stop(p, lease, str(error))

    def _stop(self, p: int, lease: Lease, reason: str) -> None:
        """Gives a partition up for a while. Its lock goes with the next balance: the connection may be writing now."""
        if self._leases.get(p) is not lease:
            return
        log.error("partition stopped", partition=p, reason=reason)
        del self._leases[p]
        self._stopped[p] = monotonic() + 5
        self._released.add(p)
        self._tell_held()

    async def _count(self, sink: Sink, rows: int) -> None:
        """The counts by time wait while many rows come: the ledger is what others wait for."""
        self._uncounted += rows
        if not self._uncounted or (rows > ROWS_BUSY and monotonic() < self._counted + COUNT_S_MAX):
            return
        more = await sink.count(self._leases)
        self._uncounted, self._counted = int(more), monotonic()

    async def _archive(self, sink: Sink, *, everywhere: bool = False) -> None:
        """Makes the archives that are due, where a window was sealed or something came behind a seal."""
        for p in list(self._leases if everywhere else sink.seals.pending):
            more = p in self._leases and await self._archivist.work(sink, self._link, p, self._leases[p].offset)
            (sink.seals.pending.add if more else sink.seals.pending.discard)(p)

    async def _do_chores(self, sink: Sink) -> None:
        offsets = {p: lease.offset for p, lease in self._leases.items()}
        await sink.execute("tell_seasons", list(offsets))
        await self._sealer.seal(sink, self._apply_link, offsets, self._clock())
        await self._archive(sink, everywhere=True)
        for p, lease in list(self._leases.items()):
            head = await read_head(self._link, p)
            newest, _, _ = head.generations.partition(",")
            oldest = head.generations.rpartition(",")[2]
            generation_us = self._settings.seen_generation_s * 1_000_000
            await self._link.run(
                [
                    evalsha(
                        ROTATE,
                        [keys.meta(p), keys.seen(p, newest), keys.seen(p, oldest)],
                        [head.epoch, head.generations, generation_us, self._settings.seen_generation_entries_max],
                    )
                ]
            )
            (seq,) = await self._link.run([("HGET", keys.meta(p), "seq")])
            PERSIST_LAG.labels(str(p)).set(int(seq) - lease.offset.seq)
            await heal(sink, self._apply_link, p, lease.offset)


def _rows(p: int, raw: list[Any], offset: Offset) -> list[Row]:
    """The stream's entries as rows: contiguous with the offset, or Stopped."""
    seq, rows = offset.seq, []
    for stream_id, fields in raw:
        row = read_row(p, stream_id, fields)
        seq += 1
        if row.seq != seq:
            raise Stopped(f"the log goes on at {row.epoch}-{row.seq}, the ledger ends at seq {seq - 1}")
        rows.append(row)
    return rows

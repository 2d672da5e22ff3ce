"""The persister: follows the logs of its partitions and writes them to the ledger, in order and once."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

import structlog

from ..access.digest_key import read_digest_key
from ..drivers.redis import RedisConnection
from ..drivers.scripts import Script
from ..model.ledger_chain import LedgerChain
from ..settings import Settings
from ..store.apply import APPLY
from ..store.archived_windows import EVICT_ARCHIVED_WINDOW
from ..store.capacity import Capacity, StoreBounds
from ..store.changes import ANNOUNCE_CHANGE, WRITE_PROFILE
from ..store.ledger_offset import LedgerOffset
from ..store.marks import MARK_SCRIPTS, Marks
from ..store.namespace_cache import PUBLISH_KEY, SET_IF_NEWER
from ..store.partitions import ADVANCE_FLUSHED, LEDGER_BEHIND, ROTATE_DEDUP
from ..store.visibility import CLEAR_USER_STATE, DELETE_USER_VALUES, SET_USER_STATE
from ..task_end import cancel_and_wait, complete, end_all
from .archivist import STATEMENT_S_MAX as ARCHIVE_STATEMENT_S_MAX
from .archivist import Archivist
from .bucket_schedule import BucketSchedule
from .chores import ChoreRound, ChoreServices, archive_chores, short_chores
from .drift import DriftCheck
from .faults import EVERYWHERE, LOG, STATE, Faults, WorkUnit
from .flusher import Flusher
from .heartbeat import beat
from .lease import Lease
from .leases import Superseded
from .ledger_session import LedgerSession
from .ledger_writer import LedgerWriter, report_faults
from .log_reader import IDLE_S, LogReader, NewRows, PartitionStopped
from .maintenance import STORES_LOST, Maintenance, log_loss
from .open_windows import OpenWindows
from .state_guard import StateGuard

log = structlog.get_logger()

SCRIPTS: Sequence[Script] = (
    ROTATE_DEDUP,
    SET_IF_NEWER,
    PUBLISH_KEY,
    ANNOUNCE_CHANGE,
    WRITE_PROFILE,
    SET_USER_STATE,
    CLEAR_USER_STATE,
    DELETE_USER_VALUES,
    EVICT_ARCHIVED_WINDOW,
)

#: Seconds between two checks of which partitions this persister should have.
BALANCE_S = 1.0
#: Seconds that one statement of a chore may take: as long as reading the history of one user.
CHORE_STATEMENT_S_MAX = 60.0
#: Rows of one pass from which on there is much to write: at 1,000 grants a second a pass has some ten.
CROWD_ROWS_MIN = 500
#: Seconds for which that is remembered.
CROWD_S = 0.5


class Worker:
    """One persister process. Several share the partitions, and take over those of a process that ended or hangs.

    connect: makes a connection to Redis with some scripts. Each task has its own connections to Redis and Postgres.
    """

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[Sequence[Script]], RedisConnection],
        partitions: int,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._chain = LedgerChain(read_digest_key(settings))
        self._links = [
            connect(scripts) for scripts in ([], [ADVANCE_FLUSHED], SCRIPTS, [APPLY], [EVICT_ARCHIVED_WINDOW], [])
        ]
        self._marks = Marks(connect(MARK_SCRIPTS), settings.postgres_url)
        log_link, flush_link, self._chores_link, self._apply_link, self._archive_link, guard_link = self._links
        self._partitions = partitions
        self._guard = StateGuard(guard_link, partitions)
        self._is_behind = True  # until it was compared
        self._leases: dict[int, Lease] = {}
        self._stopped: dict[int, float] = {}
        self._released: set[int] = set()
        self._session: LedgerSession | None = None
        self._number: int | None = None  # as the session before was registered
        self._beside: Maintenance | None = None
        self._ahead: asyncio.Task[list[NewRows]] | None = None
        self._balanced = 0.0
        self._passed = monotonic()
        self._crowded_until_s = 0.0
        self._clock = clock
        self._counting = BucketSchedule()
        self._windows = OpenWindows()
        self._archivist = Archivist()
        self._capacity = Capacity(StoreBounds.of(settings), partitions)
        self._flusher = Flusher(flush_link, settings.log_tail_s, self._capacity)
        self._drift = DriftCheck(settings, self._leases)
        self._faults = Faults()
        self._writer = LedgerWriter(self._faults)
        self._reader = LogReader(log_link, self._leases, self._faults, self._stop, self._marks.renew)

    async def run(self) -> None:
        """Makes passes for ever, and connects again to a store that was lost. The drift checks run beside them."""
        drift = asyncio.create_task(self._drift.run())
        try:
            await self._run()
        finally:
            await complete(self._end(drift))

    def is_crowded(self) -> bool:
        """Whether it has much to write: what else the process does is to leave it the processor."""
        return monotonic() < self._crowded_until_s

    async def _end(self, drift: asyncio.Task[None]) -> None:
        await cancel_and_wait(drift)
        await self._drop()
        await self._marks.close()
        for link in self._links:
            await link.close()

    async def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._pass()
                pause = 0.1
            except Superseded as error:
                log.warning("a persister gave its partitions up", reason=str(error))
                await self._drop()
            except STORES_LOST as error:
                log_loss("store lost", error)
                await self._drop()
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _open(self) -> LedgerSession:
        """Opens a new session, with a number of its own, and starts its tasks."""
        url = self._settings.postgres_url
        session = self._session = await LedgerSession.connect(url, chain=self._chain)
        await session.forget_absent_faults(self._number)
        self._number = session.leases.number
        self._faults.requeue_partition(EVERYWHERE)
        self._passed = monotonic()
        beside = self._beside = Maintenance(url, session.leases.number)
        services = ChoreServices(
            settings=self._settings,
            partitions=self._partitions,
            capacity=self._capacity,
            link=self._chores_link,
            apply_link=self._apply_link,
            archive_link=self._archive_link,
            guard=StateGuard(self._chores_link, self._partitions),
            leases=self._leases,
            buckets=self._counting,
            windows=self._windows,
            archivist=self._archivist,
            pending_archives=session.seals.pending,
            faults=self._faults,
            clock=self._clock,
        )
        beside.run(beat(url, session.leases.number, lambda: self._passed))
        beside.repeat("chores", ChoreRound(short_chores(services)).step, CHORE_STATEMENT_S_MAX)
        beside.repeat("archives", ChoreRound(archive_chores(services)).step, ARCHIVE_STATEMENT_S_MAX)
        return session

    async def _drop(self) -> None:
        """Ends the session: forgets all leases and the rows that were read under them."""
        if self._ahead is not None:
            await end_all([self._ahead])
            self._ahead = None
        await self._reader.cancel()
        await self._flusher.cancel()
        if self._beside is not None:
            await self._beside.end()
        if self._session is not None:
            self._session.terminate()
        self._session = self._beside = None
        self._leases.clear()
        self._forget_other_partitions()
        self._released.clear()
        self._balanced = 0.0

    async def _pass(self) -> None:
        session = self._session or await self._open()
        if self._beside is not None:
            self._beside.check()
        self._passed = monotonic()
        if monotonic() - self._balanced >= BALANCE_S:
            await self._balance(session)
            self._balanced = monotonic()
        if not self._leases and self._ahead is None:
            await asyncio.sleep(IDLE_S)
            return
        reads = await (self._ahead or self._reader.read())
        # The next rows are read while Postgres takes these. Rows of a lease that is given up meanwhile are dropped.
        self._ahead = asyncio.create_task(self._reader.read()) if reads else None
        if sum(len(read.rows) for read in reads) >= CROWD_ROWS_MIN:
            self._crowded_until_s = monotonic() + CROWD_S
        recorded = await self._write(
            session, [read for read in reads if self._leases.get(read.partition) is read.lease]
        )
        for read in recorded:
            last = read.rows[-1]
            self._windows.note(read.rows)
            read.lease.advance(LedgerOffset(last.epoch, last.seq, last.digest))
        self._counting.note([read.partition for read in recorded], sum(len(read.rows) for read in recorded))
        await self._flusher.send_offsets(self._leases, [read.partition for read in recorded])
        await report_faults(self._faults, session)

    async def _write(self, session: LedgerSession, reads: list[NewRows]) -> list[NewRows]:
        """Writes what was read. Returns those that the ledger took completely. Another partition keeps its offset: some
        of its rows may be written, and the rows read ahead are dropped with its lease."""
        failed = await self._writer.write(session, {read.partition: (read.lease.offset, read.rows) for read in reads})
        if failed:
            self._reader.doubt()
        for p in failed:
            offset = await session.offset(p)
            self._leases[p] = Lease.taken(offset)
            self._counting.note([p], 0)
        self._windows.keep(self._leases.keys() - failed)
        return [read for read in reads if read.partition not in failed]

    async def _balance(self, session: LedgerSession) -> None:
        """Takes partitions up to a fair share, and gives up those beyond it; all of them while Postgres is older than
        Redis."""
        live = await session.leases.live()
        share = 0 if await self._refuses_state(session) else -(-self._partitions // len(live))
        for p in list(self._leases)[share:]:
            self._leases.pop(p)
            self._released.add(p)
        if self._released:
            self._released -= await session.leases.release(self._released)
        if not self._leases.keys() <= await session.leases.get_partitions():
            raise Superseded("another persister took partitions of this one")
        resting = {p for p, until in self._stopped.items() if until >= monotonic()} | self._released
        free = [p for p in range(self._partitions) if p not in self._leases and p not in resting]
        if free and len(self._leases) < share:
            for p in await session.leases.take(free, share - len(self._leases)):
                await session.seals.load(p)
                self._leases[p] = Lease.taken(await session.offset(p))
                await session.forget_faults(p)
                self._faults.requeue_partition(p)
                self._counting.note([p], 0)
        self._forget_other_partitions()
        session.seals.keep(self._leases)
        self._faults.keep({*self._leases, *self._stopped})

    async def _refuses_state(self, session: LedgerSession) -> bool:
        """Whether Postgres is older than Redis. Once it is no more, the partitions are opened that were closed for
        it."""
        refusal, was_behind = await self._guard.refusal(session), self._is_behind
        self._is_behind = refusal is not None
        if refusal is None and was_behind:
            await self._marks.renew_all()
            self._faults.clear_for(STATE, LEDGER_BEHIND)
        return self._is_behind

    def _forget_other_partitions(self) -> None:
        """Forgets partitions that belong to another persister now, which reports on them itself."""
        self._archivist.keep(self._leases)
        self._counting.keep(self._leases)
        self._windows.keep(self._leases)
        self._drift.keep(self._leases)

    def _stop(self, p: int, lease: Lease, reason: str) -> None:
        """Gives a partition up for a while. Its lease goes with the next balance: the connection may be writing now."""
        if self._leases.get(p) is not lease:
            return
        log.error("partition stopped", partition=p, reason=reason)
        self._faults.note(WorkUnit(p, LOG), PartitionStopped(reason))
        del self._leases[p]
        self._stopped[p] = monotonic() + 5
        self._released.add(p)
        self._forget_other_partitions()

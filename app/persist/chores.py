"""Chores: the periodic work of a persister, besides writing the ledger.

A new chore is a module and one line of `short_chores` or `archive_chores`. They run on connections of their own, so
the ledger never waits for them.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ..drivers.redis import RedisConnection, ask_all
from ..metrics import PERSIST_LAG
from ..settings import Settings
from ..store.capacity import Capacity
from ..store.ledger_offset import LedgerOffset
from ..store.partitions import last_seq_call
from .archivist import Archivist
from .bucket_schedule import BucketSchedule
from .clocks import Clocks, check_clock
from .dedup_rotation import DedupRotation
from .faults import (
    ALL_ARCHIVES,
    ARCHIVES,
    CAPACITY,
    EVERYWHERE,
    HEALS,
    LAG,
    LEDGER,
    LETTERS,
    MAINTENANCE,
    PUBLISHING,
    SEALING,
    SEARCH,
    SEASONS,
    STATE,
    USERS,
    Faults,
    WorkUnit,
)
from .heal import heal
from .lease import Lease
from .ledger_session import LedgerSession
from .letter_decisions import carry_out
from .namespace_dropper import NamespaceDropper
from .namespace_publisher import NamespacePublisher
from .open_windows import OpenWindows
from .search_updates import SearchUpdates
from .state_guard import StateGuard
from .state_publisher import StatePublisher
from .visibility import VisibilityWorker
from .window_closer import WindowCloser

#: Seconds between two rounds: a chore that is due may begin so late.
ROUND_PAUSE_S = 0.05
#: Seconds between two searches for users who are to be hidden, shown or erased.
USERS_S = 0.25
#: Seconds between two searches for users whose state is no longer needed.
SHOWN_USERS_S = 60.0
#: Seconds between two steps that update by what users are found.
SEARCH_S = 0.25
#: Seconds between two steps of clearing deleted namespaces: a step takes a twentieth of that.
DELETIONS_S = 1.0

Run = Callable[[LedgerSession], Coroutine[Any, Any, None]]
PartitionRun = Callable[[LedgerSession, int, LedgerOffset], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that is due again and again. What `run` raises ends the session it was given.

    interval_s: seconds between the end of a run and the next one; 0: in every round.
    """

    name: str
    interval_s: float
    run: Run


class ChoreRound:
    """Runs the chores of a list that are due, in the list's order."""

    def __init__(self, chores: Sequence[Chore], clock: Callable[[], float] = monotonic) -> None:
        self._chores = chores
        self._clock = clock
        self._due = {chore.name: 0.0 for chore in chores}

    async def step(self, session: LedgerSession) -> None:
        """One round, and a pause. A chore that raises is due at once in the next round."""
        for chore in self._chores:
            if self._due[chore.name] <= self._clock():
                await chore.run(session)
                self._due[chore.name] = self._clock() + chore.interval_s
        await asyncio.sleep(ROUND_PAUSE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoreServices:
    """What chores need. `link` knows the small scripts, `apply_link` apply.lua, `archive_link`
    evict_archived_window.lua; nobody else uses them, but for `guard`, which uses `link`. pending_archives: partitions
    where an archive is to be written or updated. clock: this machine's, in microseconds."""

    settings: Settings
    partitions: int
    capacity: Capacity
    link: RedisConnection
    apply_link: RedisConnection
    archive_link: RedisConnection
    guard: StateGuard
    leases: Mapping[int, Lease]
    buckets: BucketSchedule
    windows: OpenWindows
    archivist: Archivist
    pending_archives: set[int]
    faults: Faults
    clock: Callable[[], int]

    def offsets(self) -> dict[int, LedgerOffset]:
        """How far the ledger of each leased partition is."""
        return {p: lease.offset for p, lease in self.leases.items()}

    def compared(self) -> list[int]:
        """The leased partitions whose log was compared with the ledger, or whose ledger waits."""
        faults = self.faults
        return [p for p, lease in self.leases.items() if lease.checked or faults.has(WorkUnit(p, LEDGER))]

    def by_state(self, run: Run) -> Run:
        """A run that is left out while Postgres is older than Redis: it would bring back what was taken away since."""

        async def guarded(session: LedgerSession) -> None:
            if await self.guard.refusal(session) is None:
                await run(session)

        return guarded

    def alone(self, unit: WorkUnit, run: Run) -> Run:
        """A run whose failure concerns one unit: that unit waits, and the other chores go on."""

        async def guarded(session: LedgerSession) -> None:
            await self.faults.attempt(unit, run, session)

        return guarded

    def each_partition(self, kind: str, run: PartitionRun, work_query: str | None = None) -> Run:
        """A run over the partitions of `compared`, each a unit of its own: what is decided about a dead letter may end
        the wait of a ledger. work_query: names those of some partitions that may have work, so that an idle persister
        asks once for all; partitions that failed the last time are run too."""

        async def over_partitions(session: LedgerSession) -> None:
            partitions = self.compared()
            if work_query is not None:
                busy = {row["partition"] for row in await session.fetch(work_query, partitions)}
                partitions = [p for p in partitions if p in busy or self.faults.has(WorkUnit(p, kind))]
            for p in partitions:
                lease = self.leases.get(p)
                if lease is not None:
                    await self.faults.attempt(WorkUnit(p, kind), run, session, p, lease.offset)

        return self.alone(WorkUnit(EVERYWHERE, kind), over_partitions)


def short_chores(services: ChoreServices) -> Sequence[Chore]:
    """Chores whose statements take seconds at most."""
    link, apply_link, faults = services.link, services.apply_link, services.faults
    interval_s, alone, each = services.settings.maintenance_interval_s, services.alone, services.each_partition
    by_state = services.by_state
    clocks, rotation = Clocks(services.clock), DedupRotation(link, services.settings, services.capacity)
    publisher, state_publisher, closer = NamespacePublisher(), StatePublisher(), WindowCloser(services.windows)
    users, dropper = VisibilityWorker(link, apply_link, faults), NamespaceDropper(faults=faults)
    search = SearchUpdates(services.partitions)

    async def open_seasons(session: LedgerSession) -> None:
        async def open_some(partitions: Collection[int]) -> None:
            await session.execute("open_seasons", partitions, clocks.now)

        await faults.all_or_each(SEASONS, services.offsets(), open_some)

    async def report_lag(session: LedgerSession) -> None:
        async def report_some(partitions: Collection[int]) -> None:
            offsets = {p: lease.offset.seq for p, lease in services.leases.items() if p in partitions}
            ends = await ask_all(link, [last_seq_call(p) for p in offsets])
            for (p, seq), end in zip(offsets.items(), ends, strict=True):
                PERSIST_LAG.labels(str(p)).set(int(end or 0) - seq)

        await faults.all_or_each(LAG, services.compared(), report_some)

    async def rotate(session: LedgerSession) -> None:
        await faults.all_or_each(MAINTENANCE, services.compared(), rotation.rotate)

    async def publish(session: LedgerSession) -> None:
        await publisher.publish(session, link, services.leases, faults)

    async def publish_state(session: LedgerSession) -> None:
        await state_publisher.publish(session, link, list(services.leases))

    async def apply_intents(session: LedgerSession) -> None:
        await users.apply_intents(session, services.offsets())

    async def seal(session: LedgerSession) -> None:
        await closer.seal(session, link, apply_link, services.offsets(), clocks.now, faults)

    async def take_back(session: LedgerSession, p: int, offset: LedgerOffset) -> None:
        await heal(session, apply_link, p, offset, faults)

    async def settle_letters(session: LedgerSession, p: int, offset: LedgerOffset) -> None:
        await carry_out(session, apply_link, p, offset, faults)

    return (
        Chore("time buckets", 0, lambda session: services.buckets.step(session, faults)),
        Chore("clock", interval_s, lambda session: check_clock(clocks, session, link, faults)),
        Chore("seasons", interval_s, open_seasons),
        Chore("namespaces", interval_s, alone(PUBLISHING, by_state(publish))),
        Chore("state", interval_s, alone(STATE, publish_state)),
        Chore("seals", interval_s, alone(SEALING, seal)),
        Chore("capacity", interval_s, alone(CAPACITY, lambda session: services.capacity.measure(link))),
        Chore("generations", interval_s, rotate),
        Chore("lag", interval_s, report_lag),
        Chore("heals", interval_s, each(HEALS, take_back, "get_partitions_with_duplicates")),
        Chore("dead letters", interval_s, each(LETTERS, settle_letters, "get_partitions_with_decisions")),
        Chore("users", USERS_S, alone(USERS, by_state(apply_intents))),
        Chore("shown users", SHOWN_USERS_S, alone(USERS, by_state(users.release_shown))),
        Chore("search", SEARCH_S, alone(SEARCH, lambda session: search.step(session, list(services.leases)))),
        Chore("deletions", DELETIONS_S, by_state(lambda session: dropper.step(session, link, services.leases))),
    )


def archive_chores(services: ChoreServices) -> Sequence[Chore]:
    """Chores that write archives: one statement may take minutes."""
    link, leases, pending = services.archive_link, services.leases, services.pending_archives

    async def find_all(session: LedgerSession) -> None:
        rows = await session.fetch("get_partitions_with_archive_work", list(leases))
        pending.update(row["partition"] for row in rows)
        pending.update(p for p in leases if services.faults.has(WorkUnit(p, ARCHIVES)))

    async def archive(session: LedgerSession) -> None:
        await services.archivist.step(session, link, leases, pending, services.faults)

    return (
        Chore("all archives", services.settings.maintenance_interval_s, services.alone(ALL_ARCHIVES, find_all)),
        Chore("archives", 0, archive),
    )

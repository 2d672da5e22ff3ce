"""A persister's short chores: counts by time, seasons, seals, generations of seen ids, heals, people, deletions.

What fails is one unit's alone (faults.py): the others go on.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic

from ..drivers.redis import RedisConnection
from ..settings import Settings
from .bucket_schedule import BucketSchedule
from .chores import maintain
from .clocks import Clocks, ClockSkewed
from .faults import CHORES, CLOCK, EVERYWHERE, HEALS, LETTERS, PUBLISHING, SEALING, SEASONS, USERS, Faults, WorkUnit
from .heal import heal
from .lease import Lease
from .ledger_session import LedgerOffset, LedgerSession
from .letter_decisions import carry_out
from .namespace_dropper import NamespaceDropper
from .namespace_publisher import NamespacePublisher
from .open_windows import OpenWindows
from .visibility import VisibilityWorker
from .window_closer import WindowCloser

#: Seconds between two rounds of what is looked at all the time.
STEP_S = 0.05
#: Seconds between two looks for users who are to be hidden, shown or erased.
PEOPLE_S = 0.25
#: Seconds that one statement of a chore may take: as long as the history of one user is to read.
STATEMENT_S_MAX = 60.0


class ChoreRound:
    """One session's. `link` knows the small scripts, `apply_link` apply.lua; nobody else uses them."""

    def __init__(
        self,
        settings: Settings,
        link: RedisConnection,
        apply_link: RedisConnection,
        leases: Mapping[int, Lease],
        counting: BucketSchedule,
        windows: OpenWindows,
        faults: Faults,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._link = link
        self._apply_link = apply_link
        self._leases = leases
        self._counting = counting
        self._faults = faults
        self._clocks = Clocks(clock)
        self._sealer = WindowCloser(windows)
        self._publisher = NamespacePublisher()
        self._people = VisibilityWorker(link, apply_link, faults)
        self._dropper = NamespaceDropper(faults=faults)
        self._done = 0.0
        self._looked = 0.0

    async def step(self, session: LedgerSession) -> None:
        """Whatever is due; then a pause."""
        await self._counting.step(session, self._faults)
        if monotonic() - self._done >= self._settings.chores_s:
            await self._round(session)
            self._done = monotonic()
        if monotonic() - self._looked >= PEOPLE_S:
            await self._faults.attempt(USERS, self._people.look, session, self._offsets())
            self._looked = monotonic()
        await self._dropper.step(session, self._link, self._leases)
        await asyncio.sleep(STEP_S)

    def _offsets(self) -> dict[int, LedgerOffset]:
        return {p: lease.offset for p, lease in self._leases.items()}

    async def _round(self, session: LedgerSession) -> None:
        offsets, faults, attempt = self._offsets(), self._faults, self._faults.attempt
        now = await self._now(session)
        await faults.all_or_each(SEASONS, offsets, lambda some: session.execute("open_seasons", some, now))
        await attempt(PUBLISHING, self._publisher.publish, session, self._link, offsets, faults)
        await attempt(SEALING, self._sealer.seal, session, self._link, self._apply_link, offsets, now, faults)
        for p in offsets:
            lease = self._leases.get(p)
            if lease is not None:
                at = p, lease.offset
                await attempt(WorkUnit(p, CHORES), maintain, self._link, *at, self._settings)
                await attempt(WorkUnit(p, HEALS), heal, session, self._apply_link, *at, faults)
                await attempt(WorkUnit(p, LETTERS), carry_out, session, self._apply_link, *at, faults)

    async def _now(self, session: LedgerSession) -> int:
        """The moment to go by. What is wrong with this machine's clock is told with what fails, by the persister's
        number. ClockSkewed."""
        now, unit = (
            await self._clocks.now(session, self._link),
            WorkUnit(EVERYWHERE, CLOCK, f"of persister {session.leases.number}"),
        )
        if self._clocks.problem is None:
            self._faults.clear(unit)
        else:
            self._faults.note(unit, ClockSkewed(self._clocks.problem))
        return now

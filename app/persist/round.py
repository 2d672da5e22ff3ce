"""A persister's short chores: counts by time, seasons, seals, generations of seen ids, heals, people, deletions.

What fails is one unit's alone (faults.py): the others go on.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic

from ..settings import Settings
from ..store.redis import Link
from .chores import maintain
from .clocks import Clocks, ClockSkewed
from .counting import Counting
from .drop import Dropper
from .faults import (
    CHORES,
    CLOCK,
    EVERYWHERE,
    HEALS,
    LETTERS,
    PUBLISHING,
    SEALING,
    SEASONS,
    USERS,
    Faults,
    Unit,
)
from .heal import heal
from .lease import Lease
from .letters import carry_out
from .people import People
from .publish import Publisher
from .seal import Sealer
from .sink import Offset, Sink
from .windows import OpenWindows

#: Seconds between two rounds of what is looked at all the time.
STEP_S = 0.05
#: Seconds between two looks for users who are to be hidden, shown or erased.
PEOPLE_S = 0.25
#: Seconds that one statement of a chore may take: as long as the history of one user is to read.
STATEMENT_S_MAX = 60.0


class Round:
    """One session's. `link` knows the small scripts, `apply_link` apply.lua; nobody else uses them."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        apply_link: Link,
        leases: Mapping[int, Lease],
        counting: Counting,
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
        self._sealer = Sealer(windows)
        self._publisher = Publisher()
        self._people = People(link, apply_link, faults)
        self._dropper = Dropper(faults=faults)
        self._done = 0.0
        self._looked = 0.0

    async def step(self, sink: Sink) -> None:
        """Whatever is due; then a pause."""
        await self._counting.step(sink, self._faults)
        if monotonic() - self._done >= self._settings.chores_s:
            await self._round(sink)
            self._done = monotonic()
        if monotonic() - self._looked >= PEOPLE_S:
            await self._faults.attempt(USERS, self._people.look, sink, self._offsets())
            self._looked = monotonic()
        await self._dropper.step(sink, self._link, self._leases)
        await asyncio.sleep(STEP_S)

    def _offsets(self) -> dict[int, Offset]:
        return {p: lease.offset for p, lease in self._leases.items()}

    async def _round(self, sink: Sink) -> None:
        offsets, faults, attempt = self._offsets(), self._faults, self._faults.attempt
        now = await self._now(sink)
        await faults.all_or_each(SEASONS, offsets, lambda some: sink.execute("tell_seasons", some, now))
        await attempt(PUBLISHING, self._publisher.publish, sink, self._link, offsets, faults)
        await attempt(SEALING, self._sealer.seal, sink, self._link, self._apply_link, offsets, now, faults)
        for p in offsets:
            lease = self._leases.get(p)
            if lease is not None:
                at = p, lease.offset
                await attempt(Unit(p, CHORES), maintain, self._link, *at, self._settings)
                await attempt(Unit(p, HEALS), heal, sink, self._apply_link, *at, faults)
                await attempt(Unit(p, LETTERS), carry_out, sink, self._apply_link, *at, faults)

    async def _now(self, sink: Sink) -> int:
        """The moment to go by. What is wrong with this machine's clock is told with what fails, by the persister's
        number. ClockSkewed."""
        now, unit = (
            await self._clocks.now(sink, self._link),
            Unit(EVERYWHERE, CLOCK, f"of persister {sink.leases.number}"),
        )
        if self._clocks.problem is None:
            self._faults.clear(unit)
        else:
            self._faults.note(unit, ClockSkewed(self._clocks.problem))
        return now

"""The clock that decides irrevocable steps (a seal, the announcement of a season): the slower clock of both stores.

Redis takes a seal only when its own clock allows it. This machine's clock decides nothing. If it is wrong, that is
reported, and beyond a bound the process ends.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog

from ..drivers.redis import RedisConnection
from ..metrics import CLOCK_SKEW
from ..store.clock import read_redis_time
from .faults import CLOCK, EVERYWHERE, Faults, WorkUnit
from .ledger_session import LedgerSession

log = structlog.get_logger()

#: Seconds between two clocks from which on the difference is reported: ten times what machines with NTP differ by.
SKEW_WARN_S = 5.0
#: Seconds by which this machine's clock may differ from both stores'. Beyond them the process ends. Seals wait for 60 s
#: more.
SKEW_S_MAX = 30.0


class ClockSkewed(Exception):
    """This machine's clock differs from both stores'. The text says by how much."""


class ClockReading(NamedTuple):
    """A reading of three clocks (microseconds): this machine's, before and after reading the stores'."""

    before: int
    redis: int
    postgres: int
    after: int

    def ahead_s(self, stamp: int) -> float:
        """The least by which a store's clock is ahead of this machine's, in seconds; negative: behind."""
        return (max(0, stamp - self.after) + min(0, stamp - self.before)) / 1e6

    @property
    def own_s(self) -> float:
        """The least difference of both stores' clocks from this machine's, in seconds."""
        return min(abs(self.ahead_s(self.redis)), abs(self.ahead_s(self.postgres)))

    @property
    def apart_s(self) -> float:
        """The least difference between the stores' clocks, in seconds."""
        return max(0, abs(self.redis - self.postgres) - (self.after - self.before)) / 1e6


class Clocks:
    """The clocks of one persister and its stores. clock: this machine's, in microseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        #: The latest moment that both stores' clocks had passed at the last reading (microseconds).
        self.now = 0
        #: What is wrong with this machine's clock, in whole seconds; None if nothing is.
        self.problem: str | None = None

    async def read(self, session: LedgerSession, link: RedisConnection) -> int:
        """Reads the clocks. Returns the moment that both stores' clocks have passed (microseconds). ClockSkewed; the
        stores' errors."""
        before = self._clock()
        redis = await read_redis_time(link)
        (row,) = await session.fetch("get_current_time")
        reading = ClockReading(before, redis, row["now"], self._clock())
        self._judge(reading)
        self.now = min(reading.redis, reading.postgres)
        return self.now

    def _judge(self, reading: ClockReading) -> None:
        redis_s, postgres_s = reading.ahead_s(reading.redis), reading.ahead_s(reading.postgres)
        CLOCK_SKEW.labels("redis").set(redis_s)
        CLOCK_SKEW.labels("postgres").set(postgres_s)
        if max(abs(redis_s), abs(postgres_s), reading.apart_s) <= SKEW_WARN_S:
            self.problem = None
            return
        if self.problem is None:
            log.warning("clocks differ", redis_ahead_s=redis_s, postgres_ahead_s=postgres_s)
        differs = f"clock differs from Redis's by {-redis_s:+.0f} s and from Postgres's by {-postgres_s:+.0f} s"
        self.problem = f"its machine's {differs}"
        if reading.own_s > SKEW_S_MAX:
            self.problem += ": it has stopped; set its clock right (NTP), then start it again"
            raise ClockSkewed(f"this machine's {differs}: set it right (NTP), then start again")


async def check_clock(clocks: Clocks, session: LedgerSession, link: RedisConnection, faults: Faults) -> None:
    """Reads the clocks and reports what is wrong with this machine's, by the persister's number. ClockSkewed; the
    stores' errors."""
    unit = WorkUnit(EVERYWHERE, CLOCK, f"of persister {session.leases.number}")
    try:
        await clocks.read(session, link)
    except ClockSkewed:
        # The process ends: no later pass reports it.
        await session.report_fault(unit, clocks.problem)
        raise
    if clocks.problem is None:
        faults.clear(unit)
    else:
        faults.note(unit, ClockSkewed(clocks.problem))

"""Which clock decides what cannot be taken back (a seal, a season that is announced): the slower one of both stores.

Redis takes a seal only when its own clock allows it. This machine's clock decides nothing; one that is wrong is told,
and ends the process before anybody trusts it.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog

from ..drivers.redis import RedisConnection, ask
from ..metrics import CLOCK_SKEW
from .ledger_session import LedgerSession

log = structlog.get_logger()

#: Seconds between two clocks from which on that is told: ten times what machines with NTP differ by.
SKEW_WARN_S = 5.0
#: Seconds by which this machine's clock may differ from both stores'; beyond them the process ends. Seals wait 60 more.
SKEW_S_MAX = 30.0


class ClockSkewed(Exception):
    """This machine's clock is not the stores': the text says by how much."""


class ClockReading(NamedTuple):
    """What three clocks said (microseconds): this machine's before and after the stores were asked."""

    before: int
    redis: int
    postgres: int
    after: int

    def ahead_s(self, stamp: int) -> float:
        """How far a store's clock is ahead of this machine's for certain, in seconds; negative: behind."""
        return (max(0, stamp - self.after) + min(0, stamp - self.before)) / 1e6

    @property
    def own_s(self) -> float:
        """How far both stores' clocks are from this machine's at least."""
        return min(abs(self.ahead_s(self.redis)), abs(self.ahead_s(self.postgres)))

    @property
    def apart_s(self) -> float:
        """How far the stores' clocks are from each other at least."""
        return max(0, abs(self.redis - self.postgres) - (self.after - self.before)) / 1e6


class Clocks:
    """The clocks of one persister and its stores. clock: this machine's, in microseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        #: What is to be told of this machine's clock, in whole seconds; None while it is right.
        self.problem: str | None = None

    async def now(self, session: LedgerSession, link: RedisConnection) -> int:
        """The moment that both stores agree has come (microseconds). ClockSkewed; what the stores raise."""
        before = self._clock()
        seconds, micros = await ask(link, ("TIME",))
        (row,) = await session.fetch("get_current_time")
        reading = ClockReading(before, int(seconds) * 1_000_000 + int(micros), row["now"], self._clock())
        self._judge(reading)
        return min(reading.redis, reading.postgres)

    def _judge(self, reading: ClockReading) -> None:
        redis_s, postgres_s = reading.ahead_s(reading.redis), reading.ahead_s(reading.postgres)
        CLOCK_SKEW.labels("redis").set(redis_s)
        CLOCK_SKEW.labels("postgres").set(postgres_s)
        if reading.own_s > SKEW_S_MAX:
            raise ClockSkewed(
                f"this machine's clock differs from Redis's by {-redis_s:+.0f} s and from Postgres's by "
                f"{-postgres_s:+.0f} s: set it right (NTP), then start again"
            )
        if max(abs(redis_s), abs(postgres_s), reading.apart_s) <= SKEW_WARN_S:
            self.problem = None
            return
        if self.problem is None:
            log.warning("clocks differ", redis_ahead_s=redis_s, postgres_ahead_s=postgres_s)
        self.problem = (
            f"its machine's clock differs from Redis's by {-redis_s:+.0f} s and from Postgres's by {-postgres_s:+.0f} s"
        )

"""The clock of a server: that of Redis, as far as it is known.

Several servers decide by it to which window a grant goes, and whether a moment is too far from now. So they must agree
with each other, and with the script, whose time is Redis' own. A server's own clock may be wrong or jump. It is used
only before Redis' time is known; later it is compared, and a difference is logged.
"""

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import structlog

from ..drivers.redis import RedisConnection, ask
from ..metrics import CLOCK_OFFSET_SECONDS
from ..model.errors import StoreUnavailable
from ..model.micros import SECOND

log = structlog.get_logger()

#: Seconds by which a server's own clock may differ from Redis' without a warning. Synchronised clocks differ by less.
WARNING_S = 1.0
#: Seconds of difference beyond which a server takes no writes, because it is unknown which of the two clocks is right.
WRITES_S_MAX = 30.0

#: Microseconds after which a round asks Redis for the time again: until then the clock drifts by less than 10 µs.
ASK_US = 50_000

#: Microseconds by which the clock may turn out to be ahead. It then stands still, so that time does not go back between
#: two grants. A slow answer causes that; a larger difference means that a clock was set.
BACK_US_MAX = 1_000_000

#: The call that reads Redis' time, beside the calls of a round.
TIME = ("TIME",)


async def read_redis_time(link: RedisConnection) -> int:
    """The time by Redis' clock (microseconds). RedisRefused."""
    seconds, micros = await ask(link, TIME)
    return int(seconds) * SECOND + int(micros)


class StoreClock:
    """Microseconds since 1970 UTC by the clock of Redis. Calling it is O(1) and makes no call to Redis.

    Each answer bounds the time of Redis' clock: it was read after the call was sent and before the answer came. Within
    those bounds the clock is not changed; outside them it is set to the nearer bound. So a slow answer changes nothing.
    Between answers it follows the machine's monotonic clock, which never jumps.
    """

    def __init__(self, own: Callable[[], int], monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._own = own
        self._monotonic = monotonic
        self._ahead: int | None = None
        self._has_warned = False
        self._learnt: int | None = None
        self._is_refused = False
        self._last = 0

    def __call__(self) -> int:
        """The current time; that of the server's own clock before Redis' time is known."""
        now = self._own() if self._ahead is None else self._monotonic() // 1_000 + self._ahead
        if now < self._last <= now + BACK_US_MAX:
            return self._last
        self._last = now
        return now

    def elapsed(self) -> int:
        """Microseconds of the monotonic clock, for `learn` and `is_due`."""
        return self._monotonic() // 1_000

    def is_due(self, now: int) -> bool:
        """Whether the next round should read the time. now: `elapsed()`."""
        return self._learnt is None or now - self._learnt >= ASK_US

    def learn(self, reply: Any, start: int) -> None:
        """Takes the answer to TIME that has just come. start: `elapsed()` when the call was sent. Errors are
        ignored."""
        if isinstance(reply, Exception):
            return
        answered = self._learnt = self.elapsed()
        store = int(reply[0]) * SECOND + int(reply[1])
        lowest, highest = store - answered, store - start
        middle = (lowest + highest) // 2
        self._ahead = middle if self._ahead is None else min(max(self._ahead, lowest), highest)
        self._log_difference()

    @property
    def offset_s(self) -> float:
        """Seconds by which the server's own clock is ahead of Redis'; 0 before Redis' time is known."""
        return 0.0 if self._ahead is None else (self._own() - self()) / SECOND

    def problem(self) -> str | None:
        """A warning about the server's own clock; None while it is right to a second."""
        offset = self.offset_s
        if abs(offset) <= WARNING_S:
            return None
        return f"the clock of this server is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} that of Redis"

    def refusal(self) -> StoreUnavailable | None:
        """Why no write is accepted: the clocks differ by more than WRITES_S_MAX. None if they do not."""
        if abs(self.offset_s) <= WRITES_S_MAX:
            return None
        return StoreUnavailable(f"{self.problem()}: the server takes no writes beyond {WRITES_S_MAX:.0f} s")

    def check(self) -> None:
        """StoreUnavailable if no write is accepted, by the last answer of Redis."""
        if self._is_refused and (refusal := self.refusal()) is not None:
            raise refusal

    def _log_difference(self) -> None:
        """Logs a warning once, each time that the clocks begin to differ."""
        CLOCK_OFFSET_SECONDS.set(self.offset_s)
        problem = self.problem()
        if problem is not None and not self._has_warned:
            log.warning("clock differs", detail=problem)
        self._has_warned = problem is not None
        self._is_refused = self.refusal() is not None

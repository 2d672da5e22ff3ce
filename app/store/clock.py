"""The one clock of a server: that of Redis, as far as it was asked.

Several servers decide by it which window a grant goes to and whether a moment is too far from now. So they must agree,
and also with the script, whose time is Redis' own. A server's own clock may be wrong or jump: it is only used before
Redis has been asked, and compared, so that somebody hears of it.
"""

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import structlog

from ..drivers.redis import RedisConnection, ask
from ..metrics import CLOCK_OFFSET_SECONDS
from ..model.errors import StoreUnavailable

log = structlog.get_logger()

#: Seconds by which a server's own clock may differ from Redis' without being told: clocks that are kept differ by less.
WARNING_S = 1.0
#: Seconds of difference past which a server takes no writes: nobody knows then which of the two clocks is right.
WRITES_S_MAX = 30.0

#: Microseconds after which Redis is asked again, where a round goes there anyway: what is known drifts by less than 10.
ASK_US = 50_000

#: Microseconds by which the clock may be found to be ahead and stands still meanwhile, so that of two grants the second
#: is never the earlier one. It comes from an answer that was slow; by more a clock was set.
BACK_US_MAX = 1_000_000

#: Microseconds of a second, as Redis tells the time in two numbers.
_MICROS = 1_000_000

#: How Redis is asked, beside the calls of a round.
TIME = ("TIME",)


async def read_redis_time(link: RedisConnection) -> int:
    """What the clock of Redis says (microseconds). RedisRefused."""
    seconds, micros = await ask(link, TIME)
    return int(seconds) * _MICROS + int(micros)


class StoreClock:
    """Microseconds since 1970 UTC by the clock of Redis; calling it is O(1) and asks nobody.

    Each answer of Redis bounds what its clock says now: it was read after the question was sent and before the answer
    came. The clock stays where it is within those bounds, and is set to the nearer one outside: a slow answer moves
    nothing. Between answers it goes on by the machine's monotonic clock, which never jumps.
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
        """The time now. Before Redis was asked, that of the server's own clock."""
        now = self._own() if self._ahead is None else self._monotonic() // 1_000 + self._ahead
        if now < self._last <= now + BACK_US_MAX:
            return self._last
        self._last = now
        return now

    def elapsed(self) -> int:
        """Microseconds of the monotonic clock: what `learn` takes for the moment of a question."""
        return self._monotonic() // 1_000

    def is_due(self, now: int) -> bool:
        """Whether Redis is to be asked with the next round; now: `elapsed()`."""
        return self._learnt is None or now - self._learnt >= ASK_US

    def learn(self, reply: Any, start: int) -> None:
        """Takes the answer to TIME that has just come; asked: `elapsed()` when it was asked. An error is no answer."""
        if isinstance(reply, Exception):
            return
        answered = self._learnt = self.elapsed()
        store = int(reply[0]) * _MICROS + int(reply[1])
        lowest, highest = store - answered, store - start
        middle = (lowest + highest) // 2
        self._ahead = middle if self._ahead is None else min(max(self._ahead, lowest), highest)
        self._tell()

    @property
    def offset_s(self) -> float:
        """Seconds by which the server's own clock is ahead of Redis'; 0 before Redis was asked."""
        return 0.0 if self._ahead is None else (self._own() - self()) / _MICROS

    def problem(self) -> str | None:
        """What is to be told of the server's own clock; None while it is right to a second."""
        offset = self.offset_s
        if abs(offset) <= WARNING_S:
            return None
        return f"the clock of this server is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} that of Redis"

    def refusal(self) -> StoreUnavailable | None:
        """Why no write is taken: the clocks differ by more than WRITES_S_MAX."""
        if abs(self.offset_s) <= WRITES_S_MAX:
            return None
        return StoreUnavailable(f"{self.problem()}: past {WRITES_S_MAX:.0f} s no write is taken")

    def check(self) -> None:
        """StoreUnavailable where no write is to be taken, by what was known when Redis was asked last."""
        if self._is_refused and (refusal := self.refusal()) is not None:
            raise refusal

    def _tell(self) -> None:
        """Once each time that the clocks begin to differ."""
        CLOCK_OFFSET_SECONDS.set(self.offset_s)
        problem = self.problem()
        if problem is not None and not self._has_warned:
            log.warning("clock differs", detail=problem)
        self._has_warned = problem is not None
        self._is_refused = self.refusal() is not None

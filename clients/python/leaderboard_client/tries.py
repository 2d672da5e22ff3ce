"""When a call is tried again, and after how long. No clock and no socket: the transports ask."""

from collections.abc import Callable
from typing import Any

from .calls import Call
from .errors import Problem, RateLimited

#: Seconds that a call may take in all, with its retries, if nobody says otherwise.
DEADLINE_S = 15.0
#: Seconds that one try may take. The server answers a write within 5 s.
TRY_S_MAX = 6.0
#: Seconds: bounds of the first wait between two tries, and of the longest.
TRY_WAITS = (0.2, 5.0)
#: Doublings after which a wait grows no more.
_DOUBLINGS_MAX = 30


def full_jitter(tries: int, waits: tuple[float, float], random: Callable[[], float]) -> float:
    """A random wait from 0 up to a bound that doubles with each try: clients that lost the same server do not come back
    together. tries: so far, from 0; waits: bounds of the first wait and of the longest."""
    first, longest = waits
    return random() * min(longest, first * 2.0 ** min(tries, _DOUBLINGS_MAX))


class Tries:
    """The tries of one call. now: seconds of a clock that never goes back."""

    def __init__(self, call: Call[Any], *, now: float, deadline_s: float, random: Callable[[], float]) -> None:
        self._call = call
        self._ends_at = now + (deadline_s if call.deadline_s is None else call.deadline_s)
        self._random = random
        self._tries = 0
        self._has_new_token = False

    def seconds(self, now: float) -> float:
        """How long the next try may take."""
        return max(0.001, min(self._ends_at - now, TRY_S_MAX))

    def takes_new_token(self, problem: Problem, *, can_renew: bool) -> bool:
        """Whether to ask the provider for another token and try at once: after the first 401."""
        is_due = problem.status == 401 and can_renew and not self._has_new_token
        self._has_new_token |= is_due
        return is_due

    def wait_after(self, problem: Problem, now: float, *, was_sent: bool) -> float:
        """Seconds until the next try. Raises the problem if there is none: it does not pass, there is no time, or it
        may have been done and must not be done twice. was_sent: whether the server may have seen this try."""
        problem.body = self._call.body
        wait = (problem.retry_after_s or 0) + full_jitter(self._tries, TRY_WAITS, self._random)
        self._tries += 1
        # What is refused for its rate did nothing.
        may_repeat = self._call.may_repeat or isinstance(problem, RateLimited) or not was_sent
        if not (may_repeat and problem.passes and now + wait < self._ends_at):
            raise problem
        return wait

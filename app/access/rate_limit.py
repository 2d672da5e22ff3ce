"""Rate limits of keys: a bucket of tokens for each key."""

from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from time import monotonic

from ..model.errors import RateLimited

#: Keys whose buckets are cached. The one used least recently is dropped; its bucket is full again.
KEYS_MAX = 10_000


class RateLimit:
    """For each key at most `burst` at once, and `a_second` on average. who: what a key stands for, in the problem."""

    def __init__(
        self,
        a_second: float,
        burst: int,
        what: str,
        clock: Callable[[], float] = monotonic,
        *,
        who: str = "a key may make",
    ) -> None:
        self._a_second = a_second
        self._burst = burst
        self._what = what
        self._who = who
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key_id: str) -> None:
        """Takes one token of a key. RateLimited, with the seconds until the next one. O(1)."""
        now = self._clock()
        tokens, since = self._buckets.pop(key_id, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._a_second)
        is_free = tokens >= 1
        self._buckets[key_id] = (tokens - is_free, now)
        if len(self._buckets) > KEYS_MAX:
            self._buckets.popitem(last=False)
        if not is_free:
            raise RateLimited(
                f"{self._who} {self._a_second:g} {self._what} a second",
                retry_after_s=ceil((1 - tokens) / self._a_second),
            )

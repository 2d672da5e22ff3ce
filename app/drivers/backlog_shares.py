"""Shares of a bounded backlog: how much of it one client may hold, so that there is always room for the next one."""

from collections.abc import Hashable

from ..model.errors import Overloaded, RateLimited

#: What a client holds and asks for may be at most one in so many parts of what is then still free: one client alone
#: comes to two fifths of the backlog or less, each further one to less, and room for a newcomer is always left.
FREE_PARTS_MIN = 2
#: A client that holds less than one in so many parts of the backlog is never told that it takes too much.
SMALL_PARTS_MIN = 50


class BacklogShares:
    """What each client holds of a backlog of `total_max` units. Each call is O(1)."""

    def __init__(self, total_max: int, what: str) -> None:
        self._total_max = total_max
        self._what = what
        self._held: dict[Hashable, int] = {}
        self.total = 0

    def check(self, caller: Hashable, cost: int) -> None:
        """RateLimited where the client would hold more than its share, Overloaded where others filled the backlog.

        The limit of a client falls as the backlog fills. Who meets it with much in the backlog takes too much (429);
        who meets it with little or nothing there would wait for others (503).
        """
        own = self._held.get(caller, 0)
        if (own + cost) * FREE_PARTS_MIN <= self._total_max - self.total:
            return
        if own * SMALL_PARTS_MIN >= self._total_max:
            raise RateLimited(f"too many {self._what} of this client wait already; send fewer at once")
        raise Overloaded(f"too many {self._what} wait already")

    def take(self, caller: Hashable, cost: int) -> None:
        """Holds `cost` units more for a client. RateLimited, Overloaded."""
        self.check(caller, cost)
        self._held[caller] = self._held.get(caller, 0) + cost
        self.total += cost

    def give(self, caller: Hashable, cost: int) -> None:
        """Gives `cost` units of a client back."""
        left = self._held[caller] - cost
        if left > 0:
            self._held[caller] = left
        else:
            del self._held[caller]
        self.total -= cost

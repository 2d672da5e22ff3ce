"""Shares of a bounded backlog: how much of it one client may fill, so that there is always room for the next one."""

from collections.abc import Hashable

from ..model.errors import Overloaded, RateLimited

#: A client's units, with those it adds, may be at most one in so many parts of the units that are still free. So one
#: client alone fills at most half of the backlog, each further one less, and there is always room for a newcomer.
FREE_PARTS_MIN = 2
#: A client with less than one in so many parts of the backlog never gets `429`: it does not take too much.
SMALL_PARTS_MIN = 50


class BacklogShares:
    """The units of a backlog of `units_max` that each client has. Each call is O(1)."""

    def __init__(self, units_max: int, what: str) -> None:
        self._units_max = units_max
        self._what = what
        self._units: dict[Hashable, int] = {}
        self.units = 0

    def check(self, caller: Hashable, cost: int) -> None:
        """RateLimited if the client would have more than its share, Overloaded if others filled the backlog.

        A client's limit falls as the backlog fills. At the limit, a client with much in the backlog takes too much
        (429); one with little or nothing there would wait for others (503).
        """
        own = self._units.get(caller, 0)
        if (own + cost) * FREE_PARTS_MIN <= self._units_max - self.units:
            return
        if own * SMALL_PARTS_MIN >= self._units_max:
            raise RateLimited(f"too many {self._what} of this client wait already; send fewer at once")
        raise Overloaded(f"too many {self._what} wait already")

    def take(self, caller: Hashable, cost: int) -> None:
        """Gives a client `cost` units more. RateLimited, Overloaded."""
        self.check(caller, cost)
        self._units[caller] = self._units.get(caller, 0) + cost
        self.units += cost

    def give(self, caller: Hashable, cost: int) -> None:
        """Takes `cost` units back from a client."""
        left = self._units[caller] - cost
        if left > 0:
            self._units[caller] = left
        else:
            del self._units[caller]
        self.units -= cost

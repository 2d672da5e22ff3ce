"""Ranks close up behind users who are not shown, on a board whose places were counted with them."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class ArchivedPosition(NamedTuple):
    """A place as it was counted. key: the greater the better; better, levels: how many users, and scores, are above."""

    position: int
    key: int
    better: int
    levels: int


class HiddenEntry(NamedTuple):
    """Who is not shown. peers: how many of the board have this key, this one among them."""

    position: int
    key: int
    peers: int


class HiddenAdjustment:
    """What the places of a board become without some of its users. O(log n) a place."""

    def __init__(self, gone: Iterable[HiddenEntry]) -> None:
        held = sorted(gone)
        self._positions = [one.position for one in held]
        self._better = sorted(-one.key for one in held)
        of_key = Counter(one.key for one in held)
        # A score that nobody shown has is no level any more.
        self._levels = sorted({-one.key for one in held if of_key[one.key] == one.peers})

    def __len__(self) -> int:
        return len(self._positions)

    def hides(self, position: int) -> bool:
        """Whether who stands there is not shown."""
        place = bisect_left(self._positions, position)
        return place < len(self._positions) and self._positions[place] == position

    def counted(self, shown: int) -> int:
        """Where the one who is shown at a place was counted; behind the end, a place behind the end."""
        low, high = shown, shown + len(self._positions)
        while low < high:
            middle = (low + high) // 2
            if middle - bisect_right(self._positions, middle) >= shown:
                high = middle
            else:
                low = middle + 1
        return low

    def shown(self, held: ArchivedPosition) -> ArchivedPosition:
        """A place as it is shown."""
        return ArchivedPosition(
            held.position - bisect_left(self._positions, held.position),
            held.key,
            held.better - bisect_left(self._better, -held.key),
            held.levels - bisect_left(self._levels, -held.key),
        )

"""Ranks close up behind users who are not shown, on a board whose places were counted with them."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class ArchivedPosition(NamedTuple):
    """A row of an archive, ranks with hidden users in them. sort_key: the greater, the better; better_users,
    better_scores: how many of each are above."""

    position: int
    sort_key: int
    better_users: int
    better_scores: int


class HiddenEntry(NamedTuple):
    """A row of a hidden user. peers: how many rows of the board have this key, this one included."""

    position: int
    sort_key: int
    peers: int


class HiddenAdjustment:
    """What the places of a board become without some of its users. O(log n) a place."""

    def __init__(self, gone: Iterable[HiddenEntry]) -> None:
        held = sorted(gone)
        self._positions = [one.position for one in held]
        self._better_users = sorted(-one.sort_key for one in held)
        of_key = Counter(one.sort_key for one in held)
        # A score that nobody shown has is no level any more.
        self._better_scores = sorted({-one.sort_key for one in held if of_key[one.sort_key] == one.peers})

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
            held.sort_key,
            held.better_users - bisect_left(self._better_users, -held.sort_key),
            held.better_scores - bisect_left(self._better_scores, -held.sort_key),
        )

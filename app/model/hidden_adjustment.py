"""Takes hidden users out of the positions and ranks of an archived board, which were computed with them."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class ArchivedPosition(NamedTuple):
    """A row of an archive, which counts hidden users too. sort_key: the greater, the better; better_users,
    better_scores: the numbers of users and of scores above."""

    position: int
    sort_key: int
    better_users: int
    better_scores: int


class HiddenRow(NamedTuple):
    """A row of a hidden user. peers: how many rows of the board have this key, this one included."""

    position: int
    sort_key: int
    peers: int


class HiddenAdjustment:
    """Takes hidden users out of the positions of a board. O(log n) a position."""

    def __init__(self, rows: Iterable[HiddenRow]) -> None:
        hidden = sorted(rows)
        self._positions = [row.position for row in hidden]
        self._better_users = sorted(-row.sort_key for row in hidden)
        of_key = Counter(row.sort_key for row in hidden)
        # A score that only hidden users have does not count as above anybody.
        self._better_scores = sorted({-row.sort_key for row in hidden if of_key[row.sort_key] == row.peers})

    def __len__(self) -> int:
        return len(self._positions)

    def hides(self, position: int) -> bool:
        """Whether the user at an archived position is hidden."""
        index = bisect_left(self._positions, position)
        return index < len(self._positions) and self._positions[index] == position

    def archived_position(self, position: int) -> int:
        """The archived position of the row that is shown at a position; the one after the last for a position past
        the end."""
        low, high = position, position + len(self._positions)
        while low < high:
            middle = (low + high) // 2
            if middle - bisect_right(self._positions, middle) >= position:
                high = middle
            else:
                low = middle + 1
        return low

    def adjust(self, at: ArchivedPosition) -> ArchivedPosition:
        """A position as shown, without hidden users."""
        return ArchivedPosition(
            at.position - bisect_left(self._positions, at.position),
            at.sort_key,
            at.better_users - bisect_left(self._better_users, -at.sort_key),
            at.better_scores - bisect_left(self._better_scores, -at.sort_key),
        )

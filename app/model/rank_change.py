"""What changed between two states of the top of a board: who entered, who left, whose rank changed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class TopRow(NamedTuple):
    """A user's row at the top. user: a number; units: the score in scaled units."""

    user: int
    rank: int
    units: int


class RankChange(NamedTuple):
    """One user's change. type: `entered`, `left` or `rank_changed`; rank, units: afterwards, None for who left;
    previous_rank: None for who entered."""

    type: str
    user: int
    rank: int | None
    units: int | None
    previous_rank: int | None


def rank_changes(before: Mapping[int, int], after: Sequence[TopRow]) -> list[RankChange]:
    """The changes from ranks by user to rows in the order of the board: first who left, by their old ranks. O(n)."""
    present = {row.user for row in after}
    left = sorted((rank, user) for user, rank in before.items() if user not in present)
    changes = [RankChange("left", user, None, None, rank) for rank, user in left]
    for row in after:
        previous = before.get(row.user)
        if previous != row.rank:
            changes.append(
                RankChange("entered" if previous is None else "rank_changed", row.user, row.rank, row.units, previous)
            )
    return changes

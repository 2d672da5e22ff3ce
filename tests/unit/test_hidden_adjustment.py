"""Closing up against counting anew without those who are not shown."""

from hypothesis import given
from hypothesis import strategies as st

from app.model.hidden_adjustment import ArchivedPosition, HiddenAdjustment, HiddenRow


def count(keys: list[int]) -> list[ArchivedPosition]:
    """Places of keys, the best first."""
    return [
        ArchivedPosition(
            position, key, sum(other > key for other in keys), len({other for other in keys if other > key})
        )
        for position, key in enumerate(keys, 1)
    ]


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=12))
def test_places_are_those_of_a_board_without_them(entries: list[tuple[int, bool]]) -> None:
    entries = sorted(entries, reverse=True)
    keys = [key for key, _ in entries]
    places = count(keys)
    hidden = [hides for _, hides in entries]
    gone = [
        HiddenRow(at.position, at.sort_key, keys.count(at.sort_key))
        for at, hides in zip(places, hidden, strict=True)
        if hides
    ]
    adjustment = HiddenAdjustment(gone)
    left = [at for at, hides in zip(places, hidden, strict=True) if not hides]
    assert [adjustment.adjust(at) for at in left] == count([at.sort_key for at in left])
    assert [adjustment.archived_position(position) for position in range(1, len(left) + 1)] == [
        at.position for at in left
    ]
    assert adjustment.archived_position(len(left) + 1) > (left[-1].position if left else 0)
    assert [at.position for at in places if adjustment.hides(at.position)] == [one.position for one in gone]
    assert len(adjustment) == len(gone)

"""What is told of two states of the top of a board."""

from app.model.rank_change import RankChange, TopRow, rank_changes

ANN, BOB, CLEO = 1, 2, 3


def test_a_board_that_stays_has_no_changes() -> None:
    assert rank_changes({ANN: 1, BOB: 2}, [TopRow(ANN, 1, 30), TopRow(BOB, 2, 20)]) == []


def test_who_left_comes_before_who_is_there() -> None:
    changes = rank_changes({ANN: 1, BOB: 2}, [TopRow(CLEO, 1, 40), TopRow(ANN, 2, 30)])
    assert changes == [
        RankChange("left", BOB, None, None, 2),
        RankChange("entered", CLEO, 1, 40, None),
        RankChange("rank_changed", ANN, 2, 30, 1),
    ]


def test_a_score_alone_is_no_change() -> None:
    assert rank_changes({ANN: 1}, [TopRow(ANN, 1, 99)]) == []


def test_equal_ranks_are_ranks() -> None:
    changes = rank_changes({ANN: 1, BOB: 2}, [TopRow(ANN, 1, 30), TopRow(BOB, 1, 30)])
    assert changes == [RankChange("rank_changed", BOB, 1, 30, 2)]


def test_what_was_told_is_the_next_state() -> None:
    """Applied one by one, the changes lead to the board that they were made from."""
    rows = [TopRow(CLEO, 1, 40), TopRow(ANN, 2, 30)]
    ranks = {ANN: 1, BOB: 2}
    for change in rank_changes(ranks, rows):
        if change.rank is None:
            del ranks[change.user]
        else:
            ranks[change.user] = change.rank
    assert ranks == {row.user: row.rank for row in rows}

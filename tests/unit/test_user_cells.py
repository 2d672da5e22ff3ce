"""Users' numbers out of groups of their grants."""

from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.user_cells import CellBuilder, GrantGroup, UserCells


def group(score: int, seq: int, *, windows: str = "all 2026-01", **fields: Any) -> GrantGroup:
    given: dict[str, Any] = {
        "category": None,
        "source": None,
        "day": None,
        "voided": False,
        "grants": 1,
        "last": 100 * seq,
    }
    given |= {"first_seq": seq, "latest": [100 * seq, seq], "tie_key": None, "seq_key": [0, seq]} | fields
    return GrantGroup(windows=windows, seq=seq, score=score, **given)


def cells(rules: dict[str, Any], *groups: GrantGroup, is_corrected: bool = False) -> UserCells:
    user = UserCells(9, None, None, False, is_corrected, groups=list(groups))
    CellBuilder(Namespace(1, "n", 0, 1, Rules(**rules)), closed={"2025-12"}).build(user)
    return user


def test_one_group_is_the_same_number_everywhere() -> None:
    user = cells({}, group(5, 1, category="red", source="race", windows="all 2025-12 2026-01"))
    numbers = {"b:all": 5, "b:2026-01": 5, "total": 5, "c:red": 5, "s:race": 5}
    assert user.cells == numbers | {"count": 1, "last": 100}
    assert user.is_uniform


@pytest.mark.parametrize(
    ("rules", "score"),
    [
        ({}, 8),
        ({"aggregation": "best"}, 5),
        ({"aggregation": "best", "order": "asc"}, 3),
        ({"aggregation": "latest"}, 3),
    ],
)
def test_groups_make_a_score_by_the_aggregation(rules: dict[str, Any], score: int) -> None:
    user = cells(rules, group(3, 2, windows="all 2026-02"), group(5, 1), group(50, 3, voided=True))
    assert (user.cells["b:all"], user.cells["b:2026-01"], user.cells["b:2026-02"]) == (score, 5, 3)
    assert (user.cells["total"], user.cells["count"], user.cells["last"]) == (score, 2, 200)
    assert not user.is_uniform


def test_a_user_of_a_corrected_grant_may_have_stood_on_each_board_since_another_seq() -> None:
    """A grant that moved to another day came to that board later: its places are not one number."""
    assert not cells({"tie_break": "earliest"}, group(5, 1), is_corrected=True).is_uniform
    assert cells({"tie_break": "earliest"}, group(5, 1)).is_uniform


def test_the_place_among_equals_is_that_of_the_grant_that_made_the_score() -> None:
    rules = {"tie_break": "earliest"}
    assert cells(rules, group(3, 2, windows="all"), group(5, 1)).cells["o:all"] == 2
    assert cells(rules, group(0, 4, seq_key=None), group(0, 3, seq_key=None, day="x")).cells["o:all"] == 3


def test_a_sum_of_nothing_has_no_total() -> None:
    assert "total" not in cells({}, group(0, 1)).cells

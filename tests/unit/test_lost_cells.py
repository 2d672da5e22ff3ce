"""What a ledger lacks of a user's cells, beside what grants make of them."""

import random
from typing import Any

import pytest

from app.model.lost_cells import add_lost_cells, lost_cells, other_cells
from app.model.namespace import Namespace, Rules
from app.model.user_cells import CellBuilder, Cells, UserCells

KINDS: list[dict[str, Any]] = [
    {"tie_break": "earliest"},
    {"tie_break": "granted_at"},
    {"aggregation": "best", "tie_break": "earliest"},
    {"aggregation": "best", "order": "asc"},
    {"aggregation": "latest", "tie_break": "granted_at"},
]


def space_of(rules: dict[str, Any]) -> Namespace:
    return Namespace(1, "n", 0, 1, Rules(**rules))


def cells_of(namespace: Namespace, grants: list[tuple[int, int]]) -> Cells:
    """What some grants (amount, seq) make: the moment of each goes with its seq."""
    if not grants:
        return {}
    how, amounts = namespace.aggregation, [amount for amount, _ in grants]
    if how.adds:
        score, seq = sum(amounts), max((seq for amount, seq in grants if amount), default=min(s for _, s in grants))
    elif how.keeps_times:
        score, seq = max(grants, key=lambda grant: grant[1])
    else:
        best = max if namespace.rules.order == "desc" else min
        score = best(amounts)
        seq = min(seq for amount, seq in grants if amount == score)
    cells = {"b:all": score, "c:red": score, "total": score, "count": len(grants), "last": max(s for _, s in grants)}
    if namespace.rules.tie_break != "none":
        cells["o:all"] = seq
    if how.keeps_times:
        cells |= {"gb:all": seq, "gc:red": seq}
    return {name: value for name, value in cells.items() if name not in ("total", "count") or value}


@pytest.mark.parametrize("rules", KINDS)
@pytest.mark.parametrize("seed", range(20))
def test_lost_grants_and_later_ones_make_what_all_of_them_made(rules: dict[str, Any], seed: int) -> None:
    chance, namespace = random.Random(seed), space_of(rules)
    grants = [(chance.randrange(1, 5), seq) for seq in range(1, 13)]
    first, gap = grants[: chance.randrange(5)], grants[5:8]
    lost, left = lost_cells(namespace, cells_of(namespace, first + gap), cells_of(namespace, first))
    assert left == []
    later = first + grants[8 : 8 + chance.randrange(5)]
    user = UserCells(9, None, None, False, False, is_uniform=True, cells=cells_of(namespace, later))
    add_lost_cells(namespace, CellBuilder(namespace), user, lost)
    assert user.cells == cells_of(namespace, later + gap)
    assert not user.is_uniform


def test_a_correction_that_is_lost_is_told_from_lost_grants_where_one_grant_decides() -> None:
    namespace = space_of({"aggregation": "best"})
    lost, left = lost_cells(namespace, {"b:all": 3, "total": 3, "count": 1}, {"b:all": 9, "total": 9, "count": 2})
    assert left == ["b:all", "total"]
    assert lost["count"] == -1
    sums = space_of({})
    assert lost_cells(sums, {"b:all": 3, "count": 1}, {"b:all": 9, "count": 2}) == ({"b:all": -6, "count": -1}, [])


def test_a_window_that_is_closed_has_no_cells() -> None:
    namespace = space_of({})
    user = UserCells(9, None, None, False, False, cells={"b:all": 1})
    lost = {"b:all": 2, "b:2026-01": 2, "b:2026-01:red": 2, "b:2026-02": 2, "c:red": 2}
    add_lost_cells(namespace, CellBuilder(namespace, closed={"2026-01"}), user, lost)
    assert user.cells == {"b:all": 3, "b:2026-02": 2, "c:red": 2}
    only = UserCells(9, None, None, False, False)
    add_lost_cells(namespace, CellBuilder(namespace, only="2026-01"), only, lost)
    assert only.cells == {"b:2026-01": 2, "b:2026-01:red": 2}


def test_a_correction_counts_what_is_lost_among_the_other_grants() -> None:
    cells = other_cells({"b:all": 7, "o:all": 4, "c:red": 7, "d:2026-01-01": 1, "count": 2, "last": 50, "total": 7})
    assert set(cells) == {"all", "c:red", "d:2026-01-01"}
    assert (cells["all"].highest, cells["all"].lowest, cells["all"].tie) == (7, 7, 4)

"""What becomes of a cell of which the user has several other grants, and of one that is sealed."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.model.aggregation import AGGREGATIONS_BY_NAME
from app.model.cell_ops import Cell, plan_cells
from app.model.correction import GrantState
from app.model.namespace import Namespace, Rules
from app.model.ops import AddToCell, DeleteCell, LastGrantedAt, SetCell
from app.model.tie_break import tie_place
from tests.support.grant_history import cells_made_by, grant

DAY = "1970-01-01"
# Two others, and neither the first nor the last of them is both the highest and the lowest.
OTHERS = [grant("b", 9, 20), grant("c", 2, 30), grant("d", 4, 25)]


def space(**rules: Any) -> Namespace:
    return Namespace(3, "race", 0, 1, Rules(**{"periods": ("all", "day")} | rules))


def op_on_all(
    namespace: Namespace, before: GrantState | None, after: GrantState | None, others: Sequence[GrantState]
) -> Any:
    """What becomes of the score on the board `all`."""
    return plan_cells(namespace, before, after, cells_made_by(namespace, others)).ops.boards[0]


ROWS: list[tuple[str, dict[str, Any], GrantState | None, int]] = [
    ("the highest of the others", {"aggregation": "best"}, None, 9),
    ("higher than the others", {"aggregation": "best"}, grant("a", 10, 10), 10),
    ("between the others", {"aggregation": "best"}, grant("a", 5, 10), 9),
    ("the lowest of the others", {"aggregation": "best", "order": "asc"}, None, 2),
    ("lower than the others", {"aggregation": "best", "order": "asc"}, grant("a", 1, 10), 1),
    ("between the others, where low is better", {"aggregation": "best", "order": "asc"}, grant("a", 5, 10), 2),
]


@pytest.mark.parametrize(("rules", "after", "score"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_the_best_of_several_grants_counts(rules: dict[str, Any], after: GrantState | None, score: int) -> None:
    assert op_on_all(space(**rules), grant("a", 7, 10), after, OTHERS) == SetCell(1, score)


LATEST: list[tuple[str, GrantState | None, int, int]] = [
    ("it goes", None, 2, 30),
    ("before the last", grant("a", 7, 29, seq=99), 2, 30),
    ("behind the last", grant("a", 7, 31, seq=1), 7, 31),
    ("at the moment of the last, with an earlier seq", grant("a", 7, 30, seq=29), 2, 30),
    ("at the moment of the last, with a later seq", grant("a", 7, 30, seq=31), 7, 30),
]


@pytest.mark.parametrize(("after", "score", "at"), [pytest.param(*row[1:], id=row[0]) for row in LATEST])
def test_the_latest_of_several_grants_counts(after: GrantState | None, score: int, at: int) -> None:
    """Of one moment it is the one of the later seq."""
    namespace = space(aggregation="latest")
    assert op_on_all(namespace, grant("a", 7, 10), after, OTHERS) == SetCell(1, score, at)


@pytest.mark.parametrize(
    ("rules", "op"),
    [({}, AddToCell(1, -7)), ({"aggregation": "best"}, SetCell(1, 9)), ({"aggregation": "latest"}, SetCell(1, 2, 30))],
    ids=str,
)
def test_where_the_last_grant_goes_nothing_stays(rules: dict[str, Any], op: Any) -> None:
    namespace, gone = space(**rules), grant("a", 7, 10)
    assert op_on_all(namespace, gone, None, OTHERS) == op
    assert op_on_all(namespace, gone, None, []) == DeleteCell(1)


def test_a_board_that_never_counted_a_grant_stays_as_it_is() -> None:
    """A grant that is taken back, of which a sealed board is to know nothing."""
    gone = grant("a", 7, 10, windows=("all", DAY))
    plan = plan_cells(space(), gone, None, {}, sealed={DAY})
    assert plan.boards == ("all", DAY)
    assert plan.ops.boards == (DeleteCell(1),)
    assert plan_cells(space(), gone, None, {}).ops.boards == (DeleteCell(1), DeleteCell(2))


@pytest.mark.parametrize(("loose", "is_least"), [({}, False), ({"loose": True}, True)])
def test_the_last_granted_at_is_a_bound_only_in_a_loose_plan(loose: dict[str, Any], is_least: bool) -> None:
    namespace = space()
    plan = plan_cells(namespace, grant("a", 7, 10), None, cells_made_by(namespace, OTHERS), **loose)
    assert plan.ops.last == LastGrantedAt(30, is_least=is_least)


@pytest.mark.parametrize(
    ("how", "key"),
    [("highest", (9, -tie_place(20, 1))), ("lowest", (-2, -tie_place(20, 1))), ("latest", (0, tie_place(20, 1)))],
)
def test_a_place_in_line_goes_by_the_number_that_counts(how: str, key: tuple[int, int]) -> None:
    cell = Cell(9, 2, 4, 25, 25, tie_place(20, 1))
    aggregation = AGGREGATIONS_BY_NAME[how]
    assert cell.line_key(aggregation) == key
    assert cell._replace(tie=None).line_key(aggregation) is None, "where places in line do not go by moments"


@pytest.mark.parametrize(
    ("rules", "place"),
    [
        ({"aggregation": "best"}, tie_place(20, 20)),
        ({"aggregation": "best", "order": "asc"}, tie_place(30, 30)),
        ({"aggregation": "latest"}, tie_place(30, 30)),
        ({}, tie_place(30, 30)),
    ],
    ids=str,
)
def test_of_several_others_the_place_in_line_is_that_of_the_grant_that_counts(
    rules: dict[str, Any], place: int
) -> None:
    namespace = space(tie_break="granted_at", **rules)
    assert op_on_all(namespace, grant("a", 7, 10), None, OTHERS).tie_place == place
    assert op_on_all(namespace, grant("a", 7, 10), grant("a", 5, 11), OTHERS).tie_place == place

"""Corrections of one user's grants, planned one behind the other, against what a look at all grants says."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from app.model import chain
from app.model.cell_ops import Cell
from app.model.chain import _Cells, entries_of, steps_of
from app.model.correction import CorrectionRequest, Edit, GrantState
from app.model.namespace import Namespace, Rules
from app.model.tie_break import latest_tie_place, tie_place

CELLS = ["all", "a", "b"]


def state(number: int, amount: int, windows: Sequence[str], at: int) -> GrantState:
    return GrantState(
        grant_id=f"g{number}",
        user="otter",
        revision=1,
        amount=amount,
        category=None,
        source=None,
        source_id=None,
        action=None,
        session_id=None,
        granted_at=at,
        windows=tuple(windows),
        voided=False,
        seq=number,
    )


def looked_up(rest: Mapping[str, Cell], grants: Mapping[str, GrantState], own: str, name: str) -> Cell | None:
    others = [one for grant_id, one in grants.items() if grant_id != own and name in one.windows]
    cells = [Cell(one.amount, one.amount, one.amount, one.granted_at, one.seq) for one in others]
    cells += [rest[name]] if name in rest else []
    if not cells:
        return None
    last = max(cells, key=lambda cell: (cell.latest_at, cell.latest_seq))
    return Cell(max(cell.highest for cell in cells), min(cell.lowest for cell in cells), *last[2:])


@pytest.mark.parametrize("aggregation", ["best", "latest", "sum"])
@pytest.mark.parametrize("seed", range(20))
def test_what_the_others_make_is_what_a_look_at_all_of_them_says(seed: int, aggregation: Any) -> None:
    """For a sum it matters only that there are other grants, except on the `all` board, which has a last moment."""
    chance = random.Random(seed)
    rest = {"all": Cell(5, -5, 3, 40, 101), "a": Cell(1, 1, 1, 90, 102)} if seed % 2 else {}
    namespace = Namespace(1, "race", 0, 1, Rules(aggregation=aggregation))
    cells, grants = _Cells(namespace, rest), dict[str, GrantState]()
    for _ in range(200):
        number = chance.randrange(8)
        grant_id = f"g{number}"
        if chance.random() < 0.3:
            grants.pop(grant_id, None)
        else:
            windows = ["all", *chance.sample(CELLS[1:], chance.randrange(3))]
            grants[grant_id] = state(number, chance.randrange(-3, 4), windows, chance.randrange(100))
        cells.put(grant_id, grants.get(grant_id))
        own = f"g{chance.randrange(8)}"
        cells_of_others = cells.others(own, CELLS)
        expected = {name: cell for name in CELLS if (cell := looked_up(rest, grants, own, name)) is not None}
        exact = CELLS if aggregation != "sum" else CELLS[:1]
        assert cells_of_others.keys() == expected.keys()
        assert {name: cells_of_others.get(name) for name in exact} == {name: expected.get(name) for name in exact}


def test_many_corrections_look_at_few_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at every other grant for each one is a million looks for a thousand."""
    calls = 0

    def counted(function: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += len(args[0]) if isinstance(args[0], list | dict) or hasattr(args[0], "__len__") else 1
            return function(*args, **more)

        return call

    for name in ("max", "min"):
        monkeypatch.setattr(chain, name, counted(__builtins__[name]), raising=False)  # type: ignore[index]
    cells = _Cells(Namespace(1, "race", 0, 1, Rules()), {"all": Cell(5, -5, 3, 40, 1)})
    for i in range(1_000):
        cells.put(f"g{i}", state(i, i, ["all"], i))
    for i in range(1_000):
        cells.others(f"g{i}", ["all"])
    assert calls < 10_000


@pytest.mark.parametrize("rules", [{}, {"aggregation": "best"}, {"aggregation": "latest"}])
def test_a_correction_works_out_the_boards_of_a_grant_a_few_times(
    monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any]
) -> None:
    """However many there are: once for each of 208 was 200 ms for a chain of a hundred."""
    namespace, calls = Namespace(1, "race", 0, 1, Rules(category_boards=True, **rules)), 0
    boards_of = Namespace.boards_of

    def counted(*args: Any) -> tuple[str, ...]:
        nonlocal calls
        calls += 1
        return boards_of(*args)

    windows = ["all", *(f"season:s{i}" for i in range(100))]
    grants = {
        one.grant_id: msgspec.structs.replace(one, category="red")
        for one in (state(i, 3, windows, i) for i in range(10))
    }
    asks = [CorrectionRequest(grant_id, "void", Edit(), "admin") for grant_id in grants]
    steps = steps_of(namespace, asks, grants, {}, 100, None)
    monkeypatch.setattr(Namespace, "boards_of", counted)
    assert [len(entry.boards) for entry in entries_of(namespace, steps, {}, 10)] == [202] * 10
    assert calls <= 10 * len(asks)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rules", [("sum", "desc"), ("best", "desc"), ("best", "asc"), ("latest", "desc")])
def test_the_place_in_line_is_what_a_look_at_all_of_them_says(seed: int, rules: tuple[Any, Any]) -> None:
    chance = random.Random(seed)
    aggregation, order = rules
    namespace = Namespace(1, "race", 0, 1, Rules(aggregation=aggregation, order=order, tie_break="granted_at"))
    first = state(101, chance.randrange(-3, 4), ["all"], 40)
    moment = tie_place(first.granted_at, first.seq)
    tie = latest_tie_place([namespace.aggregation.line_key(first.amount, moment)])
    rest = {"all": Cell(first.amount, first.amount, first.amount, first.granted_at, first.seq, tie)} if seed % 2 else {}
    cells, grants = _Cells(namespace, rest), dict[str, GrantState]()
    for _ in range(200):
        number = chance.randrange(8)
        if chance.random() < 0.3:
            grants.pop(f"g{number}", None)
        else:
            grants[f"g{number}"] = state(number, chance.randrange(-3, 4), ["all"], chance.randrange(20))
        cells.put(f"g{number}", grants.get(f"g{number}"))
        own = f"g{chance.randrange(8)}"
        others = [one for grant_id, one in grants.items() if grant_id != own] + ([first] if rest else [])
        keys = [namespace.aggregation.line_key(one.amount, tie_place(one.granted_at, one.seq)) for one in others]
        cell = cells.others(own, ["all"]).get("all")
        assert (None if cell is None else cell.tie) == (latest_tie_place(keys) if others else None)

"""How entries are put into calls, by what these cost."""

from datetime import timedelta
from random import Random
from typing import Any, get_args

import pytest
from msgspec import Raw

from app.model.entry import PlannedEntry
from app.model.entry_kinds import BACKFILL, CORRECTION, GRANT
from app.model.grant import Grant, plan
from app.model.micros import EARLIEST, LATEST
from app.model.namespace import WINDOWS_MAX, Namespace, Rules, Velocity
from app.model.ops import AddToCell, CellOps
from app.model.periods import Period
from app.model.windows import Season
from app.store.call_cost import (
    CALL_BYTES_MAX,
    CALL_ENTRIES_MAX,
    CALL_US_MAX,
    CallCost,
    entry_cost,
    portions,
    write_cost,
)

NOW = 1_700_000_000_000_000


def space(number: int = 7, **rules: Any) -> Namespace:
    return Namespace(number, "race", 3, 1, Rules(**rules))


def seasons(count: int) -> tuple[Season, ...]:
    return tuple(Season(f"s{i}", EARLIEST, LATEST) for i in range(count))


def entries(count: int, users: int = 10**6, where: Namespace | None = None, **fields: Any) -> list[PlannedEntry]:
    where = where or space()
    labels = {"category": "red", "source": "race"} | fields
    return [plan(Grant(f"g{i}", f"u{i % users}", Raw(b"5"), **labels), where, NOW) for i in range(count)]


def sizes(planned: list[PlannedEntry]) -> list[int]:
    return [len(part.entries) for part in portions(planned)]


def test_a_call_holds_500_grants_of_the_default_rules() -> None:
    assert sizes(entries(1_030)) == [500, 500, 30]
    assert write_cost(entries(500)) <= CALL_US_MAX
    assert write_cost(entries(530)) > CALL_US_MAX
    assert sizes([]) == []


def test_what_costs_more_comes_in_smaller_calls() -> None:
    plain = sizes(entries(1_000))[0]
    for rules in (
        {"category_boards": True},
        {"tie_break": "earliest"},
        {"ranking": "dense"},
        {"bounded_sums": True},
        {"streaks": True},
        {"seasons": seasons(9)},
    ):
        planned = entries(1_000, where=space(**rules))
        assert sizes(planned)[0] < plain
        assert [entry for part in portions(planned) for entry in part.entries] == planned
        assert all(part.cost == write_cost(part.entries) <= CALL_US_MAX for part in portions(planned))


def test_what_entries_share_is_counted_once() -> None:
    where = space(seasons=seasons(100), category_boards=True)
    one, user, users = (write_cost(entries(*count, where)) for count in ((1, 1), (10, 1), (10, 10)))
    assert 0 < user - one < users - one
    assert users < 10 * one
    other = write_cost([*entries(1, where=where), *entries(1, where=space(8, seasons=seasons(100)))])
    assert other > write_cost(entries(2, where=where))


def test_a_call_takes_so_many_bytes_and_entries() -> None:
    large = entries(300, meta={"text": "x" * 2_000})
    assert all(sum(len(entry.log_bytes) for entry in part.entries) <= CALL_BYTES_MAX for part in portions(large))
    assert sizes(large)[0] < 150
    assert sizes(entries(1_030, users=1)) == [CALL_ENTRIES_MAX, CALL_ENTRIES_MAX, 30]


def test_an_entry_that_costs_more_goes_alone() -> None:
    one, other = entries(2)
    one.boards = tuple(f"season:{i}" for i in range(CALL_US_MAX))
    assert sizes([other, one, other]) == [1, 1, 1]


@pytest.mark.parametrize("periods", [("all", "month", "week", "day"), get_args(Period)])
def test_the_heaviest_grant_that_rules_allow_fits_into_a_call(periods: tuple[Period, ...]) -> None:
    rules: dict[str, Any] = {"tie_break": "earliest", "ranking": "dense", "bounded_sums": True, "streaks": True}
    some = seasons(WINDOWS_MAX - len(periods))
    where = space(periods=periods, seasons=some, category_boards=True, aggregation="latest", **rules)
    (grant,) = entries(1, where=where, meta={"text": "x" * 2_000}, source_id="s" * 64)
    assert len(grant.boards) == 2 * WINDOWS_MAX
    assert write_cost([grant]) <= CALL_US_MAX


def test_a_cost_grows_as_entries_join() -> None:
    cost, planned = CallCost(), entries(20)
    totals = [cost.us for entry in planned if cost.add(entry)]
    assert totals == sorted(totals)
    assert totals[-1] == cost.us == write_cost(planned)
    assert not cost.add(entries(21)[20], cost.us)
    assert (cost.us, cost.add(planned[0], cost.us + 100)) == (totals[-1], True)


def mixed() -> list[PlannedEntry]:
    """Entries that share some of their namespaces, boards and users."""
    rules: dict[str, Any] = {"category_boards": True, "seasons": seasons(3), "tie_break": "earliest"}
    spaces = [
        space(1, velocity=(Velocity(per=timedelta(hours=1), max_grants=5),)),
        space(2, **rules),
        space(3, **rules),
    ]
    groups = [
        entries(6, users, where, category=category) for users in (2, 6) for where in spaces for category in LABELS
    ]
    return [entry for part in groups for entry in part]


LABELS = ("red", "blue")
ADDS = CellOps(tuple(AddToCell(i, 5) for i in range(1, 5)), tuple(AddToCell(i, 5) for i in range(1, 3)))


def test_what_one_entry_costs_alone() -> None:
    for entry in mixed():
        assert entry_cost(entry) == write_cost([entry])


def test_two_calls_in_one_cost_what_their_entries_cost() -> None:
    planned = mixed()
    for seed in range(50):
        Random(seed).shuffle(planned)
        first, second = planned[: seed + 1], planned[seed + 1 : 2 * seed]
        ours, theirs = CallCost(), CallCost()
        for cost, part in ((ours, first), (theirs, second)):
            assert all(cost.add(entry) for entry in part)
        assert ours.us_with(theirs) == theirs.us_with(ours) == write_cost([*first, *second])
        alone = ours.us
        ours.merge(theirs)
        assert alone <= ours.us == write_cost([*first, *second])


def test_a_correction_weighs_more_than_a_grant_by_what_it_names() -> None:
    grants, corrections = entries(100), entries(100)
    for correction in corrections:
        correction.kind, correction.ops = CORRECTION, ADDS
    assert write_cost(corrections) > 1.25 * write_cost(grants)
    for backfilled in corrections:
        backfilled.kind, backfilled.ops = BACKFILL, None
    assert write_cost(corrections) == write_cost(grants)


def test_the_first_correction_of_a_user_weighs_more_once_in_a_call_of_two_parts() -> None:
    both = [*entries(60, users=4), *entries(40, users=6, source="raid")]
    for i, entry in enumerate(both):
        entry.kind, entry.ops = (CORRECTION, ADDS) if i % 3 else (GRANT, None)
    for at in range(len(both)):
        ours, theirs = CallCost(), CallCost()
        assert all(cost.add(entry) for cost, part in ((ours, both[:at]), (theirs, both[at:])) for entry in part)
        assert ours.us_with(theirs) == write_cost(both)
        ours.merge(theirs)
        assert ours.us_with(CallCost()) == write_cost(both)
        third = CallCost()
        assert all(third.add(entry) for entry in both)
        assert ours.us_with(third) == write_cost([*both, *both])

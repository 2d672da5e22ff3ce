"""Several corrections of one grant that could not be recorded: each can be dropped or recorded, in any order."""

from typing import Any

import pytest

from tests.hostile.test_letters_beside import RULES
from tests.support.dead_letters import (
    AT,
    code_of,
    command,
    edit,
    many,
    places,
    refusing,
    score,
    url,
    verify,
)
from tests.support.fault_isolation import Isolation

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,)])
def test_two_corrections_of_a_grant_that_are_letters(
    iso: Isolation, rules: dict[str, Any], order: tuple[int, ...]
) -> None:
    """Made by one request, dropped in either order, or the later one alone while the other is recorded after all."""
    space = iso.space(**rules)
    iso.grant(space, "g1", 3, granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        results = many(iso, space, ("edit", "g1", 8), ("edit", "g1", 20))
        assert [code_of(result) for result in results] == ["applied"] * 2
        iso.stack.wait_flushed()
    letters = places(iso)
    standing = {0: 8, 1: 20}
    for i in order:
        assert command(iso, "drop", letters[i])[0] == 0
        del standing[i]
        assert score(iso, space) == (standing[max(standing)] if standing else 3)
    if len(order) == 1:
        (i,) = standing
        assert command(iso, "retry", letters[i])[0] == 0
    last = iso.client.get(url(space, "g1")).json()
    assert last["amount"] == score(iso, space)
    answer = edit(iso, space, "g1", 30)
    assert (answer.status_code, score(iso, space)) == (200, 30), answer.text
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0,), (1,)])
def test_a_void_and_a_restore_that_are_letters(iso: Isolation, order: tuple[int, ...]) -> None:
    """The count of live grants follows what counts."""
    iso.grant(iso.sick, "g1", 3, granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        results = many(iso, iso.sick, ("void", "g1", None), ("restore", "g1", None))
        assert [code_of(result) for result in results] == ["applied"] * 2
        iso.stack.wait_flushed()
    letters = places(iso)
    for i in order:
        assert command(iso, "drop", letters[i])[0] == 0
    for place in places(iso):
        assert command(iso, "retry", place)[0] == 0
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("aggregation", ["sum", "best", "latest"])
def test_a_grant_that_was_a_letter_keeps_its_place_among_equals(iso: Isolation, aggregation: str) -> None:
    """A correction of it goes by the seq that the grant had in the log, not by that of the entry that recorded it."""
    space = iso.space(tie_break="granted_at", aggregation=aggregation)
    with refusing(iso, "g1"):
        iso.grant(space, "g1", 3, granted_at=AT)
        iso.stack.wait_flushed()
    (place,) = places(iso)
    assert command(iso, "retry", place)[0] == 0
    iso.stack.wait_flushed()
    answer = edit(iso, space, "g1", 8)
    assert (answer.status_code, score(iso, space)) == (200, 8), answer.text
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def letters_of_edits(iso: Isolation, space: str, *amounts: int) -> list[str]:
    """A grant of 3 beside one of 1, and edits of it in one request that could not be recorded; their places."""
    iso.grant(space, "g1", 3, granted_at=AT)
    iso.grant(space, "g0", 1, granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        results = many(iso, space, *(("edit", "g1", amount) for amount in amounts))
        assert [code_of(result) for result in results] == ["applied"] * len(amounts)
        iso.stack.wait_flushed()
    return places(iso)


def assert_waits_for_an_operator(iso: Isolation, space: str) -> None:
    """Nothing corrects the grant g1, and nothing shows it without what could not be recorded. g0 is free."""
    path = url(space, "g1")
    answers = [
        iso.client.delete(path),
        edit(iso, space, "g1", 5),
        edit(iso, space, "g1", 5, "a-key"),
        iso.client.post(f"{path}/restore"),
        iso.client.patch(f"{path}?dry_run=true", json={"amount": 5}),
        iso.client.get(path),
    ]
    assert [answer.status_code for answer in answers] == [503] * len(answers), [answer.text for answer in answers]
    titles = {answer.json()["title"] for answer in answers}
    assert titles == {"An operator has to decide about the grant."}
    results = many(iso, space, ("void", "g1", None), ("edit", "g0", 2), ("edit", "g1", 5), ("edit", "g0", 1))
    assert [code_of(result) for result in results] == ["store_unavailable", "applied"] * 2
    details = [answer.json()["detail"] for answer in answers] + [results[i]["error"]["detail"] for i in (0, 2)]
    assert ["could not be recorded" in detail for detail in details] == [True] * len(details)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(
    ("amounts", "decisions", "rest"),
    [
        pytest.param((8, 20), [("drop", 0)], "retry", id="first dropped, last recorded"),
        pytest.param((8, 20), [("drop", 0)], "drop", id="both dropped"),
        pytest.param((8, 20), [("retry", 1)], "drop", id="last recorded, first dropped"),
        pytest.param((8, 20, 50), [("retry", 0), ("drop", 1)], "retry", id="middle dropped, last recorded"),
        pytest.param((8, 20, 50), [("retry", 0), ("drop", 1)], "drop", id="middle and last dropped"),
    ],
)
def test_a_grant_is_not_corrected_while_any_letter_of_it_is_open(
    iso: Isolation, rules: dict[str, Any], amounts: tuple[int, ...], decisions: list[tuple[str, int]], rest: str
) -> None:
    """A plan from the ledger alone would replace a revision that the boards do not show."""
    space = iso.space(**rules)
    letters = letters_of_edits(iso, space, *amounts)
    assert_waits_for_an_operator(iso, space)
    for decision, i in decisions:
        assert command(iso, decision, letters[i])[0] == 0
        assert_waits_for_an_operator(iso, space)
    assert command(iso, rest, *places(iso))[0] == 0
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")
    assert edit(iso, space, "g1", 6).status_code == 200
    assert iso.client.delete(url(space, "g1")).json()["status"] == "applied"
    iso.stack.wait_flushed()
    assert (score(iso, space), verify(iso)) == (1, (0, ""))


def test_a_letter_of_which_little_could_be_recorded_holds_its_grant_too(iso: Isolation) -> None:
    """Postgres refuses the amounts of its tombstone as well. A grant of the same name elsewhere is free."""
    iso.grant(iso.sick, "g1", 3, granted_at=AT)
    iso.grant(iso.well, "g1", 3, granted_at=AT)
    iso.stack.wait_flushed()
    with iso.raising("22P05", "new.kind IN ('correction', 'tombstone') AND new.amount = 8"):
        results = many(iso, iso.sick, ("edit", "g1", 8))
        assert code_of(results[0]) == "applied"
        iso.stack.wait_flushed()
    (place,) = places(iso)
    assert edit(iso, iso.sick, "g1", 9).status_code == 503
    assert edit(iso, iso.well, "g1", 9).status_code == 200
    assert command(iso, "retry", place)[0] == 0
    iso.stack.wait_flushed()
    assert edit(iso, iso.sick, "g1", 9).status_code == 200
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")

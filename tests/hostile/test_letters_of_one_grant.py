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
    told = edit(iso, space, "g1", 30)
    assert (told.status_code, score(iso, space)) == (200, 30), told.text
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
    told = edit(iso, space, "g1", 8)
    assert (told.status_code, score(iso, space)) == (200, 8), told.text
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")

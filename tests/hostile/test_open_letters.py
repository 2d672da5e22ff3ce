"""What is planned while dead letters are open counts them as the boards do, whatever is decided about them later."""

from typing import Any

import pytest

from tests.hostile.test_letters_beside import RULES
from tests.support.dead_letters import AT, code_of, command, edit, many, places, refusing, url, verify
from tests.support.fault_isolation import Isolation

pytestmark = pytest.mark.timeout(180)

ASCENDING: dict[str, Any] = {"aggregation": "best", "order": "asc", "category_boards": True}
MOMENTS: dict[str, Any] = {"tie_break": "granted_at"}
BEST_MOMENTS: dict[str, Any] = {"aggregation": "best", "tie_break": "granted_at"}


@pytest.mark.parametrize("rules", [*RULES, ASCENDING, MOMENTS, BEST_MOMENTS])
@pytest.mark.parametrize("decision", ["retry", "drop"])
@pytest.mark.parametrize("step", [("edit", "g1", 8), ("edit", "g1", 1), ("void", "g1", None)])
def test_a_correction_of_another_grant_beside_a_correction_that_is_a_letter(
    iso: Isolation, rules: dict[str, Any], decision: str, step: tuple[str, str, Any]
) -> None:
    space = iso.space(**rules)
    for grant_id, amount in (("g1", 3), ("g2", 4), ("g3", 3)):
        iso.grant(space, grant_id, amount, category="red", source="race", granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        assert code_of(*many(iso, space, step)) == "applied"
        iso.stack.wait_flushed()
    assert edit(iso, space, "g2", 5).status_code == 200
    assert iso.client.delete(url(space, "g3")).status_code == 200
    assert command(iso, decision, *places(iso))[0] == 0
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("decision", ["retry", "drop"])
def test_a_user_of_nothing_but_a_letter_in_quarantine(iso: Isolation, decision: str) -> None:
    """The quota does not count them while the letter is open."""
    space = iso.space(suspicious="quarantine", amount_max=10)
    with refusing(iso, "bad"):
        assert iso.grant(space, "bad", 50)["status"] == "quarantined"
        iso.stack.wait_flushed()
    (line,) = verify(iso)[1].splitlines()
    assert "could not be recorded" in line
    assert command(iso, decision, *places(iso))[0] == 0
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("rules", [*RULES, MOMENTS])
@pytest.mark.parametrize("is_grant", [False, True])
def test_a_letter_whose_heal_could_not_be_recorded(iso: Isolation, rules: dict[str, Any], is_grant: bool) -> None:
    """The heal's tombstone settles the letter; the user's other grants are corrected as if it had never been."""
    space = iso.space(**rules)
    for grant_id, user, amount in (("g1", "otter", 3), ("g2", "otter", 2), ("g3", "bob", 3)):
        iso.grant(space, grant_id, amount, user=user, category="red", granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1", "bad"):
        if is_grant:
            iso.grant(space, "bad", 9, category="red", granted_at=AT)
        else:
            assert edit(iso, space, "g1", 9).status_code == 200
        iso.stack.wait_flushed()
    (place,) = places(iso)
    with iso.raising("22P05", "new.kind = 'heal'"):
        assert command(iso, "drop", place)[0] == 0
    assert iso.recorded(space)[-1][0] == "tombstone"
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")
    assert edit(iso, space, "g2", 1).status_code == 200
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")

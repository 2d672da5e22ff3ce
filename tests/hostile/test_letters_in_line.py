"""Where the earliest stands first among equals: dead letters that counted for a while change who is the earliest."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.dead_letters import AT, code_of, command, edit, many, places, refusing, verify
from tests.support.fault_isolation import Isolation
from tests.support.waits import until

pytestmark = pytest.mark.timeout(180)

DAY = AT[:10]
RULES: list[dict[str, Any]] = [
    {"tie_break": "earliest", "category_boards": True},
    {"tie_break": "earliest", "aggregation": "best"},
    {"tie_break": "earliest", "aggregation": "best", "order": "asc"},
    {"tie_break": "earliest", "aggregation": "latest"},
]


def listed(iso: Isolation, space: str, window: str = "all", query: str = "") -> list[str]:
    """The users of a board, the first one first."""
    answer = iso.client.get(f"/v1/namespaces/{space}/boards/{window}?limit=100{query}")
    assert answer.status_code == 200, answer.text
    return [entry["user_id"] for entry in answer.json()["entries"]]


def as_of_now() -> str:
    return f"&as_of={datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S.%fZ}"


def wait_archived(iso: Isolation, space: str) -> None:
    """Closes all windows but `all`, and waits until the day is archived."""
    rules = iso.client.get(f"/v1/namespaces/{space}").json()
    body = {name: rules[name] for name in ("tie_break", "aggregation", "order", "category_boards")}
    assert iso.client.put(f"/v1/namespaces/{space}", json=body | {"accept_past": "P7D"}).status_code == 200
    until(
        lambda: iso.sql(
            'SELECT 1 FROM seals s JOIN namespaces n ON n.id = s.namespace_id WHERE n.name = %s AND s."window" = %s '
            "AND archived_at IS NOT NULL",
            *(space, DAY),
        ),
        "the day is not archived",
    )


def agree(iso: Isolation, space: str) -> None:
    """Redis, `verify`, the board of this moment out of the ledger, and the archive list equals in one order."""
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")
    for window in ("all", DAY):
        assert listed(iso, space, window, as_of_now()) == listed(iso, space, window), window


@pytest.mark.parametrize("rules", RULES)
def test_who_comes_back_to_a_score_stands_behind_those_who_had_it_meanwhile(
    iso: Isolation, rules: dict[str, Any]
) -> None:
    """An edit counts, cannot be recorded and is dropped: the score is as before, and is reached anew."""
    space = iso.space(**rules)
    iso.grant(space, "g1", 3, category="red", granted_at=AT)
    iso.grant(space, "g2", 3, user="bob", category="red", granted_at=AT)
    iso.stack.wait_flushed()
    assert listed(iso, space) == ["otter", "bob"]
    with refusing(iso, "g1"):
        assert edit(iso, space, "g1", 8).status_code == 200
        iso.grant(space, "g3", 3, user="cleo", category="red", granted_at=AT)
        iso.stack.wait_flushed()
    assert command(iso, "drop", *places(iso))[0] == 0
    iso.grant(space, "g4", 3, user="dora", category="red", granted_at=AT)
    assert listed(iso, space) == listed(iso, space, DAY) == ["bob", "cleo", "otter", "dora"]
    agree(iso, space)
    wait_archived(iso, space)
    assert listed(iso, space, DAY) == ["bob", "cleo", "otter", "dora"]
    agree(iso, space)


@pytest.mark.parametrize("rules", RULES)
def test_a_letter_behind_a_seal_that_is_dropped_changes_no_order_there(iso: Isolation, rules: dict[str, Any]) -> None:
    """The closed day never counted it; the board of all time did."""
    space = iso.space(**rules)
    for grant_id, user in (("g1", "otter"), ("g2", "bob")):
        iso.grant(space, grant_id, 3, user=user, category="red", granted_at=AT)
    wait_archived(iso, space)
    with refusing(iso, "g1"):
        assert edit(iso, space, "g1", 8).status_code == 200
        iso.stack.wait_flushed()
    assert command(iso, "drop", *places(iso))[0] == 0
    assert (listed(iso, space), listed(iso, space, DAY)) == (["bob", "otter"], ["otter", "bob"])
    agree(iso, space)


STEPS: list[tuple[str, Any]] = [("edit", 3), ("edit", 5), ("edit", 8), ("void", None)]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_decisions_about_revisions_of_a_grant(iso: Isolation, rules: dict[str, Any], seed: int) -> None:
    """Two or three revisions are letters, some of them recorded after all and some dropped, others tie meanwhile."""
    chance, space = random.Random(seed), iso.space(**rules)
    users = iter(f"u{i}" for i in range(100))

    def others() -> None:
        for amount in chance.sample((1, 3, 5, 8), 2):
            user = next(users)
            iso.grant(space, f"of-{user}", amount, user=user, category="red", granted_at=AT)

    iso.grant(space, "g1", 3, category="red", granted_at=AT)
    if chance.random() < 0.5:
        iso.grant(space, "g2", 3, category="red", granted_at=AT)
    others()
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        asks, is_void = [], False
        for _ in range(chance.choice((2, 3))):
            op, amount = ("restore", None) if is_void else chance.choice(STEPS)
            is_void = op == "void"
            asks.append((op, "g1", amount))
        results = many(iso, space, *asks)
        assert {code_of(result) for result in results} <= {"applied", "duplicate"}, results
        others()
        iso.stack.wait_flushed()
    letters = places(iso)
    for place in chance.sample(letters, len(letters)):
        assert command(iso, chance.choice(("retry", "drop")), place)[0] == 0
        others()
        if chance.random() < 0.3:
            agree_so_far(iso, space)
    assert places(iso) == []
    agree(iso, space)
    assert edit(iso, space, "g1", 3).status_code == 200
    others()
    agree(iso, space)


def agree_so_far(iso: Isolation, space: str) -> None:
    """While letters are open, `verify` names them and nothing else."""
    iso.stack.wait_flushed()
    lines = verify(iso)[1].splitlines()
    assert [line for line in lines if "could not be recorded" not in line] == []

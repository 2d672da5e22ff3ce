"""Entries that counted and could not be recorded: how they are reported, and what an operator can do about them."""

from typing import Any

import pytest

from tests.support.dead_letters import command, places, refusing, verify
from tests.support.fault_isolation import Isolation
from tests.support.redis_scores import scores_in_redis
from tests.support.waits import until

pytestmark = pytest.mark.timeout(180)

RULES: list[dict[str, Any]] = [
    {},
    {"tie_break": "earliest", "ranking": "dense", "category_boards": True, "streaks": True, "bounded_sums": True},
    {"aggregation": "best", "tie_break": "earliest", "category_boards": True, "streaks": True},
    {"aggregation": "best", "order": "asc", "ranking": "dense"},
    {"aggregation": "latest", "tie_break": "earliest"},
]
AT = {"granted_at": "2024-05-01T10:00:00Z"}


def boards(iso: Isolation, space: str) -> dict[bytes, Any]:
    """All that Redis holds of a namespace's scores, but for when it was written."""
    ((number,),) = iso.sql("SELECT id FROM namespaces WHERE name = %s", space)
    return scores_in_redis(iso.direct, number)


@pytest.mark.parametrize("rules", RULES)
def test_a_letter_is_recorded_after_all(iso: Isolation, rules: dict[str, Any]) -> None:
    """Where there are streaks, it is an opening balance."""
    space, opening = iso.space(**rules), "streaks" in rules
    iso.grant(space, "g1", 3, category="red", source="race", **AT)
    iso.grant(space, "g2", 4, user="bob", category="red", **AT)
    with refusing(iso, "bad"):
        iso.grant(space, "bad", 5, category="blue", source="race", meta={"round": 1}, opening=opening, **AT)
        iso.grant(space, "g3", 2, category="red", **AT)
        iso.grant(space, "g4", 9, user="bob", **AT)
        iso.stack.wait_flushed()
        code, output = verify(iso)
        (place,) = places(iso)
        why = f"{space}: the entry {place.split(':')[1]} of 'otter' could not be recorded (22P05 planted): "
        cure = f"mend the cause and run leaderboard dead-letters retry {place}, or drop {place}\n"
        assert (code, output) == (1, why + cure)
        code, listed = command(iso, "list")
        assert code == 0
        assert [word in listed for word in (place, space, "otter", "bad", "22P05 planted")] == [True] * 5
        code, output = command(iso, "retry", place)
        assert (code, output) == (1, f"leaderboard: {place} cannot be recorded: 22P05 planted\n")
    before = boards(iso, space)
    code, output = command(iso, "retry", place)
    assert code == 0, output
    assert f"{place}: recorded by seq" in output
    assert boards(iso, space) == before
    assert command(iso, "retry", place) == (0, f"{place}: nothing is left to do\n")
    assert command(iso, "list") == (0, "no dead letters\n")
    body = iso.client.get(f"/v1/namespaces/{space}/grants/bad").json()
    assert (body["amount"], body["meta"], body["voided"], body["category"]) == (5, {"round": 1}, False, "blue")
    assert body["opening"] == opening
    ((recorded, original),) = iso.sql(
        "SELECT recorded_at, (SELECT t.recorded_at FROM ledger t WHERE t.kind = 'tombstone' "
        "AND t.seq = l.original_seq AND t.partition = l.partition) FROM ledger l "
        "JOIN namespaces n ON n.id = l.namespace_id "
        "WHERE n.name = %s AND l.grant_id = 'bad'",
        space,
    )
    assert recorded == original
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")
    # It is a grant like any other from here on.
    assert iso.client.delete(f"/v1/namespaces/{space}/grants/bad").status_code == 200
    assert iso.client.patch(f"/v1/namespaces/{space}/grants/g3", json={"amount": 7}).status_code == 200
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("rules", RULES)
def test_a_letter_is_taken_off_the_boards(iso: Isolation, rules: dict[str, Any]) -> None:
    """Two of one user who has nothing else, and one beside a recorded grant; two are opening balances."""
    space = iso.space(**rules)
    iso.grant(space, "g1", 3, user="bob", category="red", source="race", **AT)
    iso.stack.wait_flushed()
    before = boards(iso, space)
    with refusing(iso, "bad1", "bad2", "bad3"):
        iso.grant(space, "bad1", 5, category="blue", source="race", **AT)
        iso.grant(space, "bad2", 6, category="blue", opening=True, **AT)
        iso.grant(space, "bad3", 7, user="bob", category="red", opening=True, **AT)
        iso.stack.wait_flushed()
    answer = iso.client.get(f"/v1/namespaces/{space}/grants/bad1")
    assert (answer.status_code, "could not be recorded" in answer.json()["detail"]) == (503, True)
    first, *others = places(iso)
    assert command(iso, "drop", first)[0] == 0
    assert verify(iso)[0] == 1
    counted = iso.client.get(f"/v1/namespaces/{space}/users/otter").json()
    assert (counted["score"], counted["grants"]) == (6, 1)
    code, output = command(iso, "drop", "--all")
    assert (code, output.count("taken off the boards by seq")) == (0, 2)
    assert command(iso, "drop", first, *others) == (
        0,
        "".join(f"{p}: nothing is left to do\n" for p in (first, *others)),
    )
    assert iso.client.get(f"/v1/namespaces/{space}/grants/bad1").json()["code"] == "grant_not_found"
    after = boards(iso, space)
    board = {key: after[key] for key in after if b":bp:" not in key and b":b:" not in key and b"otter" not in key}
    assert board == {key: before[key] for key in board}
    shown = iso.client.get(f"/v1/namespaces/{space}/boards/all").json()["entries"]
    assert [(entry["user_id"], entry["score"]) for entry in shown] == [("bob", 3)]
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("decision", ["retry", "drop"])
def test_a_correction_that_could_not_be_recorded(iso: Isolation, decision: str) -> None:
    space = iso.space(category_boards=True)
    iso.grant(space, "g1", 3, category="red", **AT)
    iso.grant(space, "g2", 4, category="red", **AT)
    iso.stack.wait_flushed()
    before = boards(iso, space)
    with refusing(iso, "g1"):
        url = f"/v1/namespaces/{space}/grants/g1"
        assert iso.client.patch(url, json={"amount": 8, "category": "blue"}).json()["score"] == 12
        iso.stack.wait_flushed()
    counted = boards(iso, space)
    (place,) = places(iso)
    code, output = command(iso, decision, place)
    assert code == 0, output
    # A member of a space that nobody is in any more is no part of it.
    assert boards(iso, space) == (counted if decision == "retry" else before)
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_a_letter_in_quarantine_stays_there(iso: Isolation) -> None:
    space = iso.space(suspicious="quarantine", amount_max=10)
    with refusing(iso, "bad1", "bad2"):
        for grant_id in ("bad1", "bad2"):
            assert iso.grant(space, grant_id, 50)["status"] == "quarantined"
        iso.stack.wait_flushed()
    first, second = places(iso)
    assert command(iso, "drop", first)[0] == 0
    assert command(iso, "retry", second)[0] == 0
    assert iso.client.get(f"/v1/namespaces/{space}/grants/bad2").json()["quarantined"] is True
    assert iso.client.post(f"/v1/namespaces/{space}/grants/bad2/restore").json()["score"] == 50
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_a_decision_survives_everybody(iso: Isolation) -> None:
    """The command is killed, the persister is killed again and again: one entry, once."""
    with refusing(iso, "bad"):
        iso.grant(iso.sick, "bad")
        iso.stack.wait_flushed()
    (place,) = places(iso)
    iso.stack.kill("persist")
    iso.sql("UPDATE dead_letters SET decision = 'retry' WHERE healed_seq IS NULL")
    code, output = command(iso, "drop", place)
    assert (code, output) == (1, f"leaderboard: {place} cannot be taken off the boards: it is to be recorded already\n")
    for _ in range(3):
        iso.stack.start("persist")
        until(
            lambda: iso.sql("SELECT 1 FROM leases JOIN pg_locks ON objid = holder::oid WHERE locktype = 'advisory'"),
            "no persister",
        )
        iso.stack.kill("persist")
    iso.stack.start("persist")
    until(lambda: not places(iso), "the letter is not recorded")
    iso.stack.wait_flushed()
    assert [row[0] for row in iso.recorded(iso.sick)] == ["tombstone", "grant"]
    assert verify(iso) == (0, "")


def test_an_erased_user_leaves_no_letter(iso: Isolation) -> None:
    with refusing(iso, "bad"):
        iso.grant(iso.sick, "bad", user="secret-name")
        iso.stack.wait_flushed()
    (place,) = places(iso)
    assert iso.stack.run("erase", "secret-name").returncode == 0
    assert places(iso) == []
    assert iso.sql("SELECT seq FROM dead_letters WHERE position('secret-name' IN encode(entry, 'escape')) > 0") == []
    assert command(iso, "retry", place) == (0, f"{place}: nothing is left to do\n")
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_what_is_no_letter_is_said(iso: Isolation) -> None:
    unknown = "there is no dead letter 0:1-99999: leaderboard dead-letters list shows those there are"
    assert command(iso, "retry", "0:1-99999") == (
        1,
        f"leaderboard: {unknown}\n",
    )
    assert [command(iso, *args)[0] for args in (("retry",), ("drop", "x"), ("drop", "0:1-1", "--all"))] == [2, 2, 2]


def test_a_decision_ends_the_pause_of_a_partition_with_too_many_letters(iso: Isolation) -> None:
    """Once the cause is mended, the ledger goes on with the first decision, not ten minutes later."""
    names = [f"bad{i}" for i in range(12)]
    with refusing(iso, *names):
        for name in names:
            iso.grant(iso.sick, name, granted_at=AT["granted_at"])
        until(lambda: "in a minute cannot be recorded" in iso.degraded(), "the partition goes on")
        assert "it waits 10 minutes, or until somebody decides about one of its dead letters" in iso.degraded()
    letters = places(iso)
    assert len(letters) == 10
    code, output = command(iso, "retry", *letters)
    assert (code, output.count("recorded by seq")) == (0, 10), output
    iso.mended()
    assert verify(iso) == (0, "")

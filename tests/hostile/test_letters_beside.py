"""Grants of which an entry could not be recorded: what can be done with them, and with those beside them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.drivers.scripts import load
from app.store import keys
from tests.support.dead_letters import (
    AT,
    code_of,
    command,
    edit,
    letter_of_an_edit,
    many,
    places,
    refusing,
    score,
    url,
    verify,
)
from tests.support.fault_isolation import Isolation
from tests.support.waits import until

pytestmark = pytest.mark.timeout(180)

ADDS: dict[str, Any] = {"category_boards": True, "streaks": True}
BEST: dict[str, Any] = {"aggregation": "best", "tie_break": "earliest"}
LATEST: dict[str, Any] = {"aggregation": "latest"}
EARLIEST: dict[str, Any] = {"tie_break": "earliest"}
RULES = [ADDS, BEST, LATEST]


def rotate(iso: Isolation, p: int) -> None:
    """The seen generations that are kept now are dropped, as if days had gone by."""
    script = iso.direct.register_script(load("rotate_dedup").source)
    generations = iso.direct.hget(keys.meta(p), "generations")
    while set(generations.split(b",")) & set((now := iso.direct.hget(keys.meta(p), "generations")).split(b",")):
        newest, oldest = now.split(b",")[0].decode(), now.split(b",")[-1].decode()
        epoch = iso.direct.hget(keys.meta(p), "epoch")
        assert script(keys=[keys.meta(p), keys.dedup(p, newest), keys.dedup(p, oldest)], args=[epoch, now, 0, 0]) == 1


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("rotated", [False, True])
def test_a_grant_is_corrected_after_its_correction_was_dropped(
    iso: Isolation, rules: dict[str, Any], rotated: bool
) -> None:
    """Its revision and its Idempotency-Key are free again."""
    space = iso.space(**rules)
    iso.grant(space, "g1", 3, category="red", granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        assert edit(iso, space, "g1", 8, "again").json()["revision"] == 2
        iso.stack.wait_flushed()
    if rotated:
        ((p,),) = iso.sql("SELECT partition FROM namespaces WHERE name = %s", space)
        rotate(iso, p)
    (place,) = places(iso)
    assert command(iso, "drop", place)[0] == 0
    assert score(iso, space) == 3
    assert iso.client.get(url(space, "g1")).json()["revision"] == 1
    again = edit(iso, space, "g1", 8, "again")
    assert (again.status_code, again.json()["status"], again.json()["revision"]) == (200, "applied", 2), again.text
    assert edit(iso, space, "g1", 8, "again").json()["status"] == "duplicate"
    assert edit(iso, space, "g1", 9).json()["score"] == 9
    assert iso.client.delete(url(space, "g1")).status_code == 200
    iso.stack.wait_flushed()
    body = iso.client.get(url(space, "g1")).json()
    assert [revision["verb"] for revision in body["revisions"]] == ["grant", "edit", "edit", "void"]
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("rules", [*RULES, {"aggregation": "best"}, EARLIEST])
@pytest.mark.parametrize("decisions", ["drop retry", "retry drop", "retry retry"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_grant_of_which_two_corrections_could_not_be_recorded(
    iso: Isolation, rules: dict[str, Any], decisions: str, newest_first: bool
) -> None:
    """The ledger may lack a revision, or get it behind a later one: buckets and live grants follow what counts."""
    space = iso.space(**rules)
    for grant_id, amount in (("g1", 3), ("g2", 4)):
        iso.grant(space, grant_id, amount, category="red", granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        results = many(iso, space, ("edit", "g1", 8), ("edit", "g1", 9))
        assert [result["revision"] for result in results] == [2, 3], results
        iso.stack.wait_flushed()
    letters = places(iso)
    assert len(letters) == 2
    for place, decision in zip(letters[::-1] if newest_first else letters, decisions.split(), strict=True):
        assert command(iso, decision, place)[0] == 0
        iso.stack.wait_flushed()
    assert verify(iso) == (0, "")
    assert edit(iso, space, "g1", 6).status_code == 200
    iso.stack.wait_flushed()
    assert iso.client.delete(url(space, "g1")).status_code == 200
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_a_dropped_correction_does_not_free_what_another_has_claimed_since(iso: Isolation) -> None:
    """The correction was forgotten, and another one was made in its place before it was dropped."""
    place = letter_of_an_edit(iso)
    assert command(iso, "drop", place)[0] == 0
    assert edit(iso, iso.sick, "g1", 5).json()["revision"] == 2
    iso.stack.wait_flushed()
    assert command(iso, "drop", place) == (0, f"{place}: nothing is left to do\n")
    assert edit(iso, iso.sick, "g1", 6).json()["revision"] == 3
    iso.stack.wait_flushed()
    assert (score(iso, iso.sick), verify(iso)) == (6, (0, ""))


def test_a_grant_that_is_a_letter_is_no_grant_once_it_is_dropped(iso: Isolation) -> None:
    with refusing(iso, "bad"):
        iso.grant(iso.sick, "bad", granted_at=AT)
        iso.stack.wait_flushed()
    body = iso.client.get(url(iso.sick, "bad")).json()
    answers = [
        iso.client.delete(url(iso.sick, "bad")),
        edit(iso, iso.sick, "bad", 8),
        iso.client.patch(url(iso.sick, "bad") + "?dry_run=true", json={"amount": 8}),
        iso.client.post(url(iso.sick, "bad") + "/restore"),
    ]
    assert [(a.status_code, a.json()["detail"]) for a in answers] == [(503, body["detail"])] * 4
    assert "an operator has to look at it" in body["detail"]
    assert command(iso, "drop", *places(iso))[0] == 0
    answers = [
        iso.client.get(url(iso.sick, "bad")),
        iso.client.delete(url(iso.sick, "bad")),
        edit(iso, iso.sick, "bad", 8),
        iso.client.patch(url(iso.sick, "bad") + "?dry_run=true", json={"amount": 8}),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "grant_not_found")] * 4


@pytest.mark.parametrize("rules", RULES)
def test_a_letter_harms_no_correction_beside_it(iso: Isolation, rules: dict[str, Any]) -> None:
    """A grant and a correction that are dead letters, grants of the same user and of another, one that never was."""
    space = iso.space(**rules)
    for grant_id, user in (("g1", "otter"), ("g2", "otter"), ("g3", "bob")):
        iso.grant(space, grant_id, 3, user=user, granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "bad", "g1"):
        iso.grant(space, "bad", 4, granted_at=AT)
        assert edit(iso, space, "g1", 5).status_code == 200
        iso.stack.wait_flushed()
        asks = (
            ("void", "bad", None),
            ("void", "none", None),
            ("edit", "g1", 6),
            ("edit", "g2", 7),
            ("void", "g3", None),
        )
        results = many(iso, space, *asks)
    codes = ["store_unavailable", "grant_not_found", "store_unavailable", "applied", "applied"]
    assert [code_of(result) for result in results] == codes
    for i in (0, 2):
        assert "an operator has to look at it" in results[i]["error"]["detail"]
    assert command(iso, "drop", "--all")[0] == 0
    results = many(iso, space, *asks)
    codes = ["grant_not_found", "grant_not_found", "applied", "duplicate", "duplicate"]
    assert [code_of(result) for result in results] == codes
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_a_grant_that_is_not_in_the_ledger_yet_harms_no_correction_beside_it(iso: Isolation) -> None:
    iso.grant(iso.sick, "g1", 3, user="bob", granted_at=AT)
    iso.stack.wait_flushed()
    iso.stack.kill("persist")
    try:
        iso.grant(iso.sick, "fresh", 3, granted_at=AT)
        results = many(iso, iso.sick, ("void", "fresh", None), ("void", "none", None), ("void", "g1", None))
    finally:
        iso.stack.start("persist")
    assert [code_of(result) for result in results] == ["store_unavailable", "grant_not_found", "applied"]


def test_duplicates_tell_their_voids_beside_one_of_which_nothing_is_known(iso: Isolation) -> None:
    bodies = [{"grant_id": f"g{i}", "user_id": "otter", "amount": 3, "granted_at": AT} for i in range(3)]
    for body in bodies:
        iso.client.post(f"/v1/namespaces/{iso.sick}/grants", json=body)
    iso.stack.wait_flushed()
    assert iso.client.delete(url(iso.sick, "g0")).status_code == 200
    with refusing(iso, "g1"):
        assert iso.client.delete(url(iso.sick, "g1")).status_code == 200
        iso.stack.wait_flushed()
    results = iso.client.post(f"/v1/namespaces/{iso.sick}/grants", json=bodies).json()["results"]
    assert [result["status"] for result in results] == ["duplicate"] * 3
    assert [result.get("voided", False) for result in (results[0], results[2])] == [True, False]


def test_letters_of_a_deleted_namespace_are_settled(iso: Isolation) -> None:
    space = iso.space()
    with refusing(iso, "bad", "bad2"):
        iso.grant(space, "bad", granted_at=AT)
        iso.grant(iso.sick, "bad2", granted_at=AT)
        iso.stack.wait_flushed()
    assert len(places(iso)) == 2
    assert iso.client.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
    (left,) = places(iso)
    assert "1 entry could not be recorded" in iso.degraded()
    assert len(command(iso, "list")[1].splitlines()) == 2
    assert command(iso, "drop", left)[0] == 0
    assert "could not be recorded" not in iso.degraded()
    assert command(iso, "list") == (0, "no dead letters\n")


def test_an_entry_that_becomes_a_letter_behind_the_deletion_is_settled(iso: Isolation) -> None:
    """It lies in the log while its namespace is deleted."""
    space = iso.space()
    with refusing(iso, "bad"):
        iso.stack.kill("persist")
        try:
            iso.grant(space, "bad", granted_at=AT)
            assert iso.client.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
        finally:
            iso.stack.start("persist")
        iso.stack.wait_flushed()
        until(
            lambda: iso.sql("SELECT 1 FROM dead_letters WHERE reason = 'poison' AND created_at IS NOT NULL"),
            "no letter",
        )
        assert "could not be recorded" not in iso.degraded()
    assert command(iso, "list") == (0, "no dead letters\n")


def test_an_erased_user_with_a_correction_that_is_a_letter(iso: Isolation) -> None:
    place = letter_of_an_edit(iso, user="secret-name")
    assert iso.stack.run("erase", "secret-name").returncode == 0
    assert places(iso) == []
    assert command(iso, "drop", place) == (0, f"{place}: nothing is left to do\n")
    assert iso.sql("SELECT seq FROM dead_letters WHERE position('secret-name' IN encode(entry, 'escape')) > 0") == []
    assert iso.client.delete(url(iso.sick, "g1")).status_code in (409, 503)
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


@pytest.mark.parametrize("first", ["retry", "drop"])
def test_what_is_settled_stays_settled(iso: Isolation, first: str) -> None:
    """Retried after it was dropped, dropped after it was recorded, and the same twice: nothing moves."""
    place = letter_of_an_edit(iso)
    assert command(iso, first, place)[0] == 0
    for decision in ("retry", "drop", first):
        assert command(iso, decision, place) == (0, f"{place}: nothing is left to do\n")
    counts = 8 if first == "retry" else 3
    assert score(iso, iso.sick) == counts
    body = edit(iso, iso.sick, "g1", 9).json()
    assert (body["score"], body["previous_score"]) == (9, counts)
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_two_operators_at_once(iso: Isolation) -> None:
    """The first decision is valid, and the other command reports it. In both cases the grant can be corrected."""
    place = letter_of_an_edit(iso)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda verb: iso.stack.run("dead-letters", verb, place), ("retry", "drop")))
    (winner,) = [run for run in done if " by seq " in run.stdout]
    (loser,) = [run for run in done if run is not winner]
    if loser.returncode == 0:  # It looked when the other one was done.
        assert loser.stdout == f"{place}: nothing is left to do\n"
    assert score(iso, iso.sick) == {"retry": 8, "drop": 3}[winner.args[1]]
    assert command(iso, loser.args[1], place) == (0, f"{place}: nothing is left to do\n")
    assert edit(iso, iso.sick, "g1", 9).json()["score"] == 9
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")

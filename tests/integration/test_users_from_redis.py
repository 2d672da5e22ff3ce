"""`rebuild --from-redis`: users who were erased, hidden or shown since an older Postgres was copied."""

import time
from typing import Any

import pytest

from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.older_state import BOARD, RACE, grant, post, put, settle, take_back, wait_gone
from tests.support.random_writers import Writers


@pytest.mark.timeout(180)
def test_erased_users_are_not_published_again(own_stack: Any) -> None:
    with own_stack.client() as client:
        put(client, "/v1/namespaces/race")
        for user in ("ghost", "shade", "reborn", "otter"):
            assert grant(client, user) == 201
        for user in ("ghost", "reborn", "otter"):
            put(client, f"/v1/users/{user}", display_name=user.title())
        settle(own_stack)
        copy_postgres(own_stack)
        for user in ("ghost", "shade", "reborn"):
            assert client.delete(f"/v1/users/{user}").status_code == 204
        body = {"grant_id": "second life", "user_id": "reborn", "amount": 2}
        assert client.post(f"{RACE}/grants", json=body).status_code == 201
        settle(own_stack)
        board = client.get(BOARD).json()["entries"]
        swap_postgres(own_stack)
        report = take_back(own_stack)
        assert "erasures 3" in report
        assert not any(user in report.lower() for user in ("ghost", "shade", "reborn"))
        settle(own_stack)
        wait_gone(own_stack, "SELECT 1 FROM users WHERE name IN ('ghost', 'shade')")
        assert client.get(BOARD).json()["entries"] == board
        assert [(row["user_id"], row["display_name"]) for row in board] == [("reborn", None), ("otter", "Otter")]
        for user in ("ghost", "shade"):
            assert client.get(f"/v1/users/{user}").status_code == 404
        assert client.get("/v1/users/reborn").json()["display_name"] is None
        settle(own_stack)
    # The log's entry of the erasure names who has the name now: nobody can tell the two apart.
    findings = own_stack.run("verify").stdout.splitlines()
    assert {line.partition(", seq")[0] for line in findings} == {"race, ledger: 'reborn'"}


@pytest.mark.timeout(180)
def test_an_erasure_that_was_under_way_does_not_erase_who_has_the_name_now(own_stack: Any) -> None:
    with own_stack.client() as client:
        put(client, "/v1/namespaces/race")
        assert grant(client, "reborn") == 201
        put(client, "/v1/users/reborn", display_name="First")
        settle(own_stack)
        own_stack.kill("persist")
        assert client.delete("/v1/users/reborn").status_code == 202
        copy_postgres(own_stack)
        own_stack.start("persist")
        wait_gone(own_stack, "SELECT 1 FROM visibility_intents")
        put(client, "/v1/users/reborn", display_name="Second")
        body = {"grant_id": "second life", "user_id": "reborn", "amount": 2}
        assert client.post(f"{RACE}/grants", json=body).status_code == 201
        settle(own_stack)
        board = client.get(BOARD).json()["entries"]
        assert [(row["user_id"], row["display_name"], row["score"]) for row in board] == [("reborn", "Second", 2)]
        swap_postgres(own_stack)
        take_back(own_stack)
        wait_gone(own_stack, "SELECT 1 FROM visibility_intents")
        settle(own_stack)
        assert client.get(BOARD).json()["entries"] == board
        assert client.get("/v1/users/reborn").json()["display_name"] == "Second"


@pytest.mark.timeout(180)
def test_what_was_under_way_is_carried_out_to_its_end(own_stack: Any) -> None:
    """One is half shown again, one half hidden: the boards move once the ledger has what came before."""
    with own_stack.client() as client:
        put(client, "/v1/namespaces/race")
        for user in ("seal", "fox", "otter"):
            assert grant(client, user) == 201
        post(client, "/v1/users/fox/hide")
        settle(own_stack)
        copy_postgres(own_stack)
        post(client, "/v1/users/seal/hide")
        post(client, "/v1/users/fox/unhide")
        settle(own_stack)
        own_stack.kill("persist")
        for user in ("seal", "fox"):
            body = {"grant_id": f"{user} again", "user_id": user, "amount": 1}
            assert client.post(f"{RACE}/grants", json=body).status_code == 201
        assert client.post("/v1/users/seal/unhide").status_code == 202
        assert client.post("/v1/users/fox/hide").status_code == 202
        swap_postgres(own_stack)
        take_back(own_stack)
        own_stack.start("persist")
        settle(own_stack)
        board = [(row["user_id"], row["score"]) for row in client.get(BOARD).json()["entries"]]
        assert board == [("seal", 2), ("otter", 1)]
    assert verify(own_stack) == (0, [])


@pytest.mark.full
@pytest.mark.own_valkey
@pytest.mark.timeout(180)
def test_nothing_differs_where_the_state_comes_back_under_load(own_stack: Any) -> None:
    """Users are hidden, shown and erased all the time, and the logs hold what the ledger lacks."""
    with Writers(own_stack, 3):
        time.sleep(2)
        copy_postgres(own_stack)
        time.sleep(4)
        swap_postgres(own_stack)
        time.sleep(1)
        assert "taken back from Redis: " in take_back(own_stack)
        time.sleep(3)
    own_stack.wait_ready()
    own_stack.wait_flushed()
    settle(own_stack)
    assert verify(own_stack) == (0, [])

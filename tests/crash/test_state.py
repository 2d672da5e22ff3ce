"""The deployment's own state outlives a Redis that comes back older: keys, rules, who is hidden, names, namespaces."""

import shutil
from typing import Any

import httpx
import psycopg
import pytest
import redis

from app.store import fields, keys
from tests.crash.test_kill import acknowledge, refused
from tests.crash.test_marks import BOARD, give, partition_of, wait_code

GRANTS = "/v1/namespaces/crash/grants"


def come_back(stack: Any, name: str = "older") -> None:
    """Redis comes back as it was when its folder was copied."""
    stack.kill("redis")
    shutil.rmtree(stack.folder / "redis")
    shutil.copytree(stack.folder / name, stack.folder / "redis")
    stack.start("redis")


def copy(stack: Any, name: str = "older") -> None:
    shutil.copytree(stack.folder / "redis", stack.folder / name)


def grant(client: httpx.Client, name: str, user: str) -> httpx.Response:
    return client.post(GRANTS, json={"grant_id": name, "user_id": user, "amount": 1})


@pytest.mark.timeout(120)
@pytest.mark.parametrize("restart_server", [False, True])
def test_an_older_redis_gives_nothing_back_that_was_taken_away(own_stack: Any, restart_server: bool) -> None:
    revoked_key = own_stack.new_key("write:*", "read:*")
    with own_stack.client() as client, own_stack.client(revoked_key) as other:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        client.put("/v1/namespaces/gone", json={}).raise_for_status()
        acknowledge(client, 2)
        client.put("/v1/users/otter", json={"display_name": "Otter"}).raise_for_status()
        assert grant(other, "by-key", "u0").status_code == 201
        own_stack.wait_flushed()
        copy(own_stack)

        new_key = own_stack.new_key("write:*")
        assert own_stack.run("keys", "revoke", revoked_key.split("_")[1]).returncode == 0
        client.put("/v1/namespaces/crash", json={"mode": "frozen"}).raise_for_status()
        client.put("/v1/namespaces/late", json={}).raise_for_status()
        client.delete("/v1/namespaces/gone?confirm=gone").raise_for_status()
        client.put("/v1/users/otter", json={"display_name": "Old Otter"}).raise_for_status()
        client.put("/v1/users/seal", json={"display_name": "Seal"}).raise_for_status()
        assert client.post("/v1/users/seal/hide").status_code == 200
        if restart_server:
            own_stack.stop("serve")
        come_back(own_stack)
        if restart_server:
            own_stack.start("serve")
        wait_code(client, BOARD, 200)

        answer = grant(other, "by-revoked", "u0")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        answer = grant(client, "frozen", "u0")
        assert (answer.status_code, answer.json()["code"]) == (409, "namespace_frozen")
        assert client.get("/v1/namespaces/gone").json()["code"] == "namespace_not_found"
        late = "/v1/namespaces/late"
        with own_stack.client(new_key) as newcomer:
            for user in ("seal", "otter"):
                body = {"grant_id": user, "user_id": user, "amount": 1}
                assert newcomer.post(f"{late}/grants", json=body).status_code == 201
        board = client.get(f"{late}/boards/all").json()["entries"]
        assert [(entry["user_id"], entry["display_name"]) for entry in board] == [("otter", "Old Otter")]
        own_stack.wait_flushed()
    assert own_stack.run("verify").returncode == 0


@pytest.mark.timeout(120)
def test_a_hidden_user_is_not_shown_by_a_redis_that_lost_the_hiding(own_stack: Any) -> None:
    """Nobody is there who remembers, and the ledger never had the entries that took the user off."""
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        for user in ("seal", "otter"):
            assert grant(client, user, user).status_code == 201
        own_stack.wait_flushed()
        own_stack.stop("persist")
        copy(own_stack)
        hidden = client.post("/v1/users/seal/hide")
        assert hidden.status_code == 202, "what the ledger lacks may be lost: it is not said to be done"
        assert [entry["user_id"] for entry in client.get(BOARD).json()["entries"]] == ["otter"]
        own_stack.stop("serve")
        come_back(own_stack)
        own_stack.start("serve")
        seen = {entry["user_id"] for entry in wait_code(client, BOARD, 200).json()["entries"]}
        assert seen == {"otter"}
        own_stack.start("persist")
        own_stack.wait_flushed()
    assert own_stack.run("verify").returncode == 0


@pytest.mark.timeout(120)
def test_a_change_that_nobody_told_redis_of_is_published_by_a_persister(own_stack: Any) -> None:
    key = own_stack.new_key("read:*")
    with own_stack.client(key) as client, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        assert client.get("/v1/namespaces").status_code == 200
        db.execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", (key.split("_")[1],))
        wait_code(client, "/v1/namespaces", 401)


@pytest.mark.timeout(120)
def test_a_postgres_older_than_redis_takes_nothing_and_gives_nothing_back(own_stack: Any) -> None:
    own_stack.wait_flushed()
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        acknowledge(client, 2)
        own_stack.wait_flushed()
        own_stack.wait_published()
        with redis.Redis.from_url(own_stack.valkey.url) as direct:
            note = direct.hget(keys.DEPLOYMENT, fields.STATE_VERSION)
            direct.hset(keys.DEPLOYMENT, fields.STATE_VERSION, "999 another")
            own_stack.kill("redis")
            own_stack.start("redis")
            answer = own_stack.run("migrate")
            assert (answer.returncode, "ledger_behind" in answer.stderr) == (1, True), answer
            assert refused(client, "after") == "recovering"
            ready = client.get("/readyz")
            assert (ready.status_code, "ledger_behind" in str(ready.json()["degraded"])) == (503, True)
            # It was the wrong Postgres, and the right one is there again.
            direct.hset(keys.DEPLOYMENT, fields.STATE_VERSION, note)
        own_stack.restart()
        give(client, "later")


@pytest.mark.timeout(120)
def test_a_ledger_that_lost_rows_which_the_log_lacks_takes_nothing_and_boards_are_read(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        acknowledge(client, 5)
        own_stack.wait_flushed()
        own_stack.stop("persist")
        p = partition_of(own_stack)
        with psycopg.connect(own_stack.postgres.url) as db:
            digest = "(SELECT digest FROM ledger l WHERE l.partition = p.partition AND l.seq = 2)"
            db.execute("DELETE FROM ledger WHERE partition = %s AND seq > 2", (p,))
            db.execute(f"UPDATE partitions p SET seq = 2, digest = {digest} WHERE partition = %s".encode(), (p,))
        with redis.Redis.from_url(own_stack.valkey.url) as direct:
            direct.xtrim(keys.log(p), maxlen=1, approximate=False)
        own_stack.restart_unready()
        wait_code(client, "/readyz", 503)
        assert refused(client, "after") == "recovering"
        assert client.get(BOARD).json()["entries"][0]["score"] == 5
        ready = client.get("/readyz")
        assert (ready.status_code, "ledger_behind" in str(ready.json()["degraded"])) == (503, True)
        assert "2 are in no log, seq 3 to 4" in str(ready.json()["degraded"])
    config = own_stack.run("checkconfig")
    assert (config.returncode, "ledger_behind" in config.stderr) == (1, True), config

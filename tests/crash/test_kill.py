"""A store that is away, lost or turned into a replica: what is refused, what goes on, and what is there once."""

import os
import re
import signal
import time
from typing import Any

import httpx
import psycopg
import pytest
import redis


def check_exactly_once(stack: Any, acknowledged: dict[str, str]) -> None:
    stack.wait_ready()
    stack.wait_flushed()
    with stack.client() as client:
        board = client.get("/v1/namespaces/crash/boards/all").json()["entries"]
        on_board = {entry["user_id"]: entry["score"] for entry in board}
        balances = {user: client.get(f"/v1/namespaces/crash/users/{user}").json()["grants"] for user in on_board}
    with psycopg.connect(stack.postgres.url) as db:
        rows = db.execute(
            "SELECT l.grant_id, u.name FROM ledger l JOIN users u ON u.number = l.user_number WHERE kind = 'grant'"
        ).fetchall()
        standings: dict[str, int] = dict(
            db.execute("SELECT u.name, s.score FROM standings s JOIN users u ON u.number = s.user_number").fetchall()
        )
        gaps = db.execute(
            "SELECT count(*) FROM (SELECT seq - lag(seq) OVER (PARTITION BY partition ORDER BY seq) AS step"
            " FROM ledger) steps WHERE step <> 1"
        ).fetchone()
        # One that counted twice and was taken back would leave every sum right.
        aside = db.execute("SELECT count(*) FROM dead_letters").fetchone()
    assert aside == (0,)
    in_ledger: dict[str, str] = dict(rows)
    assert len(in_ledger) == len(rows)
    assert acknowledged.items() <= in_ledger.items()
    summed: dict[str, int] = {}
    for user in in_ledger.values():
        summed[user] = summed.get(user, 0) + 1
    assert on_board == summed
    assert balances == summed
    assert standings == summed
    assert gaps == (0,)


@pytest.mark.timeout(120)
def test_postgres_away_stops_neither_grants_nor_reads_nor_a_restart(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={})
        own_stack.kill("postgres")
        own_stack.kill("serve")
        own_stack.start("serve")
        for i in range(20):
            grant = {"grant_id": f"g{i}", "user_id": "u0", "amount": 1}
            assert client.post("/v1/namespaces/crash/grants", json=grant).status_code == 201
        assert client.get("/v1/namespaces/crash/boards/all").json()["entries"][0]["score"] == 20
        ready = client.get("/readyz")
        (degraded,) = ready.json()["degraded"]
        assert ready.status_code == 200
        assert re.fullmatch(r"Postgres does not answer at 127\.0\.0\.1:\d+ \(LEADERBOARD_POSTGRES_URL\)", degraded)
        assert client.get("/v1/namespaces/crash/users/u0/grants").json()["code"] == "store_unavailable"
        assert client.put("/v1/namespaces/other", json={}).status_code == 503
        own_stack.start("postgres")
    check_exactly_once(own_stack, {f"g{i}": "u0" for i in range(20)})


def refused(client: httpx.Client, grant_id: str) -> str:
    """Waits until a write is refused; its code. A 2xx here would be a grant that counts on top of a loss."""
    deadline = time.monotonic() + 20
    while True:
        answer = client.post("/v1/namespaces/crash/grants", json={"grant_id": grant_id, "user_id": "u0", "amount": 1})
        assert answer.status_code == 503, answer.text
        if answer.json()["code"] == "recovering":
            return "recovering"
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


def acknowledge(client: httpx.Client, count: int) -> None:
    for i in range(count):
        grant = {"grant_id": f"g{i}", "user_id": "u0", "amount": 1}
        assert client.post("/v1/namespaces/crash/grants", json=grant).status_code == 201


@pytest.mark.timeout(120)
def test_flushall_is_noticed_and_writes_stop(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={"visibility": "public"})
        acknowledge(client, 10)
        own_stack.wait_flushed()
        with redis.Redis.from_url(own_stack.valkey.url) as direct:
            direct.flushall()
        assert refused(client, "after") == "recovering"
        assert client.get("/readyz").status_code == 503
        for path in ("/v1/namespaces", "/v1/namespaces/crash/boards/all", "/v1/namespaces/x"):
            # What is lost must not read as what never was: clients drop their queues on a 404.
            assert (client.get(path).status_code, client.get(path).json()["code"]) == (503, "recovering")
        own_stack.restart_unready()
        assert client.get("/readyz").status_code == 503
    again = own_stack.run("migrate")
    assert again.returncode == 1
    assert "empty" in again.stderr or "lost" in again.stderr
    config = own_stack.run("checkconfig")
    assert (config.returncode, "lost" in config.stderr) == (1, True), config


def test_a_redis_turned_replica_is_reported_and_left(own_stack: Any) -> None:
    with own_stack.client() as client, redis.Redis.from_url(own_stack.valkey.url) as direct:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        assert write(client, "g1").status_code == 201
        before = {one["id"] for one in direct.client_list()}
        direct.replicaof("127.0.0.1", 1)
        assert (write(client, "g2").status_code, client.get("/readyz").status_code) == (503, 503)
        # It is left, for the name may lead elsewhere by now: no connection that wrote stays.
        assert write(client, "g2").status_code == 503
        direct.replicaof("NO", "ONE")
        own_stack.wait_ready()
        assert write(client, "g2").status_code == 201
        assert before - {one["id"] for one in direct.client_list()}


def test_a_late_grant_counts_while_postgres_is_away(own_stack: Any) -> None:
    with own_stack.client() as client:
        rules = {"aggregation": "latest", "accept_past": None}
        client.put("/v1/namespaces/crash", json=rules).raise_for_status()
        assert write(client, "g1").status_code == 201
        own_stack.kill("postgres")
        late = {"grant_id": "old", "user_id": "otter", "amount": 7, "granted_at": "2020-01-01T00:00:00Z"}
        batch = [{"grant_id": "g2", "user_id": "otter", "amount": 2}, late]
        body = client.post("/v1/namespaces/crash/grants", json=batch).json()
        assert [(result["status"], result["score"]) for result in body["results"]] == [("applied", 2)] * 2


def test_a_hanging_postgres_is_read_once_not_for_each_partition(own_stack: Any) -> None:
    with own_stack.client() as client:
        for i in range(6):
            client.put(f"/v1/namespaces/hang-{i}", json={}).raise_for_status()
        own_stack.stop("serve")
        own_stack.stop("persist")
        os.kill(own_stack.postgres.pid, signal.SIGSTOP)
        try:
            own_stack.start("serve", ready=False)
            for i in range(6):
                assert write(client, "g", f"hang-{i}").status_code == 201
            # One question for all of its partitions, which it waits for, not one and one wait for each.
            assert (own_stack.folder / "serve.log").read_text().count("offsets unknown") <= 2
        finally:
            os.kill(own_stack.postgres.pid, signal.SIGCONT)


def write(client: httpx.Client, grant_id: str, space: str = "crash") -> httpx.Response:
    body = {"grant_id": grant_id, "user_id": "otter", "amount": 1}
    return client.post(f"/v1/namespaces/{space}/grants", json=body)

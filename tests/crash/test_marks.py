"""A Redis that started anew is compared with the ledger before it is used: what it lost is noticed by whoever comes."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from app.store import fields, keys
from tests.crash.test_kill import acknowledge, check_exactly_once, refused

BOARD = "/v1/namespaces/crash/boards/all"
#: Reads of every kind: none of them may show an old or an empty board.
READS = (
    BOARD,
    f"{BOARD}/stats",
    f"{BOARD}/at/1",
    f"{BOARD}/rank-of/1",
    "/v1/namespaces/crash/users/u0",
    "/v1/namespaces/crash/users/u0/explain",
    "/v1/namespaces/crash/users/u0/activity",
    "/v1/users/u0/standings",
)


def give(client: httpx.Client, *names: str) -> None:
    for name in names:
        grant = {"grant_id": name, "user_id": "u0", "amount": 1}
        assert client.post("/v1/namespaces/crash/grants", json=grant).status_code in (200, 201)


def wait_code(client: httpx.Client, path: str, code: str | int) -> httpx.Response:
    """Waits until a read ends with a status, or with the code of a problem."""
    deadline = time.monotonic() + 20
    while True:
        answer = client.get(path)
        if code in (answer.status_code, answer.json().get("code")):
            return answer
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


def partition_of(stack: Any) -> int:
    with psycopg.connect(stack.postgres.url) as db:
        ((p,),) = db.execute("SELECT partition FROM namespaces WHERE name = 'crash'").fetchall()
    return int(p)


def truncate(stack: Any, size: int) -> None:
    (log,) = (stack.folder / "redis").rglob("*.incr.aof")
    with log.open("r+b") as file:
        file.truncate(size)


def size(stack: Any) -> int:
    (log,) = (stack.folder / "redis").rglob("*.incr.aof")
    return int(log.stat().st_size)


@pytest.mark.timeout(120)
def test_each_start_of_redis_begins_an_epoch_and_seq_goes_on(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        receipts = []
        for i in range(3):
            answer = client.post(
                "/v1/namespaces/crash/grants", json={"grant_id": f"g{i}", "user_id": "u0", "amount": 1}
            )
            receipts.append((answer.json()["epoch"], answer.json()["seq"]))
            own_stack.kill("redis")
            own_stack.start("redis")
            assert wait_code(client, BOARD, 200).json()["entries"][0]["score"] == i + 1
    assert [seq for _, seq in receipts] == [1, 2, 3]
    assert len({epoch for epoch, _ in receipts}) == 3
    check_exactly_once(own_stack, {f"g{i}": "u0" for i in range(3)})
    assert own_stack.run("verify").returncode == 0


@pytest.mark.timeout(120)
def test_a_redis_that_nobody_compared_is_neither_read_nor_written_until_postgres_answers(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        acknowledge(client, 3)
        own_stack.wait_flushed()
        own_stack.kill("postgres")
        give(client, "away")
        own_stack.kill("redis")
        own_stack.start("redis")
        assert refused(client, "after") == "recovering"
        for path in ("/v1/namespaces", *READS):
            assert client.get(path).json()["code"] in ("recovering", "store_unavailable"), path
        assert "recovering" in {client.get(path).json()["code"] for path in READS}
        own_stack.start("postgres")
        wait_code(client, BOARD, 200)
        own_stack.wait_ready()
        give(client, "later")
        assert client.get(BOARD).json()["entries"][0]["score"] == 5
        own_stack.wait_flushed()
    assert own_stack.run("verify").returncode == 0


def cut_tail(stack: Any, before: int) -> None:
    truncate(stack, before)


def empty(stack: Any, before: int) -> None:
    shutil.rmtree(stack.folder / "redis")


def older(stack: Any, before: int) -> None:
    shutil.rmtree(stack.folder / "redis")
    shutil.copytree(stack.folder / "older", stack.folder / "redis")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("restart_server", [False, True])
@pytest.mark.parametrize("fault", [cut_tail, empty, older])
def test_a_redis_that_lost_what_the_ledger_has_serves_and_takes_nothing(
    own_stack: Any, fault: Callable[[Any, int], None], restart_server: bool
) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={"visibility": "public", "statistics": True}).raise_for_status()
        client.put("/v1/namespaces/other", json={}).raise_for_status()
        acknowledge(client, 3)
        before = size(own_stack)
        shutil.copytree(own_stack.folder / "redis", Path(own_stack.folder) / "older")
        give(client, "late-1", "late-2")
        own_stack.wait_flushed()
        own_stack.kill("redis")
        fault(own_stack, before)
        own_stack.start("redis")
        if restart_server:
            own_stack.restart_unready()
        assert wait_code(client, BOARD, "recovering").status_code == 503
        assert refused(client, "after") == "recovering"
        for path in READS:
            assert client.get(path).json()["code"] == "recovering", path
        ready = client.get("/readyz")
        assert (ready.status_code, "lost" in str(ready.json()["degraded"])) == (503, True)
        if fault is not empty:
            # The others go on.
            assert client.get("/v1/namespaces/other/boards/all").status_code == 200
            grant = {"grant_id": "g", "user_id": "u", "amount": 1}
            assert client.post("/v1/namespaces/other/grants", json=grant).status_code == 201
    assert own_stack.run("checkconfig").returncode == 1
    verify = own_stack.run("verify")
    assert (verify.returncode, "lost" in verify.stdout + verify.stderr) == (1, True)


@pytest.mark.timeout(120)
def test_a_loss_that_one_server_knows_of_closes_the_partition_for_others(own_stack: Any) -> None:
    """The ledger never had what was lost: who was told so remembers it."""
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        acknowledge(client, 3)
        own_stack.wait_flushed()
        own_stack.stop("persist")
        before = size(own_stack)
        give(client, "late-1", "late-2")
        own_stack.kill("redis")
        truncate(own_stack, before)
        own_stack.start("redis")
        assert refused(client, "after") == "recovering"
        own_stack.restart_unready()
        assert refused(client, "after") == "recovering"
        assert wait_code(client, BOARD, "recovering").status_code == 503
        with redis.Redis.from_url(own_stack.valkey.url) as direct:
            reason = direct.hget(keys.meta(partition_of(own_stack)), fields.CLOSED)
        assert reason is not None
        assert b"acknowledged" in reason
        done = own_stack.run("recover")
        assert (done.returncode, reason.decode() in done.stdout) == (0, True), done
        own_stack.start("persist")
        give(client, "later")
        assert client.get(BOARD).json()["entries"][0]["score"] == 4
        own_stack.wait_flushed()
    assert own_stack.run("verify").returncode == 0
    assert own_stack.run("recover").stdout == "ok: no partition is closed\n"


@pytest.mark.timeout(120)
def test_a_server_that_remembers_a_loss_goes_on_once_it_is_settled(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/crash", json={}).raise_for_status()
        acknowledge(client, 3)
        own_stack.wait_flushed()
        own_stack.stop("persist")
        before = size(own_stack)
        give(client, "late-1", "late-2")
        own_stack.kill("redis")
        truncate(own_stack, before)
        own_stack.start("redis")
        assert refused(client, "after") == "recovering"
        assert own_stack.run("recover").returncode == 0
        own_stack.start("persist")
        wait_code(client, BOARD, 200)
        give(client, "late-1", "later")
        own_stack.wait_flushed()
    assert own_stack.run("verify").returncode == 0

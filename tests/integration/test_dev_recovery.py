"""`leaderboard dev` writes a Redis anew that lost everything."""

from pathlib import Path

import httpx
import pytest
import redis

from tests.integration.test_dev import dev
from tests.support.dev_process import Dev
from tests.support.waits import until

pytestmark = pytest.mark.own_valkey


@pytest.mark.full
def test_an_emptied_redis_is_written_anew_while_it_runs_and_at_a_start(tmp_path: Path) -> None:
    """Its Redis is its own: nobody has mounted another folder there, or given another address."""
    with dev(tmp_path / "data") as first:
        send(first.ready(), "before")
        until(lambda: readiness(first) == (200, 0), "the ledger")
        empty(first)
        until(lambda: readiness(first)[0] == 503, "the loss is noticed")
        until(lambda: score(first) == 1, "the score is back")
        send(first, "behind")
        until(lambda: readiness(first) == (200, 0), "the ledger")
        empty(first)
        assert first.ends() == 0
    with dev(tmp_path / "data") as second:
        second.ready()
        until(lambda: score(second) == 2, "the score is back")


def empty(running: Dev) -> None:
    with redis.Redis.from_url(running.run["redis"]) as store:
        store.flushall()


def client(running: Dev) -> httpx.Client:
    headers = {"authorization": f"Bearer {running.run['api_key']}"}
    return httpx.Client(base_url=running.run["http"], headers=headers, timeout=30)


def send(running: Dev, grant_id: str) -> None:
    with client(running) as api:
        assert api.put("/v1/namespaces/own", json={}).status_code in (200, 201)
        grant = {"grant_id": grant_id, "user_id": "ann", "amount": 1}
        assert api.post("/v1/namespaces/own/grants", json=grant).status_code == 201


def readiness(running: Dev) -> tuple[int, int | None]:
    with client(running) as api:
        answer = api.get("/readyz")
        return answer.status_code, answer.json()["lag_seq"]


def score(running: Dev) -> int | None:
    with client(running) as api:
        answer = api.get("/v1/namespaces/own/boards/all")
        return int(answer.json()["entries"][0]["score"]) if answer.status_code == 200 else None

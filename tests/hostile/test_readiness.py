"""Readiness tries what a grant does, and tells why a grant would be refused."""

import re
from typing import Any

import httpx
import redis

LOG_MAX = 40


def grant(api: httpx.Client, name: str) -> httpx.Response:
    return api.post("/v1/namespaces/n/grants", json={"grant_id": name, "user_id": name, "amount": 1})


def refusals(stack: Any) -> list[str]:
    lines = (stack.folder / "serve.log").read_text().splitlines()
    return [line for line in lines if "writes refused" in line]


def test_a_full_redis_is_reported_and_logged_once(own_stack: Any) -> None:
    with own_stack.client() as api, redis.Redis.from_url(own_stack.valkey.url) as direct:
        api.put("/v1/namespaces/n", json={})
        assert grant(api, "a").status_code == 201
        direct.config_set("maxmemory", "1mb")
        for i in range(10):
            assert grant(api, f"b{i}").status_code == 503
        answer = api.get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["status"] == "unavailable"
        assert any("maxmemory" in cause for cause in answer.json()["degraded"])
        for i in range(10):
            assert grant(api, f"c{i}").status_code == 503
            assert api.get("/readyz").status_code == 503
        # Once for each partition that readiness asks, whatever comes in.
        assert 1 <= len(refusals(own_stack)) <= 16
        direct.config_set("maxmemory", "0")
        assert api.get("/readyz").status_code == 200
        assert grant(api, "b0").json()["status"] == "applied"
        own_stack.wait_flushed()
        own_stack.stop("persist")  # which tells Redis how far the ledger is
        size = direct.info("persistence")["aof_current_size"]
        assert api.get("/readyz").status_code == 200
        assert direct.info("persistence")["aof_current_size"] == size, "a probe writes nothing"


def test_a_full_log_is_reported_and_a_retry_still_learns_that_it_counted(own_stack: Any) -> None:
    own_stack.extra["LEADERBOARD_LOG_ENTRIES_MAX"] = str(LOG_MAX)
    own_stack.restart()
    with own_stack.client() as api:
        api.put("/v1/namespaces/n", json={})
        assert grant(api, "a").status_code == 201
        own_stack.wait_flushed()
        own_stack.kill("persist")
        answers = [grant(api, f"b{i}") for i in range(LOG_MAX + 3)]
        assert [answer.status_code for answer in answers] == [201] * LOG_MAX + [503] * 3
        response = api.get("/readyz")
        assert response.status_code == 503
        assert any("the log is full" in cause for cause in response.json()["degraded"])
        # A server that has only just come up knows no head yet: the retry is answered all the same.
        own_stack.restart_unready()
        assert grant(api, "b0").json()["status"] == "duplicate"
        own_stack.start("persist")
        own_stack.wait_ready()
        assert grant(api, "last").status_code == 201


def test_a_ledger_that_is_away_degrades_while_grants_are_taken(own_stack: Any) -> None:
    with own_stack.client() as api:
        api.put("/v1/namespaces/n", json={})
        assert grant(api, "a").status_code == 201
        own_stack.kill("postgres")
        answer = api.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        (degraded,) = answer.json()["degraded"]
        assert answer.json()["lag_seq"] is None
        assert re.fullmatch(r"Postgres does not answer at 127\.0\.0\.1:\d+ \(LEADERBOARD_POSTGRES_URL\)", degraded)
        assert grant(api, "b").status_code == 201

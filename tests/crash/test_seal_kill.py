"""kill -9 while windows are being sealed: none is lost, each is archived once, and reads as it did."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
import redis

WINDOWS = 40
FIRST = datetime.now(UTC).replace(hour=6) - timedelta(days=WINDOWS + 60)


def archived(stack: Any) -> int:
    with psycopg.connect(stack.postgres.url) as db:
        (count,) = db.execute("SELECT count(*) FROM seals WHERE archived_at IS NOT NULL").fetchone() or (0,)
    return int(count)


def boards(client: httpx.Client) -> list[Any]:
    days = (FIRST + timedelta(days=i) for i in range(WINDOWS))
    answers = [client.get(f"/v1/namespaces/n/boards/{day:%Y-%m-%d}") for day in days]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    # An epoch begins with each start of Redis.
    return [answer.json() | {"epoch": None} for answer in answers]


@pytest.mark.timeout(180)
def test_sealing_survives_kill_9(own_stack: Any) -> None:
    own_stack.extra["LEADERBOARD_CHORES_S"] = "0.1"
    with own_stack.client() as client:
        rules: dict[str, Any] = {"periods": ["all", "day"], "accept_past": None, "tie_break": "earliest"}
        assert client.put("/v1/namespaces/n", json=rules).status_code == 201
        grants = [
            {
                "grant_id": f"{i}-{user}",
                "user_id": user,
                "amount": i % 3,
                "granted_at": at.isoformat(),
            }
            for i, at in enumerate(FIRST + timedelta(days=i) for i in range(WINDOWS))
            for user in ("ann", "bob", "cleo")
        ]
        assert client.post("/v1/namespaces/n/grants", json=grants).json()["applied"] == len(grants)
        before = boards(client)
        assert client.put("/v1/namespaces/n", json=rules | {"accept_past": "P1D"}).status_code == 200
        deadline = time.monotonic() + 120
        victims = ["persist", "redis", "postgres", "persist", "redis", "postgres"]
        while (done := archived(own_stack)) < WINDOWS:
            assert time.monotonic() < deadline, f"{done} of {WINDOWS} windows are archived"
            if victims and done >= (7 - len(victims)) * 5 - 4:
                part = victims.pop()
                own_stack.kill(part)
                own_stack.start(part)
                own_stack.wait_ready()
        assert victims == [], "sealing was over before every part was killed"
        assert boards(client) == before
    with redis.Redis.from_url(own_stack.valkey.url) as direct:
        assert {key.rpartition(b":")[2] for key in direct.keys("lb:*:b:*")} == {b"all"}
    with psycopg.connect(own_stack.postgres.url) as db:
        assert db.execute("SELECT DISTINCT revision, board_size FROM archived_boards").fetchall() == [(1, 3)]

"""A Postgres that hangs: every wait for it ends, BEGIN and COMMIT too, and what was refused works again afterwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.dev_process import descendants

#: Seconds that a client waits: far less than the minute in which nothing came, far more than the deadlines of one call.
PATIENCE_S = 30.0


@contextmanager
def frozen(stack: Any) -> Iterator[None]:
    """All of Postgres stands still; its connections stay."""
    main = stack.postgres.pid
    signals(signal.SIGSTOP, [main])  # it starts no other from here on
    held = [main, *descendants(main)]
    signals(signal.SIGSTOP, held)
    try:
        yield
    finally:
        signals(signal.SIGCONT, held)


def signals(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.mark.timeout(180)
def test_every_call_is_answered_while_postgres_hangs(own_stack: Any) -> None:
    with own_stack.client() as client:
        client.timeout = httpx.Timeout(PATIENCE_S)
        assert client.put("/v1/namespaces/n", json={}).status_code == 201
        grant = {"grant_id": "g1", "user_id": "otter", "amount": 5}
        assert client.post("/v1/namespaces/n/grants", json=grant).status_code == 201
        assert client.put("/v1/users/otter", json={"display_name": "O"}).status_code == 200
        own_stack.wait_flushed()
        calls = [
            ("PUT", "/v1/users/otter", {"display_name": "P"}),
            ("POST", "/v1/users/otter/hide", None),
            ("DELETE", "/v1/users/otter", None),
            ("PUT", "/v1/namespaces/other", {}),
            ("GET", "/v1/namespaces/n/users/otter/grants", None),
            ("DELETE", "/v1/namespaces/n/grants/g1", None),
        ]
        with frozen(own_stack):
            told = [client.request(method, path, json=body) for method, path, body in calls]
            assert [(answer.status_code, answer.json()["code"]) for answer in told] == [(503, "store_unavailable")] * 6
            assert client.post("/v1/namespaces/n/grants", json=grant | {"grant_id": "g2"}).status_code == 201
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert client.put("/v1/users/otter", json={"display_name": "P"}).status_code == 200
        assert client.get("/v1/namespaces/n/boards/all").json()["entries"][0]["display_name"] == "P"


def test_a_lock_that_somebody_holds_is_a_store_that_is_not_there(live_server: Any, api: httpx.Client) -> None:
    assert api.put("/v1/users/waiting", json={"display_name": "W"}).status_code == 200
    with psycopg.connect(live_server.postgres.url) as db:
        db.execute("SELECT FROM users WHERE name = 'waiting' FOR UPDATE")
        told = api.put("/v1/users/waiting", json={"display_name": "V"})
        assert (told.status_code, told.json()["code"]) == (503, "store_unavailable")
    assert api.put("/v1/users/waiting", json={"display_name": "V"}).status_code == 200

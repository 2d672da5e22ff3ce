"""A Postgres that hangs: every wait for it ends, BEGIN and COMMIT too, and what was refused works again afterwards."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.routes import ROUTES
from tests.conftest import running_stack
from tests.support.frozen_postgres import frozen
from tests.support.webhooks import SETTINGS

#: Seconds that an answer may take on a noisy machine: 3 s for a connection and 3 s for the statement on it, and what is
#: read before.
ANSWER_S_MAX = 10.0
GRANT = {"grant_id": "g1", "user_id": "otter", "amount": 5}
#: A call of each route that writes into Postgres or needs it before it writes: path and body.
WRITES: dict[tuple[str, str], tuple[str, Any]] = {
    ("PUT", "/v1/users/{user}"): ("/v1/users/otter", {"display_name": "P"}),
    ("DELETE", "/v1/users/{user}"): ("/v1/users/otter", None),
    ("POST", "/v1/users/{user}/hide"): ("/v1/users/otter/hide", None),
    ("POST", "/v1/users/{user}/unhide"): ("/v1/users/otter/unhide", None),
    ("PUT", "/v1/namespaces/{namespace}"): ("/v1/namespaces/other", {}),
    ("DELETE", "/v1/namespaces/{namespace}"): ("/v1/namespaces/n?confirm=n", None),
    ("PUT", "/v1/namespaces/{namespace}/users/{user}"): ("/v1/namespaces/n/users/otter", {"display_name": "P"}),
    ("POST", "/v1/namespaces/{namespace}/users/{user}/hide"): ("/v1/namespaces/n/users/otter/hide", None),
    ("POST", "/v1/namespaces/{namespace}/users/{user}/unhide"): ("/v1/namespaces/n/users/otter/unhide", None),
    ("PATCH", "/v1/namespaces/{namespace}/grants/{grant_id}"): ("/v1/namespaces/n/grants/g1", {"amount": 6}),
    ("DELETE", "/v1/namespaces/{namespace}/grants/{grant_id}"): ("/v1/namespaces/n/grants/g1", None),
    ("POST", "/v1/namespaces/{namespace}/grants/{grant_id}/restore"): ("/v1/namespaces/n/grants/g1/restore", None),
    ("POST", "/v1/namespaces/{namespace}/corrections"): (
        "/v1/namespaces/n/corrections",
        [{"grant_id": "g1", "amount": 6}],
    ),
    ("PUT", "/v1/namespaces/{namespace}/imports/{import_id}"): ("/v1/namespaces/n/imports/i", None),
    ("DELETE", "/v1/namespaces/{namespace}/imports/{import_id}"): ("/v1/namespaces/n/imports/i", None),
    ("PUT", "/v1/webhooks/{id}"): (
        "/v1/webhooks/w",
        {"url": "https://example.com/hook", "namespaces": "n", "types": ["granted"]},
    ),
    ("DELETE", "/v1/webhooks/{id}"): ("/v1/webhooks/w", None),
    ("POST", "/v1/webhooks/{id}/resend"): ("/v1/webhooks/w/resend", {"state": "dead"}),
    ("POST", "/v1/keys"): ("/v1/keys", {"scopes": ["read:*"]}),
    ("DELETE", "/v1/keys/{id}"): ("/v1/keys/k", None),
    ("POST", "/v1/keys/{id}/rotate"): ("/v1/keys/k/rotate", {"grace_s": 60}),
}
#: Routes that only read or sign, and those that write into Redis alone.
WITHOUT_POSTGRES = {
    *(("POST", "/v1/grants"), ("POST", "/v1/namespaces/{namespace}/grants")),
    *(("POST", "/v1/stats"), ("POST", "/v1/boards"), ("POST", "/v1/tokens")),
    *(("POST", f"/v1/namespaces/{{namespace}}/{name}") for name in ("totals", "ranks", "activity")),
}


def test_every_route_that_writes_is_listed() -> None:
    changing = {(route.method, route.path) for route in ROUTES if route.method != "GET"}
    assert changing == WRITES.keys() | WITHOUT_POSTGRES


@pytest.mark.timeout(180)
def test_every_write_is_answered_in_time_while_postgres_hangs(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_stack(tmp_path, tmp_path_factory, SETTINGS) as own_stack, own_stack.client() as client:
        for method, path, body in (
            ("PUT", "/v1/namespaces/n", {}),
            ("POST", "/v1/namespaces/n/grants", GRANT),
            ("PUT", "/v1/users/otter", {"display_name": "O"}),
        ):
            assert client.request(method, path, json=body).status_code in (200, 201)
        own_stack.wait_flushed()
        # Each call has a key of its own, so that none waits for another's share of the connections.
        keys = [own_stack.new_key("admin:*", "write:*", "read:*") for _ in WRITES]

        def call(key: str, method: str, path: str, body: Any) -> tuple[str, int, Any, float]:
            began = time.monotonic()
            with own_stack.client(key) as own:
                answer = own.request(method, path, json=body)
            return f"{method} {path}", answer.status_code, answer.json()["code"], time.monotonic() - began

        with frozen(own_stack.postgres), ThreadPoolExecutor(len(WRITES)) as pool:
            calls = zip(keys, ((method, *value) for (method, _), value in WRITES.items()), strict=True)
            answers = list(pool.map(lambda pair: call(pair[0], *pair[1]), calls))
            late = client.post("/v1/namespaces/n/grants", json=GRANT | {"grant_id": "g2"})
        assert [answer[1:3] for answer in answers] == [(503, "store_unavailable")] * len(WRITES), answers
        assert max(answer[3] for answer in answers) < ANSWER_S_MAX, answers
        assert late.status_code == 201
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert client.put("/v1/users/otter", json={"display_name": "P"}).status_code == 200
        assert client.get("/v1/namespaces/n/boards/all").json()["entries"][0]["display_name"] == "P"


def test_a_lock_that_somebody_holds_is_a_store_that_is_not_there(live_server: Any, api: httpx.Client) -> None:
    assert api.put("/v1/users/waiting", json={"display_name": "W"}).status_code == 200
    with psycopg.connect(live_server.postgres.url) as db:
        db.execute("SELECT FROM users WHERE name = 'waiting' FOR UPDATE")
        answer = api.put("/v1/users/waiting", json={"display_name": "V"})
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert api.put("/v1/users/waiting", json={"display_name": "V"}).status_code == 200

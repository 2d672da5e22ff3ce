"""API keys over HTTP and by command: made, listed, revoked, on every server."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.access.keys import hash_key
from app.admin.key_handlers import KEY_CHANGES_BURST_MAX
from app.admin.key_registry import ACTIVE_KEYS_MAX, SCOPES_MAX
from app.store import keys
from tests.conftest import Stack
from tests.support.api_keys import listed, make, rotate, status
from tests.support.second_server import second_server

FIELDS = {
    *("id", "name", "scopes", "created_at", "created_by", "rotated_at", "rotated_by"),
    *("previous_secret_until", "revoked_at", "revoked_by", "is_own"),
}


@pytest.fixture(scope="module")
def other(live_server: Stack) -> Iterator[httpx.Client]:
    with second_server(live_server) as client:
        yield client


def test_a_key_is_made_and_shown_once(api: httpx.Client, other: httpx.Client, space: str) -> None:
    answer = api.post("/v1/keys", json={"scopes": [f"read:{space}", f"read:{space}"], "name": "Score page é"})
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert made.keys() == FIELDS | {"key"}
    assert (made["scopes"], made["name"], made["created_by"]) == ([f"read:{space}"], "Score page é", "test")
    assert made["key"].startswith(f"lb_{made['id']}_")
    assert [status(server, made["key"], space) for server in (api, other)] == [200, 200]
    assert status(api, made["key"], f"{space}-other") == 403
    shown = listed(other)[made["id"]]
    assert shown == {name: value for name, value in made.items() if name != "key"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read:*", "reed:*"]}, "$.scopes[1]"),
        ({"scopes": ["read:*", "write"]}, "$.scopes[1]"),
        ({"scopes": ["read:a/b"]}, "$.scopes[0]"),
        ({"scopes": ["read:" + "*" * 300]}, "$.scopes[0]"),
        ({"scopes": []}, "$.scopes"),
        ({"scopes": ["read:*"] * (SCOPES_MAX + 1)}, "$.scopes"),
        ({"scopes": ["read:*"], "name": ""}, "$.name"),
        ({"scopes": ["read:*"], "name": "a\nb"}, "$.name"),
        ({"scopes": ["read:*"], "secret": "mine"}, "$.secret"),
        ({}, "$.scopes"),
    ],
)
def test_a_wrong_key_is_refused_by_the_field(api: httpx.Client, body: Any, field: str) -> None:
    answer = api.post("/v1/keys", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_the_command_checks_scopes_alike(live_server: Stack) -> None:
    for scope in ("reed:*", "read:a/b"):
        assert live_server.run("keys", "create", "--scope", scope).returncode == 2
    assert live_server.run("keys", "create", "--scope", "read:*", "--name", "").returncode == 2


def test_the_list_has_all_keys_and_says_which_is_whose(live_server: Stack, api: httpx.Client) -> None:
    made = [make(api, "admin:*", name=f"n{i}") for i in range(3)]
    assert api.delete(f"/v1/keys/{made[0]['id']}").status_code == 204
    with live_server.client(made[1]["key"]) as admin:
        shown = listed(admin)
        page = admin.get("/v1/keys").json()
    assert page["bootstrap_key"] == {"id": "test", "scopes": ["admin:*"], "is_own": False}
    assert "test" not in shown
    assert [shown[one["id"]]["is_own"] for one in made] == [False, True, False]
    assert [shown[one["id"]]["revoked_at"] is None for one in made] == [False, True, True]
    assert shown[made[0]["id"]]["revoked_by"] == "test"
    ids = list(shown)
    assert [ids.index(one["id"]) for one in made] == sorted(ids.index(one["id"]) for one in made), "oldest first"
    assert api.get("/v1/keys").json()["bootstrap_key"]["is_own"] is True
    for query, field in ({"cursor": "none"}, "?cursor"), ({"limit": 0}, "?limit"), ({"q": "x"}, "?q"):
        answer = api.get("/v1/keys", params=query)
        assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_revoked_key_stays_revoked(api: httpx.Client, other: httpx.Client, space: str) -> None:
    made = make(api, f"read:{space}")
    path = f"/v1/keys/{made['id']}"
    assert status(other, made["key"], space) == 200
    assert api.delete(path, params={"confirm": "other"}).json()["field"] == "?confirm"
    assert [server.delete(path).status_code for server in (api, other, api)] == [204] * 3
    assert [status(server, made["key"], space) for server in (api, other)] == [401, 401]
    answer = api.post(f"{path}/rotate")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_revoked")
    for answer in api.delete("/v1/keys/none"), api.post("/v1/keys/none/rotate"):
        assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found")


def test_a_key_does_not_lock_itself_out_by_mistake(live_server: Stack, api: httpx.Client) -> None:
    made = make(api, "admin:*")
    path = f"/v1/keys/{made['id']}"
    with live_server.client(made["key"]) as admin:
        answer = admin.delete(path)
        assert (answer.status_code, answer.json()["field"]) == (422, "?confirm")
        assert admin.get("/v1/keys").status_code == 200
        assert admin.delete(path, params={"confirm": made["id"]}).status_code == 204
        assert admin.get("/v1/keys").status_code == 401


def test_the_bootstrap_key_is_a_setting(api: httpx.Client) -> None:
    for answer in api.delete("/v1/keys/test", params={"confirm": "test"}), api.post("/v1/keys/test/rotate"):
        assert (answer.status_code, answer.json()["field"]) == (422, "{id}")
        assert "LEADERBOARD_API_KEY" in answer.json()["detail"]


def test_neither_a_client_token_nor_a_narrower_admin_gets_keys(live_server: Stack, api: httpx.Client) -> None:
    token = api.post("/v1/tokens", json={"user_id": "ann", "namespaces": ["*"]}).json()["token"]
    for sender, why in ((token, "a client token only reads"), (make(api, "admin:a*")["key"], "admin:*")):
        with live_server.client(sender) as client:
            for method, path in (
                *(("GET", "/v1/keys"), ("POST", "/v1/keys")),
                *(("DELETE", "/v1/keys/none"), ("POST", "/v1/keys/none/rotate")),
            ):
                answer = client.request(method, path)
                assert answer.status_code == 403
                assert why in answer.json()["detail"]


def test_a_deployment_has_so_many_active_keys(live_server: Stack, api: httpx.Client) -> None:
    live_server.sql("SET session_replication_role = replica")  # No trigger: nobody is told of these.
    insert = "INSERT INTO api_keys (id, hash, scopes) SELECT 'many' || i, '', '{}' FROM generate_series(1, %s) AS i"
    try:
        live_server.sql(insert, ACTIVE_KEYS_MAX)
        answer = api.post("/v1/keys", json={"scopes": ["read:*"]})
        assert (answer.status_code, answer.json()["code"]) == (422, "quota_exceeded")
        assert f"{ACTIVE_KEYS_MAX:,} API keys" in answer.json()["detail"]
        assert live_server.run("keys", "create", "--scope", "read:*").returncode == 1
        live_server.sql("UPDATE api_keys SET revoked_at = now() WHERE id LIKE 'many%%'")
        make(api, "read:*")
    finally:
        live_server.sql("DELETE FROM api_keys WHERE id LIKE 'many%%'")
        live_server.sql("SET session_replication_role = DEFAULT")


def test_changes_of_keys_are_rate_limited(live_server: Stack, api: httpx.Client) -> None:
    with live_server.client(make(api, "admin:*")["key"]) as admin:
        for _ in range(2 * KEY_CHANGES_BURST_MAX):
            answer = admin.delete("/v1/keys/none")
            if answer.status_code == 429:
                break
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert "changes of API keys" in answer.json()["detail"]
        assert admin.get("/v1/keys").status_code == 200


def test_no_answer_log_or_store_has_a_secret(live_server: Stack, api: httpx.Client, space: str) -> None:
    """But the one answer that shows it."""
    made = make(api, "admin:*", name=space)
    tokens = [made["key"], rotate(api, made, grace_s=60), rotate(api, made, grace_s=60)]
    texts = [api.get("/v1/keys", params={"limit": 1000}).text, api.get(f"/v1/namespaces/{space}/events").text]
    for token in (*tokens, tokens[0] + "x"):
        with live_server.client(token) as client:
            texts += [client.get(path).text for path in ("/v1/keys", f"/v1/namespaces/{space}", "/metrics", "/readyz")]
            texts.append(client.delete(f"/v1/keys/{made['id']}").text)
    assert api.delete(f"/v1/keys/{made['id']}").status_code == 204
    logs = [path.read_text(errors="replace") for path in live_server.folder.glob("*.log")]
    rows = [repr(live_server.sql(f"SELECT * FROM {table}")) for table in ("api_keys", "state_changes", "audit")]
    with live_server.store(decode_responses=True) as direct:
        stored = repr(direct.hgetall(keys.API_KEYS))
    for token in tokens:
        secret = token.split("_", 2)[2]
        for text in (*texts, *logs, *rows, stored):
            assert secret not in text
        for text in (*texts, *logs):
            assert hash_key(token) not in text

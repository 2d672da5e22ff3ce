"""Client tokens over HTTP and live: who gets one, what it opens, and when it ends."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from app.live.subscriber import REVOKED
from app.routes import ROUTES
from app.server import FOLLOW_S
from tests.conftest import Stack
from tests.support.event_streams import events
from tests.support.live_socket import closed, grant, hear, key, say, subscribe
from tests.support.waits import until


@pytest.fixture
def maker(live_server: Stack, space: str) -> str:
    return key(live_server, f"read:{space}*", f"write:{space}*")


def mint(stack: Stack, token: str | None, **body: Any) -> httpx.Response:
    with stack.client(token) as client:
        return client.post("/v1/tokens", json=body)


def token_for(stack: Stack, maker: str, space: str, user: str = "ann", **more: Any) -> str:
    answer = mint(stack, maker, user_id=user, namespaces=[space], **more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


@pytest.fixture
def ann(live_server: Stack, maker: str, space: str) -> Iterator[httpx.Client]:
    """Her browser."""
    with live_server.client(token_for(live_server, maker, space)) as client:
        yield client


@contextmanager
def live(stack: Stack, token: str) -> Iterator[ClientConnection]:
    with connect(stack.url.replace("http", "ws") + "/v1/live") as socket:
        say(socket, type="auth", token=token)
        assert hear(socket) == {"type": "ready"}
        yield socket


def test_a_token_says_what_it_is_for(live_server: Stack, maker: str, space: str) -> None:
    answer = mint(live_server, maker, user_id="ann", namespaces=[space, f"{space}-*", space], expires_in_s=60)
    body = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert (body["user_id"], body["namespaces"]) == ("ann", [space, f"{space}-*"])
    assert body.keys() == {"token", "token_id", "user_id", "namespaces", "expires_at"}


def test_a_key_makes_tokens_where_it_reads_and_writes(live_server: Stack, space: str) -> None:
    one = {"user_id": "ann", "namespaces": [space]}
    for scopes, namespaces, status in (
        ((f"write:{space}",), [space], 403),
        ((f"read:{space}",), [space], 403),
        ((f"read:{space}", f"write:{space}"), [space], 201),
        ((f"read:{space}", f"write:{space}"), [f"{space}*"], 403),
        ((f"read:{space}", f"write:{space}"), [space, "other"], 403),
        (("read:*", f"write:{space}*"), ["*"], 403),
        ((f"admin:{space}*",), [f"{space}*"], 201),
        ((f"read:{space}?", f"write:{space}?"), [f"{space}*"], 403),
    ):
        answer = mint(live_server, key(live_server, *scopes), **one | {"namespaces": namespaces})
        assert answer.status_code == status, (scopes, namespaces, answer.text)
    assert mint(live_server, None, **one).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": ""}, "$.user_id"),
        ({"user_id": "x" * 129}, "$.user_id"),
        ({"user_id": "a\nb"}, "$.user_id"),
        ({"namespaces": []}, "$.namespaces"),
        ({"namespaces": ["f1-?"]}, "$.namespaces[0]"),
        ({"namespaces": ["a"] * 21}, "$.namespaces"),
        ({"expires_in_s": 0}, "$.expires_in_s"),
        ({"expires_in_s": 86_401}, "$.expires_in_s"),
        ({"expires_in_s": -5}, "$.expires_in_s"),
        ({"alg": "none"}, "$.alg"),
    ],
)
def test_a_wrong_request_names_its_field(live_server: Stack, space: str, change: dict[str, Any], field: str) -> None:
    answer = mint(live_server, live_server.key, **{"user_id": "ann", "namespaces": [space]} | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_token_reads_and_never_writes(ann: httpx.Client, api: httpx.Client, space: str) -> None:
    grant(api, space, "g", "ann", 1)
    assert ann.get(f"/v1/namespaces/{space}/boards/all").json()["total"] == 1
    assert ann.get(f"/v1/namespaces/{space}/users/ann").json()["score"] == 1
    assert [one["name"] for one in ann.get("/v1/namespaces").json()["namespaces"]].count(space) == 1
    assert ann.get("/v1/namespaces/other/boards/all").status_code == 403
    bodies: dict[str, Any] = {"/v1/tokens": {"user_id": "bob", "namespaces": [space]}}
    for route in ROUTES:
        if route.required.scope in ("write", "admin"):
            path = route.path.format(namespace=space, grant_id="g", user="ann", import_id="i", id="w")
            query = (
                {"state": "quarantined"} if (route.method, path) == ("GET", f"/v1/namespaces/{space}/grants") else {}
            )
            answer = ann.request(route.method, path, json=bodies.get(path, {}), params=query)
            if path == "/v1/grants":  # Judged member by member.
                body = {"namespace": space, "grant_id": "h", "user_id": "ann", "amount": 1}
                answer = ann.post(path, json=body)
            assert answer.status_code == 403, (route.method, path, answer.text)
    assert api.get(f"/v1/namespaces/{space}/users/ann").json()["score"] == 1


def test_of_grants_a_token_reads_its_own_users_alone(
    live_server: Stack, ann: httpx.Client, api: httpx.Client, space: str
) -> None:
    api.put(f"/v1/namespaces/{space}", json={"visibility": "public", "accept_past": None})
    for user in ("ann", "bob"):
        grant(api, space, f"of-{user}", user, 1)
    live_server.wait_flushed()
    path = f"/v1/namespaces/{space}"
    assert ann.get(f"{path}/users/ann/grants").json()["grants"][0]["grant_id"] == "of-ann"
    assert ann.get(f"{path}/users/ann/explain").json()["score"] == 1
    assert ann.get(f"{path}/grants/of-ann").json()["user_id"] == "ann"
    for other in (f"{path}/users/bob/grants", f"{path}/users/bob/explain", f"{path}/users/nobody/grants"):
        assert ann.get(other).status_code == 403
    foreign, absent = ann.get(f"{path}/grants/of-bob"), ann.get(f"{path}/grants/of-nobody")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "grant_not_found")
    assert foreign.text.replace("of-bob", "…") == absent.text.replace("of-nobody", "…")
    for query in ("", "?session_id=s", "?actor=ann"):
        assert ann.get(f"{path}/events{query}").status_code == 403
    assert ann.get(f"{path}/boards/all").json()["total"] == 2


def test_a_token_ends_at_its_time_everywhere(live_server: Stack, maker: str, space: str) -> None:
    token = token_for(live_server, maker, space, expires_in_s=2)
    bearer, path = f"Bearer {token}", f"{space}/boards/all/events"
    with (
        live_server.client(token) as client,
        live(live_server, token) as idle,
        live(live_server, token) as watching,
        events(live_server.port, path, authorization=bearer) as stream,
    ):
        subscribe(watching, space)
        assert hear(watching)["type"] == stream.next().kind == "snapshot"
        assert client.get(f"/v1/namespaces/{space}/boards/all").status_code == 200
        began = time.monotonic()
        assert closed(idle) == 4101
        assert closed(watching) == 4101
        event = stream.next()
        assert (event.kind, event.body["code"], event.body["detail"]) == ("error", "unauthorized", REVOKED)
        assert time.monotonic() - began < 5
        answer = client.get(f"/v1/namespaces/{space}/boards/all")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert "the token expired at 20" in answer.json()["detail"]
        with connect(live_server.url.replace("http", "ws") + "/v1/live") as late:
            say(late, type="auth", token=token)
            assert closed(late) == 4001


def test_a_token_dies_with_its_key_within_a_second(live_server: Stack, space: str) -> None:
    """At whichever moment between two looks for changes it is revoked: nobody else looks without a watched board."""
    path = f"/v1/namespaces/{space}/boards/all"
    for begun in range(4):
        maker = key(live_server, f"read:{space}", f"write:{space}")
        token = token_for(live_server, maker, space)
        with live_server.client(token) as client, live(live_server, token) as idle:
            assert client.get(path).status_code == 200
            time.sleep(begun * FOLLOW_S / 4)
            live_server.revoke(maker)
            began = time.monotonic()
            assert closed(idle) == 4101
            assert time.monotonic() - began < 1
            assert client.get(path).status_code == 401


def test_a_stream_dies_with_its_key_within_a_second(live_server: Stack, maker: str, space: str) -> None:
    bearer = f"Bearer {token_for(live_server, maker, space)}"
    with events(live_server.port, f"{space}/boards/all/events", authorization=bearer) as stream:
        assert stream.next().kind == "snapshot"
        live_server.revoke(maker)
        began = time.monotonic()
        event = stream.next()
        assert (event.kind, event.body["code"], event.body["detail"]) == ("error", "unauthorized", REVOKED)
        assert time.monotonic() - began < 1


def test_a_user_takes_a_part_of_what_its_key_has(live_server: Stack, maker: str, space: str) -> None:
    token, other = token_for(live_server, maker, space), token_for(live_server, maker, space, user="bob")
    with ExitStack() as resources:
        for _ in range(19):
            resources.enter_context(live(live_server, token))
        with live(live_server, token), connect(live_server.url.replace("http", "ws") + "/v1/live") as more:
            say(more, type="auth", token=token)
            assert closed(more) == 4013
        resources.enter_context(live(live_server, other))
        until(lambda: _is_taken(live_server, token), "room for one more")


def _is_taken(stack: Stack, token: str) -> bool:
    with connect(stack.url.replace("http", "ws") + "/v1/live") as socket:
        say(socket, type="auth", token=token)
        try:
            return hear(socket) == {"type": "ready"}
        except Exception:
            return False


@pytest.mark.parametrize("name", ["token", "access_token", "key"])
def test_a_token_in_a_query_is_no_token(live_server: Stack, maker: str, space: str, name: str) -> None:
    token = token_for(live_server, maker, space)
    with live_server.client(None) as client:
        answer = client.get(f"/v1/namespaces/{space}/boards/all", params={name: token})
    assert answer.status_code in (401, 422)
    assert token not in answer.text


def test_no_log_shows_a_token(live_server: Stack, maker: str, space: str) -> None:
    token = token_for(live_server, maker, space)
    with live_server.client(token[:-3] + "AAA") as client:
        assert client.get(f"/v1/namespaces/{space}/boards/all").status_code == 401
    with live_server.client(token) as client:
        assert client.post(f"/v1/namespaces/{space}/grants", json={}).status_code == 403
        assert client.get(f"/v1/namespaces/{token}/boards/all").status_code in (403, 404)
    logs = [file for file in live_server.folder.rglob("*.log") if file.is_file()]
    assert logs
    assert not [file for file in logs if token[:60] in file.read_text(errors="replace")]


@pytest.mark.parametrize("verb", ["checkconfig", "serve"])
def test_a_file_that_holds_no_key_is_named_before_anything_starts(live_server: Stack, verb: str) -> None:
    files = live_server.extra["LEADERBOARD_TOKEN_KEYS"]
    live_server.extra["LEADERBOARD_TOKEN_KEYS"] = f"{files},/nowhere/at/all"
    try:
        checked = live_server.run(verb)
    finally:
        live_server.extra["LEADERBOARD_TOKEN_KEYS"] = files
    assert checked.returncode == 2
    assert checked.stderr.splitlines()[-1] == "leaderboard: LEADERBOARD_TOKEN_KEYS: file 2 cannot be read"

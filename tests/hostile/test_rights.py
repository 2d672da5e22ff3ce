"""Every route, every caller, every kind of namespace: who may not see a namespace cannot tell whether it is there."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.sync.client import connect

from app.routes import ROUTES, Route
from tests.conftest import Names, Stack
from tests.support.live_socket import hear, key, say

KINDS = ("public", "private", "shadow", "public-shadow", "deleted", "missing")
RULES: dict[str, dict[str, Any]] = {
    "public": {"visibility": "public"},
    "private": {},
    "shadow": {"mode": "shadow"},
    "public-shadow": {"mode": "shadow", "visibility": "public"},
    "deleted": {"visibility": "public"},
}
VIEWS: tuple[dict[str, Any], ...] = (
    {"kind": "top", "limit": 3},
    {"kind": "around", "user": "ann"},
    {"kind": "users", "users": ["ann"]},
    {"kind": "stats"},
)
OF_ONE = [route for route in ROUTES if route.required.over == "name" and route.required.scope is not None]


class Caller(NamedTuple):
    """Who asks. token: None without one; scopes: those of a key that the server knows."""

    name: str
    token: str | None
    scopes: tuple[str, ...] = ()

    def covers(self, scope: str, namespace: str) -> bool:
        """Whether a scope of the key covers a namespace, worked out apart from the server."""
        items = (text.split(":", 1) for text in self.scopes)
        return any(kind in (scope, "admin") and fnmatchcase(namespace, pattern) for kind, pattern in items)


class World(NamedTuple):
    """A namespace of each kind, by kind, and everybody who asks."""

    stack: Stack
    spaces: dict[str, str]
    callers: dict[str, Caller]


@pytest.fixture(scope="module")
def world(live_server: Stack) -> World:
    prefix = Names().fresh() + "-rights"
    spaces = {kind: f"{prefix}-{kind}" for kind in KINDS}
    with live_server.client() as api:
        for kind, rules in RULES.items():
            assert api.put(f"/v1/namespaces/{spaces[kind]}", json=rules).status_code == 201
            grant = {"grant_id": "g", "user_id": "ann", "amount": 1, "meta": {"secret": 1}}
            assert api.post(f"/v1/namespaces/{spaces[kind]}/grants", json=grant).status_code == 201
        gone = spaces["deleted"]
        assert api.delete(f"/v1/namespaces/{gone}", params={"confirm": gone}).status_code == 204
    live_server.wait_flushed()
    made = {scope: [f"{scope}:{prefix}-*"] for scope in ("read", "write", "admin")}
    made["narrow"] = ["read:elsewhere-*", "write:elsewhere-*", "admin:elsewhere-*"]
    callers = [Caller("nobody", None), Caller("wrong", "lb_test_000000000000000000")]
    callers += [Caller(name, key(live_server, *scopes), tuple(scopes)) for name, scopes in made.items()]
    return World(live_server, spaces, {caller.name: caller for caller in callers})


@pytest.fixture(params=["nobody", "wrong", "narrow", "read", "write", "admin"])
def caller(request: pytest.FixtureRequest, world: World) -> Caller:
    """Each of them."""
    return world.callers[request.param]


@pytest.fixture
def client(world: World, caller: Caller) -> Iterator[httpx.Client]:
    """With the caller's key."""
    with world.stack.client(caller.token) as client:
        yield client


def ask(client: httpx.Client, route: Route, space: str) -> httpx.Response:
    """The call in a form that never changes anything: its body cannot be read."""
    path = route.path.format(
        namespace=space, window="all", position=1, percentile=50, score=1, user="ann", grant_id="none", import_id="i"
    )
    body: bytes | None = None
    if route.method == "POST" and route.required.scope == "read":
        body = json.dumps({"users": ["ann"]}).encode()
    elif route.method in ("POST", "PUT", "PATCH"):
        body = b"{"
    query = {"q": "ann"} if path.endswith("/users") else None
    if (route.method, route.path) == ("GET", "/v1/namespaces/{namespace}/grants"):
        query = {"state": "quarantined"}
    headers = {"content-type": "application/json"}
    if route.is_stream:
        with client.stream(route.method, path) as answer:
            if answer.status_code != 200:
                answer.read()
            return answer
    return client.request(route.method, path, params=query, content=body, headers=headers)


def expected_status(caller: Caller, scope: str, public: bool, kind: str, space: str) -> int | None:
    """401, 403, or 404 for what is not there; None: it is not a question of rights."""
    if caller.name == "wrong":
        return 401
    if public and kind == "public":
        return None
    if not caller.covers(scope, space):
        return 403 if caller.scopes else 401
    if kind in ("deleted", "missing"):
        return 404
    if scope == "read" and "shadow" in kind and not caller.covers("admin", space):
        return 403
    return None


def test_each_route_judges_by_the_name(world: World, caller: Caller, client: httpx.Client) -> None:
    wrong = []
    for route in OF_ONE:
        for kind, space in world.spaces.items():
            answer = ask(client, route, space)
            expected = expected_status(caller, str(route.required.scope), route.required.is_public, kind, space)
            if expected == 404 and (route.path.endswith(("{namespace}", "/events")) or answer.status_code == 400):
                expected = 404 if route.method == "GET" and answer.status_code != 200 else None
            code = answer.json()["code"] if answer.status_code >= 400 else ""
            status = {"unauthorized": 401, "forbidden": 403, "namespace_not_found": 404}.get(code)
            if status != expected or answer.status_code >= 500:
                wrong.append((route.method, route.path, kind, answer.status_code, code, expected))
    assert wrong == []


@pytest.mark.parametrize("route", OF_ONE, ids=lambda route: f"{route.method} {route.path}")
def test_a_refusal_does_not_tell_what_is_there(world: World, route: Route) -> None:
    for name in ("nobody", "narrow"):
        with world.stack.client(world.callers[name].token) as client:
            texts = {
                kind: ask(client, route, space).text.replace(space, "…")
                for kind, space in world.spaces.items()
                if kind != "public"
            }
            assert len(set(texts.values())) == 1, texts
            named = json.loads(texts["missing"])["detail"]
            assert name == "nobody" or f"{route.required.scope}:…" in named, "the scope and the pattern are named"


@pytest.mark.parametrize(("path", "member"), [("/v1/boards", {}), ("/v1/stats", {"window": "all"})])
def test_members_of_many_are_judged_one_by_one(
    world: World, caller: Caller, client: httpx.Client, path: str, member: dict[str, Any]
) -> None:
    request = {"boards": [{"namespace": space, **member} for space in world.spaces.values()]}
    answer = client.post(path, json=request)
    if caller.name == "wrong":
        assert answer.status_code == 401
        return
    statuses = [board["error"]["status"] if "error" in board else None for board in answer.json()["boards"]]
    assert statuses == [expected_status(caller, "read", True, kind, space) for kind, space in world.spaces.items()]


def test_grants_to_many_are_judged_one_by_one(world: World, caller: Caller, client: httpx.Client) -> None:
    body = [
        {"grant_id": "none", "user_id": "ann", "amount": 0.5, "namespace": space} for space in world.spaces.values()
    ]
    answer = client.post("/v1/grants", json=body)
    if caller.name in ("nobody", "wrong"):
        assert answer.status_code == 401
        return
    statuses = [result["error"]["status"] for result in answer.json()["results"]]
    expected = [expected_status(caller, "write", False, kind, space) for kind, space in world.spaces.items()]
    assert statuses == [status or 422 for status in expected], "half a point is more than the scale keeps"


def test_lists_hold_what_may_be_read(world: World, caller: Caller, client: httpx.Client) -> None:
    prefix = world.spaces["public"].removesuffix("public")
    if caller.name == "wrong":
        assert client.get("/v1/namespaces", params={"prefix": prefix}).status_code == 401
        return
    listed = client.get("/v1/namespaces", params={"prefix": prefix}).json()["namespaces"]
    ranked = client.get("/v1/stats", params={"prefix": prefix}).json()["namespaces"]
    stands = client.get("/v1/users/ann/standings", params={"cursor": prefix, "limit": 10}).json()["standings"]
    expected = {
        space for kind, space in world.spaces.items() if expected_status(caller, "read", True, kind, space) is None
    }
    assert {one["name"] for one in listed} == expected
    assert {one["namespace"] for one in ranked} == expected
    assert {one["namespace"] for one in stands if one["namespace"].startswith(prefix)} == expected


def test_every_view_is_judged_as_a_board_is(world: World, caller: Caller) -> None:
    with connect(world.stack.url.replace("http", "ws") + "/v1/live") as socket:
        if caller.token is not None:
            say(socket, type="auth", token=caller.token)
            if caller.name == "wrong":
                return  # It is closed: tests/integration/test_live.py.
            assert hear(socket) == {"type": "ready"}
        codes = {401: "unauthorized", 403: "forbidden", 404: "namespace_not_found", None: "snapshot"}
        number = 0
        for kind, space in world.spaces.items():
            for view in VIEWS:
                number += 1
                say(socket, type="subscribe", id=number, namespace=space, view=view)
                frame = hear(socket)
                assert frame["id"] == number
                code = frame["code"] if frame["type"] == "error" else frame["type"]
                assert (kind, code) == (kind, codes[expected_status(caller, "read", True, kind, space)])


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.required.over == "all"],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_what_is_of_the_whole_deployment_takes_a_key_for_all_of_it(world: World, route: Route) -> None:
    statuses = {}
    for caller in world.callers.values():
        with world.stack.client(caller.token) as client:
            texts = {
                user: client.request(route.method, route.path.format(user=user, id=user), content=b"{").text
                for user in ("ann", "nobody-of-that-name")
            }
        assert len(set(texts.values())) == 1, "it does not tell what exists"
        statuses[caller.name] = json.loads(texts["ann"])["status"]
    assert statuses == {"nobody": 401, "wrong": 401, "narrow": 403, "read": 403, "write": 403, "admin": 403}

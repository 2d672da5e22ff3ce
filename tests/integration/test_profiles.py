"""Profiles over HTTP, and where they show."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from websockets.sync.client import ClientConnection, connect

from app.store import fields, keys
from tests.conftest import Stack

HOSTILE = "<script>alert('1')</script> & \"Zoë\" 👩‍🚀"
NOBODY = {"display_name": None, "avatar": None, "timezone": None, "opt_out": False}


def path(user: str) -> str:
    return f"/v1/users/{quote(user, safe='')}"


def put(api: httpx.Client, user: str, **profile: Any) -> None:
    answer = api.put(path(user), json=profile)
    assert (answer.status_code, answer.json()) == (200, {"user_id": user, **NOBODY, **profile}), answer.text


def grant(api: httpx.Client, space: str, user: str, amount: int = 1) -> None:
    body = {"grant_id": f"{user}-{amount}", "user_id": user, "amount": amount}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def shown(api: httpx.Client, space: str, **query: Any) -> dict[str, tuple[str | None, str | None]]:
    answer = api.get(f"/v1/namespaces/{space}/boards/all", params=query)
    assert answer.status_code == 200, answer.text
    return {entry["user_id"]: (entry["display_name"], entry["avatar"]) for entry in answer.json()["entries"]}


@pytest.fixture
def user(space: str) -> str:
    """A user of the test's own, with a slash in the name."""
    return f"{space}/otter"


def test_a_profile_is_replaced_whole(api: httpx.Client, user: str) -> None:
    assert api.get(path(user)).json()["code"] == "user_not_found"
    whole = {"display_name": HOSTILE, "avatar": "https://example.org/a.png", "timezone": "Asia/Tokyo"}
    put(api, user, **whole, opt_out=False)
    assert api.get(path(user)).json() == {"user_id": user, **NOBODY, **whole}
    drawing = "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E"
    put(api, user, avatar=drawing)
    assert api.get(path(user)).json()["avatar"] == drawing
    put(api, user, avatar="http://example.org/b.png")
    assert api.get(path(user)).json() == {"user_id": user, **NOBODY, "avatar": "http://example.org/b.png"}
    put(api, user)
    assert api.get(path(user)).json() == {"user_id": user, **NOBODY}


def test_who_has_grants_has_a_profile_of_defaults(live_server: Stack, api: httpx.Client, space: str, user: str) -> None:
    grant(api, space, user)
    live_server.wait_flushed()
    assert api.get(path(user)).json() == {"user_id": user, **NOBODY}


def test_the_next_read_shows_it(live_server: Stack, api: httpx.Client, space: str, user: str) -> None:
    other = f"{space}/hare"
    put(api, user, display_name="before the first grant")
    grant(api, space, user, 2)
    grant(api, space, other, 1)
    views: list[dict[str, Any]] = [{}, {"limit": 2}, {"around": user}, {"user": [user, other]}, {"ranking": "dense"}]
    for turn in range(5):
        name = (f"{HOSTILE} {turn}", f"https://example.org/{turn}.png")
        put(api, user, display_name=name[0], avatar=name[1])
        for _ in range(2):
            for view in views:
                assert shown(api, space, **view) == {user: name, other: (None, None)}
        standing = api.get(f"/v1/namespaces/{space}/users/{quote(user, safe='')}").json()
        assert (standing["display_name"], standing["avatar"]) == name
    live_server.wait_flushed()
    (own_standing,) = api.get(path(user) + "/standings").json()["standings"]
    assert own_standing == {"namespace": space, **standing}
    packed = api.get(f"/v1/namespaces/{space}/boards/all", headers={"accept": "application/msgpack"})
    assert msgspec.msgpack.decode(packed.content)["entries"][0]["display_name"] == name[0]
    put(api, user)
    assert shown(api, space) == {user: (None, None), other: (None, None)}


def test_profiles_need_a_key_that_writes_everywhere(live_server: Stack, space: str, user: str) -> None:
    with live_server.client(None) as anonymous:
        assert anonymous.put(path(user), json={}).status_code == 401
        assert anonymous.get(path(user)).status_code == 401
    of_scopes = (("read:*", 403, 404), (f"write:{space}", 403, 403), ("admin:x", 403, 403), ("write:*", 200, 200))
    for scope, put_status, get_status in of_scopes:
        key = live_server.new_key(scope)
        with live_server.client(key) as client:
            assert client.put(path(user), json={"display_name": scope}).status_code == put_status
            assert client.get(path(user)).status_code == get_status


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        ({"display_name": "x" * 129}, "$.display_name"),
        ({"display_name": 7}, "$.display_name"),
        ({"avatar": "javascript:alert(1)"}, "$.avatar"),
        ({"timezone": "Mars/Olympus"}, "$.timezone"),
        ({"opt_out": None}, "$.opt_out"),
        ({"nickname": "x"}, "$.nickname"),
    ],
)
def test_what_no_profile_is_is_refused_and_changes_nothing(
    api: httpx.Client, user: str, profile: dict[str, Any], field: str
) -> None:
    put(api, user, display_name="Zoë")
    answer = api.put(path(user), json=profile)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)
    assert api.get(path(user)).json()["display_name"] == "Zoë"
    assert api.put(path(user), content=b"").status_code == 400
    assert api.put("/v1/users/%00", json={}).status_code == 422
    assert api.put(path(user), json={}, params={"x": "1"}).status_code == 422


def test_of_many_at_once_the_last_one_stands_everywhere(
    live_server: Stack, api: httpx.Client, space: str, user: str
) -> None:
    grant(api, space, user)
    with ThreadPoolExecutor(8) as threads:
        reply = list(threads.map(lambda i: api.put(path(user), json={"display_name": f"n{i}"}).status_code, range(64)))
    assert reply == [200] * 64
    assert shown(api, space)[user] == (api.get(path(user)).json()["display_name"], None)


def test_each_profile_is_a_later_version(live_server: Stack, api: httpx.Client, user: str) -> None:
    versions = []
    with live_server.store() as direct:
        for turn in range(3):
            put(api, user, display_name=f"n{turn}")
            version, _, text = direct.hget(keys.PROFILES, user).partition(b" ")
            versions.append(int(version))
            assert json.loads(text) == {**NOBODY, "display_name": f"n{turn}"}
    assert versions == sorted(set(versions)), "else an earlier one that comes late could take its place"


def hear(socket: ClientConnection, seconds: float = 5) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(socket.recv(timeout=seconds))
    return frame


def test_who_watches_hears_of_a_name_within_a_second(
    live_server: Stack, api: httpx.Client, space: str, user: str
) -> None:
    api.put(f"/v1/namespaces/{space}", json={"visibility": "public", "accept_past": None})
    grant(api, space, user, 1)
    grant(api, space, f"{space}/hare", 2)
    put(api, f"{space}/hare", avatar="https://example.org/hare.png")
    url = live_server.url.replace("http", "ws") + "/v1/live"
    with connect(url, subprotocols=["leaderboard.v1"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "subscribe", "id": 1, "namespace": space}))
        first = hear(socket)
        assert [(entry["display_name"], entry["avatar"]) for entry in first["entries"]] == [
            (None, "https://example.org/hare.png"),
            (None, None),
        ]
        for turn in range(4):
            begun = time.monotonic()
            put(api, user, display_name=f"{HOSTILE} {turn}")
            frame = hear(socket)
            assert time.monotonic() - begun < 1
            assert (frame["type"], frame["from"], frame["version"]) == ("delta", first["version"], first["version"])
            assert (frame["total"], frame["remove"]) == (2, [])
            assert frame["upsert"] == [shown_entry(api, space, user)]
        put(api, f"{space}/elsewhere", display_name="not on this board")
        with pytest.raises(TimeoutError):
            socket.recv(timeout=1.2)
        grant(api, space, user, 5)
        frame = hear(socket)
        assert (frame["type"], frame["from"]) == ("delta", first["version"])
        assert frame["upsert"][0] == shown_entry(api, space, user)
    with connect(url, subprotocols=["leaderboard.v1"]) as socket:  # type: ignore[list-item]
        resume = {"epoch": first["epoch"], "version": frame["version"]}
        socket.send(json.dumps({"type": "subscribe", "id": 1, "namespace": space, **resume}))
        assert hear(socket)["type"] == "snapshot", "which names the client holds cannot be known"


def shown_entry(api: httpx.Client, space: str, user: str) -> Any:
    (entry,) = api.get(f"/v1/namespaces/{space}/boards/all", params={"user": user}).json()["entries"]
    return entry


def test_what_redis_lost_comes_back_by_migrate_or_the_next_put(own_stack: Stack) -> None:
    with own_stack.client() as api, own_stack.store() as direct:
        api.put("/v1/namespaces/race", json={}).raise_for_status()
        for user in ("ann", "bea"):
            grant(api, "race", user)
        assert direct.hget(keys.meta(0), fields.PROFILES) is None
        assert shown(api, "race") == {"ann": (None, None), "bea": (None, None)}
        for user in ("ann", "bea"):
            put(api, user, display_name=user.title())
        whole = {"ann": ("Ann", None), "bea": ("Bea", None)}
        assert shown(api, "race") == whole
        direct.delete(keys.PROFILES)
        put(api, "ann", display_name="Ann")
        assert direct.hget(keys.PROFILES, "bea") is None
        assert shown(api, "race") == whole, "nobody changed her profile: the server goes on knowing it"
        assert api.get(path("bea")).json()["display_name"] == "Bea"
        assert own_stack.run("migrate").returncode == 0
        assert shown(api, "race") == whole
        later = b'999999 {"display_name":"later"}'
        direct.hset(keys.PROFILES, "ann", later)
        assert own_stack.run("migrate").returncode == 0
        assert direct.hget(keys.PROFILES, "ann") == later, "a later version stays"
        whole["ann"] = ("later", None)
        assert shown(api, "race") == whole, "and migrate has everybody read again"
        own_stack.kill("postgres")
        away = api.put(path("ann"), json={})
        assert (away.status_code, away.json()["code"]) == (503, "store_unavailable")
        assert api.get(path("ann")).status_code == 503
        assert shown(api, "race") == whole

"""What a user is called in one namespace alone, and where it shows."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.sync.client import connect

from app.store import keys
from tests.conftest import Stack
from tests.support.live_socket import key
from tests.support.visibility_race import Race, path
from tests.support.waits import until

NONE = {"display_name": None, "avatar": None}


def put(race: Race, user: str, **profile: Any) -> dict[str, Any]:
    answer = race.api.put(f"{race.url}/users/{quote(race.user(user), safe='')}", json=profile)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def names(race: Race, window: str = "all", **query: Any) -> dict[str, tuple[Any, Any]]:
    body = race.api.get(f"{race.url}/boards/{window}", params=query).json()
    return {e["user_id"].partition("/")[2]: (e["display_name"], e["avatar"]) for e in body["entries"]}


@pytest.fixture
def here(api: httpx.Client, space: str) -> Race:
    race = Race(api, space)
    race.grants(ann=9, bob=7)
    return race


@pytest.fixture
def there(api: httpx.Client, here: Race) -> Race:
    race = Race(api, f"{here.name}-there")
    race.user = here.user  # type: ignore[method-assign]
    race.grants(ann=9, bob=7)
    return race


def test_a_name_of_one_namespace_wins_there_alone(api: httpx.Client, here: Race, there: Race) -> None:
    user, picture = here.user("ann"), "https://example.org/a.png"
    api.put(path(user), json={"display_name": "Ann", "avatar": picture})
    reply = put(here, "ann", display_name="Queen")
    assert reply == {"user_id": user, "display_name": "Queen", "avatar": None, "opt_out": False}
    shown = {"ann": ("Queen", picture), "bob": (None, None)}
    for query in ({}, {"limit": 1}, {"around": user}, {"user": [user]}, {"ranking": "dense"}):
        assert names(here, **query)["ann"] == shown["ann"]
    assert names(there)["ann"] == ("Ann", picture)
    assert here.standing("ann")["display_name"] == "Queen"
    assert api.get(f"{here.url}/boards/all/at/1").json()["display_name"] == "Queen"
    ranks = api.post(f"{here.url}/ranks", json={"users": [user]}).json()["boards"][0]["entries"]
    assert ranks[0]["display_name"] == "Queen"
    put(here, "ann", avatar="https://example.org/b.png")
    assert names(here)["ann"] == ("Ann", "https://example.org/b.png"), "what is null is the deployment's"
    api.put(path(user), json={})
    assert names(here)["ann"] == (None, "https://example.org/b.png")
    assert names(there)["ann"] == (None, None)


def test_each_change_shows_in_the_next_read(here: Race) -> None:
    for turn in range(6):
        put(here, "ann", display_name=f"Ann {turn}")
        for _ in range(2):
            assert names(here)["ann"] == (f"Ann {turn}", None)


def test_a_name_of_one_namespace_empties_no_other_ones_caches(here: Race, there: Race) -> None:
    put(there, "ann", display_name="first")
    tag = here.api.get(f"{here.url}/boards/all").headers["etag"]
    own = there.api.get(f"{there.url}/boards/all").headers["etag"]
    put(there, "ann", display_name="second")
    assert here.api.get(f"{here.url}/boards/all", headers={"if-none-match": tag}).status_code == 304
    changed = there.api.get(f"{there.url}/boards/all", headers={"if-none-match": own})
    assert (changed.status_code, changed.json()["entries"][0]["display_name"]) == (200, "second")


def test_opt_out_of_one_namespace_stays_until_it_is_named(here: Race, there: Race) -> None:
    assert put(here, "ann", opt_out=True)["opt_out"] is True
    assert put(here, "ann", display_name="Queen")["opt_out"] is True
    assert (here.board(), there.board()) == ([("bob", 1, 7)], [("ann", 1, 9), ("bob", 2, 7)])
    assert put(here, "ann", display_name="Queen", opt_out=False)["opt_out"] is False
    assert here.board() == [("ann", 1, 9), ("bob", 2, 7)]
    for wrong in ({"opt_out": None}, {"timezone": "UTC"}, {"display_name": 7}, {"avatar": "javascript:alert(1)"}):
        answer = here.api.put(f"{here.url}/users/x", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_a_key_that_writes_reads_profile_and_hidden(live_server: Stack, api: httpx.Client, here: Race) -> None:
    users = {
        user: f"{here.url}/users/{quote(here.user(user), safe='')}" for user in ("ann", "bob", "eve", "fay", "gus")
    }
    put(here, "ann", display_name="Queen")
    put(here, "eve", display_name="no grant yet", opt_out=True)
    assert api.post(users["fay"] + "/hide").status_code == 200
    assert api.post(path(here.user("gus")) + "/hide").status_code == 200
    live_server.wait_flushed()
    with live_server.client(key(live_server, f"write:{here.name}", f"read:{here.name}")) as writer:
        reply = {user: writer.get(url) for user, url in users.items()}
        assert {user: answer.status_code for user, answer in reply.items()} == {
            **dict.fromkeys(("ann", "bob", "eve", "fay"), 200),
            "gus": 404,
        }
        parts = {
            user: (reply[user].json()["profile"], reply[user].json()["hidden"]) for user in ("ann", "bob", "eve", "fay")
        }
        assert parts == {
            "ann": ({"display_name": "Queen", "avatar": None, "opt_out": False}, False),
            "bob": ({**NONE, "opt_out": False}, False),
            "eve": ({"display_name": "no grant yet", "avatar": None, "opt_out": True}, True),
            "fay": ({**NONE, "opt_out": False}, True),
        }
        assert (reply["eve"].json()["score"], reply["eve"].json()["grants"]) == (0, 0)
    with live_server.client(key(live_server, f"read:{here.name}")) as reader:
        assert "profile" not in reader.get(users["ann"]).json()
        assert reader.get(users["eve"]).status_code == 404
        assert reader.put(users["ann"], json={}).status_code == 403
    with live_server.client(key(live_server, f"write:{here.name}-*")) as stranger:
        assert stranger.put(users["ann"], json={}).status_code == 403


def test_a_live_board_shows_it(live_server: Stack, here: Race, there: Race) -> None:
    with connect(live_server.url.replace("http", "ws") + "/v1/live") as socket:
        for number, race in enumerate((here, there)):
            socket.send(json.dumps({"type": "subscribe", "id": number, "namespace": race.name}))
            assert json.loads(socket.recv(timeout=5))["entries"][0]["display_name"] is None
        for name in ("Queen", "King"):
            put(here, "ann", display_name=name)
            frame = json.loads(socket.recv(timeout=5))
            assert (frame["type"], frame["id"], frame["upsert"][0]["display_name"]) == ("delta", 0, name)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.7)


def test_a_restart_forgets_none(own_stack: Stack) -> None:
    """The hash in Redis is a cache: `migrate` makes it anew."""
    with own_stack.client() as api:
        here = Race(api, "here")
        here.grants(ann=9)
        put(here, "ann", display_name="Queen", opt_out=True)
        put(here, "ann", display_name="Queen", opt_out=False)
        with own_stack.store() as direct:
            direct.delete(keys.NAMESPACES_WITH_PROFILES, *direct.keys("lb:*:profiles:*"))
        assert own_stack.run("migrate").returncode == 0
        assert names(here)["ann"] == ("Queen", None)
        own_stack.restart()
    with own_stack.client() as api:
        here.api = api
        assert names(here)["ann"] == ("Queen", None)


def test_erasure_and_deletion_forget_it(live_server: Stack, api: httpx.Client, here: Race, direct: Any) -> None:
    put(here, "ann", display_name="Queen")
    put(here, "bob", display_name="Bishop")
    assert api.delete(path(here.user("ann"))).status_code == 204
    hashes = [name for name in direct.scan_iter("lb:*:profiles:*") if here.user("ann").encode() in direct.hkeys(name)]
    assert hashes == []
    here.grants(ann=3)
    assert names(here) == {"ann": (None, None), "bob": ("Bishop", None)}
    (hash_left,) = [
        name for name in direct.scan_iter("lb:*:profiles:*") if here.user("bob").encode() in direct.hkeys(name)
    ]
    number = hash_left.rpartition(b":")[2]
    assert direct.hget(keys.NAMESPACES_WITH_PROFILES, number) == b"1"
    assert api.delete(here.url, params={"confirm": here.name}).status_code == 204
    until(
        lambda: not direct.exists(hash_left) and not direct.hexists(keys.NAMESPACES_WITH_PROFILES, number),
        "it is gone",
        30,
    )

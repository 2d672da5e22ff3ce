"""Hiding in one namespace alone, beside hiding in the whole deployment: who is hidden by either is on no board."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

from tests.conftest import Stack
from tests.support.checked_deployment import verify
from tests.support.live_socket import key
from tests.support.sealed_namespace import DAY, Space
from tests.support.visibility_race import WINDOWS, Race, other_group, path
from tests.support.waits import until


class Pair:
    """Two namespaces with the same users."""

    def __init__(self, api: httpx.Client, name: str, **rules: Any) -> None:
        self.here, self.there = Race(api, name, **rules), Race(api, f"{name}-there", **rules)
        self.there.user = self.here.user  # type: ignore[method-assign]

    def grants(self, **amounts: int) -> None:
        for race in (self.here, self.there):
            race.grants(**amounts)


def act(race: Race, verb: str, user: str) -> dict[str, Any]:
    answer = race.api.post(f"{race.url}/users/{quote(race.user(user), safe='')}/{verb}")
    assert (answer.status_code, answer.json()["pending"]) == (200, 0), answer.text
    return dict(answer.json())


@pytest.fixture
def pair(api: httpx.Client, space: str) -> Pair:
    return Pair(api, space)


BOTH, ONLY = [("ann", 1, 9), ("bob", 2, 7)], [("bob", 1, 7)]


@pytest.mark.parametrize("rules", [{}, {"tie_break": "earliest", "ranking": "dense", "bounded_sums": True}])
def test_a_user_leaves_the_boards_of_one_namespace(api: httpx.Client, space: str, rules: dict[str, Any]) -> None:
    pair = Pair(api, space, **rules)
    pair.grants(ann=9, bob=7)
    before, standing = pair.here.boards(), pair.here.standing("ann")
    expected = {"user_id": pair.here.user("ann"), "hidden": True, "opt_out": False, "pending": 0}
    assert act(pair.here, "hide", "ann") == expected
    assert set(map(str, pair.here.boards().values())) == {str(ONLY)}
    assert pair.there.boards() == before
    off = {"ranks": dict.fromkeys(standing["ranks"]), "hidden": True}
    assert pair.here.standing("ann") == standing | off
    assert pair.here.grant("ann", 4, "more")["score"] == 13
    assert pair.here.board() == ONLY
    act(pair.here, "unhide", "ann")
    assert pair.here.board() == [("ann", 1, 13), ("bob", 2, 7)]


def test_a_user_stays_hidden_until_each_cause_is_ended(pair: Pair) -> None:
    pair.grants(ann=9, bob=7)
    here, there = pair.here, pair.there
    here.veil("hide", "ann")
    act(here, "hide", "ann")
    act(here, "unhide", "ann")
    assert (here.board(), there.board()) == (ONLY, ONLY)
    act(here, "hide", "ann")
    here.veil("unhide", "ann")
    assert (here.board(), there.board()) == (ONLY, BOTH)
    here.opt_out("ann", True)
    act(here, "unhide", "ann")
    assert (here.board(), there.board()) == (ONLY, ONLY)
    here.opt_out("ann", False)
    assert (here.board(), there.board()) == (BOTH, BOTH)


def test_who_is_hidden_before_their_first_grant_is_nowhere(pair: Pair) -> None:
    act(pair.here, "hide", "ann")
    pair.grants(ann=9, bob=7)
    assert (pair.here.board(), pair.there.board()) == (ONLY, BOTH)
    act(pair.here, "unhide", "ann")
    assert pair.here.board() == BOTH


def test_the_past_and_many_reads_know_it(live_server: Stack, api: httpx.Client, pair: Pair) -> None:
    pair.grants(ann=9, bob=7)
    act(pair.here, "hide", "ann")
    live_server.wait_flushed()
    for race, shown in ((pair.here, ["bob"]), (pair.there, ["ann", "bob"])):
        past = api.get(f"{race.url}/boards/all", params={"as_of": "2100-01-01T00:00:00Z"}).json()
        assert [entry["user_id"].partition("/")[2] for entry in past["entries"]] == shown
        assert past["total"] == len(shown)
        stats = api.get(f"{race.url}/boards/all/stats").json()
        assert (stats["count"], stats["max"]) == (len(shown), {1: 7, 2: 9}[len(shown)])
        ranks = api.post(f"{race.url}/ranks", json={"users": [race.user("ann")]}).json()["boards"][0]
        assert ranks["missing"] == ([race.user("ann")] if len(shown) == 1 else [])
    with live_server.client(None) as anyone:
        user = quote(pair.here.user("ann"), safe="")
        assert anyone.get(f"{pair.here.url}/users/{user}").status_code == 404
        assert anyone.get(f"{pair.there.url}/users/{user}").status_code == 200
        stands = anyone.get(f"/v1/users/{user}/standings").json()["standings"]
        assert [stand["namespace"] for stand in stands] == [pair.there.name]


def test_a_live_board_follows(live_server: Stack, pair: Pair) -> None:
    pair.grants(ann=9, bob=7)
    with connect(live_server.url.replace("http", "ws") + "/v1/live") as socket:
        socket.send(json.dumps({"type": "subscribe", "id": 1, "namespace": pair.here.name}))
        assert len(json.loads(socket.recv(timeout=5))["entries"]) == 2
        act(pair.here, "hide", "ann")
        frame = json.loads(socket.recv(timeout=5))
        assert (frame["type"], frame["remove"], frame["total"]) == ("delta", [pair.here.user("ann")], 1)


def test_archives_close_up_by_both(live_server: Stack, api: httpx.Client, space: str) -> None:
    user = f"{space}-ann"
    here, there = Space(live_server, api, space), Space(live_server, api, f"{space}-there")
    for one in (here, there):
        for name, amount in ((user, 9), ("bob", 7), ("cleo", 5)):
            one.grant(name, amount)

    def hide(verb: str, name: str) -> int:
        return api.post(f"{here.url}/users/{name}/{verb}").status_code

    assert hide("hide", user) == 200
    here.seal(DAY)
    there.seal(DAY)
    both = {user: 9, "bob": 7, "cleo": 5}
    assert (here.scores(), there.scores()) == ({"bob": 7, "cleo": 5}, both)
    assert hide("hide", "bob") == 200
    assert (here.scores(), there.scores()) == ({"cleo": 5}, both)
    assert here.board()["entries"][0]["rank"] == 1
    for verb in ("hide", "unhide"):
        assert api.post(f"/v1/users/{user}/{verb}").status_code == 200
    assert (here.scores(), there.scores()) == ({"cleo": 5}, both), "still hidden here"
    assert (hide("unhide", user), hide("unhide", "bob")) == (200, 200)
    assert (here.scores(), there.scores()) == (both, both)


def api_rules(api: httpx.Client, race: Race) -> dict[str, Any]:
    rules = api.get(race.url).json()
    return {name: value for name, value in rules.items() if name not in ("name", "resets")}


def test_an_admin_of_one_namespace_learns_nothing_of_others(live_server: Stack, pair: Pair) -> None:
    pair.there.grants(bob=7)
    live_server.wait_flushed()
    url = f"{pair.here.url}/users/"
    with live_server.client(key(live_server, f"admin:{pair.here.name}")) as admin:
        reply = {user: admin.post(f"{url}{quote(pair.here.user(user), safe='')}/unhide") for user in ("bob", "nobody")}
        assert {answer.status_code for answer in reply.values()} == {404}
        assert reply["bob"].text.replace("bob", "nobody") == reply["nobody"].text
        assert admin.post(f"{url}{quote(pair.here.user('bob'), safe='')}/hide").status_code == 200
        assert admin.post(f"{pair.there.url}/users/x/hide").status_code == 403
        assert admin.post(path(pair.here.user("bob")) + "/hide").status_code == 403
    with live_server.client(key(live_server, f"write:{pair.here.name}")) as writer:
        assert writer.post(f"{url}x/hide").status_code == 403


def test_a_namespace_with_users_of_its_own_stays_in_its_partition(api: httpx.Client, space: str) -> None:
    """An empty one would leave behind in its old partition who is hidden in it."""
    race = Race(api, space)
    act(race, "hide", "ann")
    answer = api.put(race.url, json=api_rules(api, race) | {"group": other_group(space)})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "rule_locked", "$.group")
    race.grants(ann=9, bob=7)
    assert race.board() == ONLY


def test_erasure_forgets_it_everywhere(live_server: Stack, api: httpx.Client, pair: Pair, direct: Any) -> None:
    pair.grants(ann=9, bob=7)
    act(pair.here, "hide", "ann")
    act(pair.there, "hide", "bob")
    assert api.delete(path(pair.here.user("ann"))).status_code == 204
    assert (pair.here.board(), pair.there.board()) == (ONLY, [])
    name = pair.here.user("ann").encode()
    for one in direct.scan_iter("lb:*hidden*"):
        assert name not in direct.hkeys(one), one
    with psycopg.connect(live_server.postgres.url) as db:
        assert db.execute("SELECT FROM visibility_intents WHERE name = %s", (name.decode(),)).fetchall() == []
    pair.here.grants(ann=3)
    assert pair.here.board() == [("bob", 1, 7), ("ann", 2, 3)], "whoever bears the name now is somebody else"


def test_what_a_deleted_namespace_kept_goes_with_it(live_server: Stack, api: httpx.Client, space: str) -> None:
    race = Race(api, space)
    race.grants(ann=9)
    act(race, "hide", "ann")
    assert api.delete(race.url, params={"confirm": space}).status_code == 204
    again = Race(api, space)
    again.grants(ann=9)
    assert again.board() == [("ann", 1, 9)]
    gone = "SELECT FROM hidden_users h JOIN namespaces n ON n.id = h.namespace_id WHERE n.name = %s"
    wished = "SELECT FROM visibility_intents i JOIN namespaces n ON n.id = i.namespace_id WHERE n.name = %s"
    with psycopg.connect(live_server.postgres.url, autocommit=True) as db:

        def is_forgotten() -> bool:
            return not any(db.execute(sql, (space,)).fetchall() for sql in (gone, wished))

        until(is_forgotten, "what was kept of a deleted namespace is gone", 30)


def test_verify_knows_both(live_server: Stack, api: httpx.Client, pair: Pair, direct: Any) -> None:
    pair.grants(ann=9, bob=7)
    act(pair.here, "hide", "ann")
    pair.here.veil("hide", "bob")
    live_server.wait_flushed()
    names = (race.url.rpartition("/")[2] for race in (pair.here, pair.there))
    assert verify(live_server, *names) == (0, [])
    assert all(len(pair.here.board(window)) == 0 for window in WINDOWS)

"""Hiding and opting out, over HTTP and on real parts: who is off the boards, and comes back as they were."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import Stack
from tests.support.visibility_race import AT, RULES, WINDOWS, Race, path


@pytest.fixture
def race(api: httpx.Client, space: str) -> Race:
    return Race(api, space)


def test_ranks_close_up_and_open_again_on_every_board(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9, bob=7, cleo=7, dan=5)
    before, standing = race.boards(), race.standing("ann")
    assert race.veil("hide", "ann") == {"user_id": race.user("ann"), "hidden": True, "opt_out": False, "pending": 0}
    assert set(map(str, race.boards().values())) == {str([("cleo", 1, 7), ("bob", 1, 7), ("dan", 3, 5)])}
    assert race.board(around=race.user("bob"), radius=1) == [("cleo", 1, 7), ("bob", 1, 7), ("dan", 3, 5)]
    assert race.board(user=[race.user("ann"), race.user("dan")]) == [("dan", 3, 5)]
    lost = api.get(f"{race.url}/boards/all", params={"around": race.user("ann")})
    assert (lost.status_code, lost.json()["code"]) == (404, "user_not_found")
    missing = api.get(f"{race.url}/boards/all", params={"user": race.user("ann")}).json()
    assert (missing["missing"], missing["total"]) == ([race.user("ann")], 3)
    reply = race.standing("ann")
    assert reply == standing | {"ranks": dict.fromkeys(standing["ranks"]), "hidden": True}
    dan = {"rank": 3, "score": 5, "percentile": 33.3333, "band": None, "gap_to_next": 2}
    assert race.standing("dan")["ranks"]["all"] == dan
    totals = api.post(f"{race.url}/totals", json={"users": [race.user("ann")]}).json()
    assert totals["totals"][0]["score"] == 9
    live_server.wait_flushed()
    user = quote(race.user("ann"), safe="")
    assert api.get(f"{race.url}/users/{user}/explain").json()["score"] == 9
    assert len(api.get(f"{race.url}/users/{user}/grants").json()["grants"]) == 1
    race.veil("unhide", "ann")
    assert (race.boards(), race.standing("ann")) == (before, standing)


@pytest.mark.parametrize("ranking", ["competition", "dense", "ordinal"])
@pytest.mark.parametrize("order", ["desc", "asc"])
def test_in_every_ranking_and_order(api: httpx.Client, space: str, ranking: str, order: str) -> None:
    race = Race(api, space, ranking=ranking, order=order, tie_break="earliest")
    race.grants(ann=7, bob=5, cleo=7, dan=9)
    before = race.boards()
    ranks = {"competition": [1, 2, 3], "dense": [1, 2, 3], "ordinal": [1, 2, 3]}[ranking]
    shown = ["dan", "cleo", "bob"] if order == "desc" else ["bob", "cleo", "dan"]
    race.veil("hide", "ann")
    assert [(user, rank) for user, rank, _ in race.board()] == list(zip(shown, ranks, strict=True))
    race.veil("hide", shown[0])
    assert [(user, rank) for user, rank, _ in race.board()] == list(zip(shown[1:], ranks[:2], strict=True))
    race.veil("unhide", "ann")
    race.veil("unhide", shown[0])
    assert race.boards() == before, "who came first among equals still does"


def test_what_moves_a_score_meanwhile_moves_no_board(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9, bob=7)
    race.veil("hide", "ann")
    only_bob = race.boards()
    answer = race.grant("ann", 4, "more")
    assert (answer["score"], answer["previous_score"]) == (13, 9)
    live_server.wait_flushed()
    voided = api.delete(f"{race.url}/grants/ann-9").json()
    assert (voided["status"], voided["score"], voided["previous_score"]) == ("applied", 4, 13)
    again = api.delete(f"{race.url}/grants/ann-9").json()
    assert (again["status"], again["score"]) == ("duplicate", 4)
    assert api.post(f"{race.url}/grants/ann-9/restore").json()["score"] == 13
    edit = api.patch(f"{race.url}/grants/more", json={"amount": 1, "granted_at": "2021-07-19T12:00:00Z"}).json()
    assert edit["score"] == 10
    assert race.boards() == only_bob
    assert race.board("2021-07-19") == []
    race.veil("unhide", "ann")
    assert race.board() == [("ann", 1, 10), ("bob", 2, 7)]
    assert race.board("2021-07-18") == [("ann", 1, 9), ("bob", 2, 7)]
    assert race.board("2021-07-19") == [("ann", 1, 1)]


def test_a_dry_run_tells_scores_and_no_rank(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9, bob=7)
    race.veil("hide", "ann")
    live_server.wait_flushed()
    body = api.patch(f"{race.url}/grants/ann-9", params={"dry_run": "true"}, json={"amount": 1}).json()
    assert {(m["previous_score"], m["score"], m["previous_rank"], m["rank"]) for m in body["moves"]} == {
        (9, 1, None, None)
    }
    assert len(body["moves"]) == 2 * len(WINDOWS)


def test_the_latest_that_comes_late(live_server: Stack, api: httpx.Client, space: str) -> None:
    race = Race(api, space, aggregation="latest")
    race.grants(ann=9, bob=7)
    race.veil("hide", "ann")
    answer = race.grant("ann", 5, "late", granted_at="2021-07-17T12:00:00Z")
    assert answer["score"] == 9
    assert race.board("2021-07-17") == []
    race.veil("unhide", "ann")
    assert race.board("2021-07-17") == [("ann", 1, 5)]
    assert race.board() == [("ann", 1, 9), ("bob", 2, 7)]


def test_off_while_either_holds(race: Race) -> None:
    race.grants(ann=9, bob=7)
    both, only = [("ann", 1, 9), ("bob", 2, 7)], [("bob", 1, 7)]
    race.opt_out("ann", True)
    assert race.board() == only
    assert race.veil("hide", "ann") == {"user_id": race.user("ann"), "hidden": True, "opt_out": True, "pending": 0}
    assert race.veil("unhide", "ann")["opt_out"]
    assert race.board() == only, "unhide does not override opt_out"
    race.veil("hide", "ann")
    race.opt_out("ann", False)
    assert race.board() == only, "nor the reverse"
    for _ in range(2):
        race.veil("hide", "ann")
        assert race.board() == only
    for _ in range(2):
        race.veil("unhide", "ann")
        assert race.board() == both


def test_of_many_at_once_the_last_one_stands(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9, bob=7)
    for turn in range(3):
        with ThreadPoolExecutor(8) as threads:
            desired_states = [{"opt_out": i % 2 == 0, "display_name": f"{turn}"} for i in range(24)]
            reply = list(
                threads.map(
                    lambda desired_state: api.put(path(race.user("ann")), json=desired_state).status_code,
                    desired_states,
                )
            )
        assert set(reply) <= {200, 202}
        opted_out = api.get(path(race.user("ann"))).json()["opt_out"]
        race.opt_out("ann", opted_out)
        assert len(race.board()) == (1 if opted_out else 2)
    race.opt_out("ann", False)


def test_who_is_hidden_beforehand_is_nowhere(api: httpx.Client, race: Race) -> None:
    race.veil("hide", "ann")
    race.opt_out("bob", True)
    answer = api.post(
        f"{race.url}/grants",
        json=[{"grant_id": u, "user_id": race.user(u), "amount": 3, "granted_at": AT} for u in ("ann", "bob", "cleo")],
    ).json()
    assert [result["score"] for result in answer["results"]] == [3, 3, 3]
    assert race.board() == [("cleo", 1, 3)]
    other = Race(api, f"{race.name}-other")
    body = {"grant_id": "g", "user_id": race.user("ann"), "amount": 1}
    assert api.post(f"{other.url}/grants", json=body).status_code == 201
    assert other.board() == []
    race.veil("unhide", "ann")
    assert (len(race.board()), len(other.board())) == (2, 1)


def test_the_past_leaves_them_out(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9, bob=7, cleo=5)
    then = datetime.now(UTC).isoformat()
    race.grant("cleo", 3, "later")
    race.veil("hide", "ann")
    live_server.wait_flushed()
    assert race.board(as_of=then) == [("bob", 1, 7), ("cleo", 2, 5)]
    moved = api.get(f"{race.url}/boards/all", params={"compare_to": then}).json()["entries"]
    assert [(e["user_id"], e["rank_change"]) for e in moved] == [(race.user("cleo"), 1), (race.user("bob"), -1)]
    race.veil("unhide", "ann")
    assert race.board(as_of=then) == [("ann", 1, 9), ("bob", 2, 7), ("cleo", 3, 5)]


def test_who_watches_sees_them_go_and_come_back(live_server: Stack, race: Race) -> None:
    race.grants(ann=9, bob=7, cleo=5)
    url = live_server.url.replace("http", "ws") + "/v1/live"
    with connect(url, subprotocols=["leaderboard.v1"]) as socket:  # type: ignore[list-item]
        views = [{"kind": "top", "limit": 2}, {"kind": "users", "users": [race.user("ann")]}]
        views.append({"kind": "around", "user": race.user("ann")})
        for number, view in enumerate(views):
            socket.send(json.dumps({"type": "subscribe", "id": number, "namespace": race.name, "view": view}))
        frames = {text["id"]: text for text in (json.loads(socket.recv(timeout=5)) for _ in views)}
        assert frames[0]["total"] == 3
        race.veil("hide", "ann")
        snapshots = {text["id"]: text for text in (json.loads(socket.recv(timeout=5)) for _ in views)}
        assert {frame["type"] for frame in snapshots.values()} == {"delta"}
        assert race.user("ann") in snapshots[0]["remove"] + snapshots[1]["remove"]
        assert all(race.user("ann") in frame["remove"] for frame in snapshots.values())
        assert {frame["total"] for frame in snapshots.values()} == {2}
        assert [(e["user_id"], e["rank"]) for e in snapshots[0]["upsert"]] == [
            (race.user("bob"), 1),
            (race.user("cleo"), 2),
        ]
        race.grant("ann", 1, "unseen")
        race.veil("unhide", "ann")
        while (back := json.loads(socket.recv(timeout=5)))["total"] == 2:
            assert not any(e["user_id"] == race.user("ann") for e in back["upsert"])
        assert (back["type"], back["upsert"][0]["user_id"], back["upsert"][0]["score"]) == (
            *("delta", race.user("ann")),
            10,
        )


def test_events_tell_of_it_once_a_namespace(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9)
    for day in range(1, 29):
        race.grant("ann", 1, f"d{day}", granted_at=f"2021-02-{day:02}T12:00:00Z", category=f"c{day}")
    race.veil("hide", "ann")
    race.veil("unhide", "ann")
    live_server.wait_flushed()
    events = api.get(f"{race.url}/events", params={"type": ["user_hidden", "user_unhidden", "edited"]}).json()["events"]
    assert [(e["type"], e["user_id"], e["actor"]) for e in events] == [
        ("user_hidden", race.user("ann"), "test"),
        ("user_unhidden", race.user("ann"), "test"),
    ]
    assert set(events[0]) == {"type", "at", "actor", "seq", "epoch", "user_id"}
    everything = api.get(f"{race.url}/events", params={"limit": 1000}).json()["events"]
    assert [e["type"] for e in everything].count("user_hidden") == 1
    (standing,) = api.get(f"{path(race.user('ann'))}/standings").json()["standings"]
    assert standing["last_granted_at"] == AT


def test_nothing_is_lost_of_what_is_granted_meanwhile(live_server: Stack, api: httpx.Client, race: Race) -> None:
    count, turns = 400, 12

    def write(number: int) -> None:
        with live_server.client() as client:
            own = Race.__new__(Race)
            own.api, own.name, own.url = client, race.name, race.url
            for i in range(count // 4):
                own.grant("ann", 1, f"{number}-{i}", category=f"c{i % 3}")

    race.grants(bob=7)
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, number) for number in range(4)]
        for turn in range(turns):
            answer = api.post(f"{path(race.user('ann'))}/{('hide', 'unhide')[turn % 2]}")
            # The ledger may be behind for longer than a request waits: the persister goes on.
            assert answer.status_code in (200, 202, 404), answer.text
        for writer in writers:
            writer.result()
    race.veil("hide", "ann")
    assert set(map(str, (race.board(w) for w in WINDOWS))) == {str([("bob", 1, 7)])}
    race.veil("unhide", "ann")
    for window in WINDOWS:
        assert race.board(window) == [("ann", 1, count), ("bob", 2, 7)]
    assert sum(score for c in range(3) for _, _, score in race.board(category=f"c{c}")) == count
    assert race.standing("ann")["score"] == count


def test_a_frozen_namespace_lets_go_and_a_deleted_one_keeps_nobody(api: httpx.Client, race: Race) -> None:
    gone = Race(api, f"{race.name}-gone")
    body = {"grant_id": "g", "user_id": race.user("ann"), "amount": 1}
    assert api.post(f"{gone.url}/grants", json=body).status_code == 201
    race.grants(ann=9, bob=7)
    assert api.put(race.url, json=RULES | {"mode": "frozen"}).status_code == 200
    assert api.delete(gone.url, params={"confirm": gone.name}).status_code == 204
    race.veil("hide", "ann")
    assert race.board() == [("bob", 1, 7)]
    race.veil("unhide", "ann")
    assert race.board() == [("ann", 1, 9), ("bob", 2, 7)]


def test_it_takes_an_admin_of_everything(live_server: Stack, api: httpx.Client, race: Race) -> None:
    race.grants(ann=9)
    user = path(race.user("ann"))
    calls = [("POST", f"{user}/hide"), ("POST", f"{user}/unhide"), ("DELETE", user)]
    scoped = live_server.new_key("admin:t*", "write:*")
    for key, status in ((None, 401), (scoped, 403)):
        with live_server.client(key) as client:
            assert [client.request(*call).status_code for call in calls] == [status] * 3
    assert race.board() == [("ann", 1, 9)]
    nobody = path(race.user("nobody"))
    for method, url in (("POST", f"{nobody}/unhide"), ("DELETE", nobody)):
        answer = api.request(method, url)
        assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")
    assert api.post(f"{user}/hide", params={"x": 1}).status_code == 422
    assert api.post("/v1/users/%00/hide").status_code == 422

"""include=streak,updated_at: what a board's rows tell besides, on every way to read a board."""

import json
from itertools import count
from typing import Any

import httpx
import msgspec
import pytest

from app.store import keys

_numbers = count()
AT = {"granted_at": "2024-05-05T12:00:00Z"}


class Space:
    """A fresh namespace and its board."""

    def __init__(self, api: httpx.Client, **rules: Any) -> None:
        self.api, self.name = api, f"included-{next(_numbers)}"
        self.url = f"/v1/namespaces/{self.name}"
        assert api.put(self.url, json={"accept_past": None} | rules).status_code == 201

    def grant(self, grant_id: str, user: str, amount: int = 5, **fields: Any) -> None:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount} | fields
        assert self.api.post(f"{self.url}/grants", json=body).status_code == 201

    def recorded(self, grant_id: str, revision: int = 1) -> str:
        revisions = self.api.get(f"{self.url}/grants/{grant_id}").json()["revisions"]
        return str(revisions[revision - 1]["recorded_at"])

    def board(self, window: str = "all", **query: Any) -> dict[str, dict[str, Any]]:
        answer = self.api.get(f"{self.url}/boards/{window}", params=query)
        assert answer.status_code == 200, answer.text
        return {entry["user_id"]: entry for entry in answer.json()["entries"]}

    def updated(self, user: str) -> str:
        return str(self.board(include="updated_at")[user]["updated_at"])


@pytest.fixture
def space(api: httpx.Client) -> Space:
    return Space(api)


def test_only_requested_includes_are_there(space: Space) -> None:
    space.grant("g1", "otter")
    plain = space.board()["otter"]
    assert not {"streak", "updated_at"} & plain.keys()
    otter = space.board(include="streak,updated_at")["otter"]
    assert otter == plain | {"streak": None, "updated_at": space.recorded("g1")}
    packed = space.api.get(
        f"{space.url}/boards/all?include=streak&include=updated_at", headers={"accept": "application/msgpack"}
    )
    (entry,) = msgspec.msgpack.decode(packed.content)["entries"]
    assert (entry.keys() - plain.keys(), entry["streak"]) == ({"streak", "updated_at"}, None)


@pytest.mark.parametrize(
    "query",
    [{"limit": 2}, {"offset": 1}, {"user": ["otter", "hare"]}, {"around": "otter", "radius": 0}, {"ranking": "dense"}],
)
def test_every_way_to_read_a_board_includes(space: Space, query: Any) -> None:
    for i, user in enumerate(("otter", "hare", "mole")):
        space.grant(f"g{i}", user, amount=5 + i)
    plain, reply = space.board(**query), space.board(include="updated_at", **query)
    recorded = {"otter": space.recorded("g0"), "hare": space.recorded("g1"), "mole": space.recorded("g2")}
    assert reply == {user: entry | {"updated_at": recorded[user]} for user, entry in plain.items()}


def test_a_page_by_cursor_and_a_comparison_include(space: Space, live_server: Any) -> None:
    space.grant("g1", "otter", 9)
    space.grant("g2", "hare", 5)
    cursor = space.api.get(f"{space.url}/boards/all?limit=1").json()["next_cursor"]
    assert space.board(cursor=cursor, include="updated_at")["hare"]["updated_at"] == space.recorded("g2")
    live_server.wait_flushed()
    (otter, _) = space.board(compare_to="2024-01-01T00:00:00Z", include="updated_at").values()
    assert (otter["rank_change"], otter["updated_at"]) == (None, space.recorded("g1"))


@pytest.mark.parametrize("text", ["streaks", "streak,", "", "streak,score", "STREAK"])
def test_what_is_unknown_is_refused(space: Space, text: str) -> None:
    answer = space.api.get(f"{space.url}/boards/all", params={"include": text})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", "?include")


def test_the_past_has_nothing_to_include(space: Space) -> None:
    answer = space.api.get(f"{space.url}/boards/all?include=streak&as_of=2024-01-01T00:00:00Z")
    assert (answer.status_code, answer.json()["field"]) == (422, "?include")


def test_updated_at_is_when_the_score_on_all_last_changed(api: httpx.Client) -> None:
    space = Space(api, aggregation="best", tie_break="earliest")
    space.grant("g1", "otter", 5, **AT)
    first = space.updated("otter")
    assert first == space.recorded("g1")
    # What leaves the score as it is: a worse grant, a duplicate, a void of it.
    space.grant("g2", "otter", 3)
    space.grant("g3", "otter", 5)
    assert api.delete(f"{space.url}/grants/g2").status_code == 200
    assert space.updated("otter") == first
    assert space.board("2024-05-05", include="updated_at")["otter"]["updated_at"] == first
    space.grant("g4", "otter", 7)
    assert space.updated("otter") == space.recorded("g4") > first
    assert api.delete(f"{space.url}/grants/g4").status_code == 200
    assert space.updated("otter") == space.recorded("g4", 2)


def test_a_grant_of_nothing_puts_a_user_on_the_board_once(space: Space) -> None:
    space.grant("g1", "otter", 0)
    first = space.updated("otter")
    assert first == space.recorded("g1")
    space.grant("g2", "otter", 0)
    assert space.updated("otter") == first


def test_a_batch_tells_the_moment_of_its_last_change(space: Space) -> None:
    body = [{"grant_id": f"g{i}", "user_id": "otter", "amount": amount} for i, amount in enumerate((5, 1, 0))]
    assert space.api.post(f"{space.url}/grants", json=body).json()["applied"] == 3
    assert space.updated("otter") == space.recorded("g1")


def test_streaks_follow_each_users_zone(api: httpx.Client) -> None:
    space = Space(api, streaks=True)
    far = f"{space.name}-far"
    assert api.put(f"/v1/users/{far}", json={"timezone": "Pacific/Auckland"}).status_code == 200
    for user in (far, "otter"):
        for i, at in enumerate(("2024-05-05T11:30:00Z", "2024-05-05T12:30:00Z")):
            space.grant(f"{user}-{i}", user, granted_at=at)
    reply = space.board(include="streak")
    assert reply["otter"]["streak"] == {"current": 0, "best": 1, "last_day": "2024-05-05"}
    assert reply[far]["streak"] == {"current": 0, "best": 2, "last_day": "2024-05-06"}
    assert reply[far]["streak"] == api.get(f"{space.url}/users/{far}").json()["streak"]
    # A grant that no board of this window sees is seen: no version of the board tells of it.
    before = space.board("2024-05-05", include="streak")[far]["streak"]
    space.grant("more", far, granted_at="2024-05-06T12:30:00Z")
    assert space.board("2024-05-05", include="streak")[far]["streak"] == before | {"best": 3, "last_day": "2024-05-07"}


@pytest.mark.own_valkey
def test_a_long_page_takes_few_calls(space: Space, direct: Any) -> None:
    body = [{"grant_id": f"g{i}", "user_id": f"u{i}", "amount": i} for i in range(1000)]
    assert space.api.post(f"{space.url}/grants", json=body).json()["applied"] == 1000
    space.board()
    direct.config_resetstat()
    reply = space.board(limit=1000, include="updated_at")
    assert len(reply) == 1000
    assert all(entry["updated_at"] for entry in reply.values())
    # A board, ten times a hundred rows, and what a running system asks now and then; not a call for each of 1,000 rows.
    assert direct.info("commandstats")["cmdstat_evalsha"]["calls"] < 200


def test_scores_from_before_it_was_kept_have_no_moment(space: Space, direct: Any) -> None:
    space.grant("g1", "otter")
    rules = json.loads(direct.hget(keys.DIRECTORY, space.name).partition(b" ")[2])
    key = keys.balances(rules["partition"], rules["id"]) + "otter"
    direct.hdel(key, "at")
    assert space.board(include="updated_at")["otter"]["updated_at"] is None
    space.grant("g2", "otter")
    assert space.updated("otter") == space.recorded("g2")

"""Boards, standings and history over HTTP."""

from typing import Any

import httpx
import pytest

SCORES = {"otter": 30, "heron": 20, "lynx": 20, "mole": 10, "newt": 0, "crab": -5}


@pytest.fixture
def board(api: httpx.Client, space: str) -> str:
    grants = [{"grant_id": user, "user_id": user, "amount": score} for user, score in SCORES.items()]
    assert api.post(f"/v1/namespaces/{space}/grants", json=grants).json()["applied"] == len(SCORES)
    return f"/v1/namespaces/{space}/boards/all"


def rows(answer: httpx.Response) -> list[tuple[int, int, str, int]]:
    assert answer.status_code == 200, answer.text
    return [(e["position"], e["rank"], e["user_id"], e["score"]) for e in answer.json()["entries"]]


def test_ties_share_a_rank_and_the_next_rank_counts_them(api: httpx.Client, board: str) -> None:
    entries = rows(api.get(board))
    assert [(position, rank, score) for position, rank, _, score in entries] == [
        (1, 1, 30),
        (2, 2, 20),
        (3, 2, 20),
        (4, 4, 10),
        (5, 5, 0),
        (6, 6, -5),
    ]
    assert api.get(board).json()["total"] == 6


@pytest.mark.parametrize("offset", range(8))
def test_a_page_is_a_piece_of_the_whole(api: httpx.Client, board: str, offset: int) -> None:
    whole = rows(api.get(board))
    assert rows(api.get(board, params={"offset": offset, "limit": 2})) == whole[offset : offset + 2]


def test_around_a_user(api: httpx.Client, board: str) -> None:
    whole = rows(api.get(board))
    assert rows(api.get(board, params={"around": "mole", "radius": 1})) == whole[2:5]
    assert rows(api.get(board, params={"around": "otter", "radius": 2})) == whole[:3]
    absent = api.get(board, params={"around": "nobody"})
    assert (absent.status_code, absent.json()["code"]) == (404, "user_not_found")


def test_friends(api: httpx.Client, board: str) -> None:
    whole = {user: row for row in rows(api.get(board)) for user in [row[2]]}
    answer = api.get(board, params={"user": ["crab", "nobody", "heron"]})
    assert rows(answer) == [whole["heron"], whole["crab"]]
    assert answer.json()["missing"] == ["nobody"]


def test_windows_are_named_with_their_bounds(api: httpx.Client, board: str) -> None:
    month = api.get(board.replace("/all", "/month")).json()
    assert month["window"] == month["starts"][:7]
    assert month["total"] == 6
    leap = api.get(board.replace("/all", "/2024-02-29")).json()
    assert (leap["starts"], leap["ends"], leap["total"], leap["version"]) == (
        *("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", 0, 0),
    )
    for name in ("2025-02-29", "fortnight", "2025-W54"):
        for path in ("", "/stats"):
            body = api.get(board.replace("/all", f"/{name}{path}")).json()
            assert (body["code"], body["field"]) == ("board_not_found", "{window}")
    body = api.get(board.replace("/boards/all", "/users/ann/explain?window=fortnight")).json()
    assert (body["code"], body["field"]) == ("board_not_found", "?window")


def test_unknown_and_wrong_parameters_are_refused(api: httpx.Client, board: str) -> None:
    for name, value in (("limit", "0"), ("limit", "1001"), ("offset", "-1"), ("limit", "x"), ("nonsense", "1")):
        answer = api.get(board, params={name: value})
        assert (answer.status_code, answer.json()["field"]) == (422, f"?{name}")


def test_version_rises_with_each_change(api: httpx.Client, board: str, space: str) -> None:
    before = api.get(board).json()["version"]
    api.post(f"/v1/namespaces/{space}/grants", json={"grant_id": "x", "user_id": "newt", "amount": 1})
    assert api.get(board).json()["version"] > before


def test_a_users_standing(api: httpx.Client, space: str, board: str) -> None:
    grant = {"user_id": "mole", "amount": 10, "category": "red", "source": "race"}
    api.post(f"/v1/namespaces/{space}/grants", json={"grant_id": "m2", **grant})
    body = api.get(f"/v1/namespaces/{space}/users/mole").json()
    assert (body["score"], body["grants"], body["categories"], body["sources"]) == (20, 2, {"red": 10}, {"race": 10})
    assert body["ranks"]["all"] == {"rank": 2, "score": 20, "percentile": 83.3333, "band": None, "gap_to_next": 10}
    assert api.get(f"/v1/namespaces/{space}/users/otter").json()["ranks"]["all"]["gap_to_next"] is None
    assert api.get(f"/v1/namespaces/{space}/users/nobody").json()["code"] == "user_not_found"


def test_history_is_newest_first_and_pages_without_loss(live_server: Any, api: httpx.Client, space: str) -> None:
    grants = [
        {"grant_id": f"g{i}", "user_id": "otter", "amount": i, "granted_at": f"2024-01-{1 + i % 9:02}T00:00:00Z"}
        for i in range(25)
    ]
    api.post(f"/v1/namespaces/{space}/grants", json=grants)
    live_server.wait_flushed()
    path = f"/v1/namespaces/{space}/users/otter/grants"
    whole = api.get(path).json()
    assert whole["lag_seq"] == 0
    assert whole["next_cursor"] is None
    times = [grant["granted_at"] for grant in whole["grants"]]
    assert times == sorted(times, reverse=True)
    assert sum(grant["amount"] for grant in whole["grants"]) == sum(range(25))
    paged, cursor = [], None
    while True:
        page = api.get(path, params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
        paged += page["grants"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == whole["grants"]
    part = api.get(path, params={"since": "2024-01-03T00:00:00Z", "until": "2024-01-04T00:00:00Z"}).json()["grants"]
    assert {grant["granted_at"] for grant in part} == {"2024-01-03T00:00:00Z"}
    assert api.get(path, params={"cursor": "?"}).json()["field"] == "?cursor"
    assert api.get(path, params={"since": "now"}).json()["field"] == "?since"


def test_a_fresh_grant_is_waited_for(api: httpx.Client, space: str) -> None:
    for i in range(5):
        grant = {"grant_id": f"f{i}", "user_id": "otter", "amount": 1, "meta": {"b": 1, "a": [1.5]}}
        api.post(f"/v1/namespaces/{space}/grants", json=grant)
        body = api.get(f"/v1/namespaces/{space}/grants/f{i}").json()
        assert (body["amount"], body["meta"], [r["revision"] for r in body["revisions"]]) == (1, grant["meta"], [1])
    assert api.get(f"/v1/namespaces/{space}/grants/none").json()["code"] == "grant_not_found"


def test_a_public_namespace_needs_no_key(live_server: Any, api: httpx.Client) -> None:
    api.put("/v1/namespaces/open-1", json={"visibility": "public"})
    with live_server.client(None) as anonymous:
        assert anonymous.get("/v1/namespaces/open-1/boards/all").status_code == 200
        listed = anonymous.get("/v1/namespaces", params={"prefix": "open-"}).json()["namespaces"]
        assert [one["name"] for one in listed] == ["open-1"]
        api.put("/v1/namespaces/open-1", json={})
        assert anonymous.get("/v1/namespaces/open-1/boards/all").status_code == 401


def test_health_and_metrics(api: httpx.Client) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    ready = api.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert "leaderboard_commit_call_entries_count" in api.get("/metrics").text


@pytest.mark.parametrize(
    "path",
    [
        *("users/%00/grants", "users/%00", "grants/%00", "users/u/grants?cursor=MCA5OTk5OTk5OTk5OTk5OTk5OTk5OQ"),
        *("users/u/grants?since=0001-01-01T00:00:00%2B14:00", "users/u/grants?until=9999-12-31T23:59:59-14:00"),
        *(
            "boards/all?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5IHU",
            "boards/all?radius=abc",
            "boards/all?user=a&limit=5",
            "boards/all?around=u&limit=1",
            "boards/all?around=u&offset=3",
        ),
    ],
)
def test_what_no_store_could_take_or_no_view_uses_is_refused(api: httpx.Client, space: str, path: str) -> None:
    answer = api.get(f"/v1/namespaces/{space}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_history_never_claims_to_be_complete_while_it_lacks_a_grant(api: httpx.Client, space: str) -> None:
    for i in range(150):
        grant_id = f"g{i}"
        body = {"grant_id": grant_id, "user_id": "otter", "amount": 1}
        assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
        answer = api.get(f"/v1/namespaces/{space}/users/otter/grants?limit=1").json()
        newest = [grant["grant_id"] for grant in answer["grants"]]
        assert answer["lag_seq"] > 0 or newest == [grant_id]


def test_a_season_is_a_window_by_its_name(api: httpx.Client) -> None:
    season = {"name": "autumn", "starts": "2024-09-01T00:00:00Z", "ends": "2024-12-01T00:00:00Z"}
    url = "/v1/namespaces/seasons"
    assert api.put(url, json={"accept_past": None, "seasons": [season]}).status_code == 201
    for grant_id, at in (("in", "2024-09-01T00:00:00Z"), ("last", "2024-11-30T23:59:59.999999Z")):
        body = {"grant_id": grant_id, "user_id": "otter", "amount": 3, "granted_at": at}
        assert api.post(f"{url}/grants", json=body).status_code == 201
    body = {"grant_id": "after", "user_id": "otter", "amount": 9, "granted_at": "2024-12-01T00:00:00Z"}
    assert api.post(f"{url}/grants", json=body).status_code == 201
    answer = api.get(f"{url}/boards/season:autumn").json()
    assert (answer["window"], answer["starts"], answer["ends"]) == (
        *("season:autumn", "2024-09-01T00:00:00Z", "2024-12-01T00:00:00Z"),
    )
    assert [entry["score"] for entry in answer["entries"]] == [6]
    assert api.get(f"{url}/boards/season:winter").json()["code"] == "board_not_found"
    # What grants may lie in already stays as it is; what is still to come may change.
    later = {"name": "later", "starts": "2199-01-01T00:00:00Z", "ends": "2199-02-01T00:00:00Z"}
    rules = {"accept_past": None}
    assert api.put(url, json=rules | {"seasons": [season, later]}).status_code == 200
    assert api.put(url, json=rules | {"seasons": [season]}).status_code == 200
    for seasons in ([], [season | {"ends": "2025-01-01T00:00:00Z"}], [season, season | {"name": "too"}]):
        refused = api.put(url, json=rules | {"seasons": seasons})
        assert (refused.json()["code"], refused.json()["field"]) == ("rule_locked", "$.seasons")


@pytest.mark.parametrize(
    ("seasons", "field"),
    [
        ([{"name": "a b", "starts": "2024-01-01T00:00:00Z", "ends": "2024-02-01T00:00:00Z"}], "$.seasons[0].name"),
        ([{"name": "a", "starts": "2024-03-01T00:00:00Z", "ends": "2024-02-01T00:00:00Z"}], "$.seasons[0].starts"),
        ([{"name": "a", "starts": "2024-03-01T00:00:00", "ends": "2024-02-01T00:00:00Z"}], "$.seasons[0].starts"),
        ([{"name": "a", "starts": "2024-01-01T00:00:00Z", "ends": "2024-02-01T00:00:00Z"}] * 2, "$.seasons[1].name"),
    ],
)
def test_bad_seasons_are_refused_with_their_field(api: httpx.Client, seasons: Any, field: str) -> None:
    answer = api.put("/v1/namespaces/bad-seasons", json={"seasons": seasons})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_a_namespace_shows_its_next_reset(api: httpx.Client, space: str) -> None:
    resets = api.get(f"/v1/namespaces/{space}").json()["resets"]
    assert resets["all"] is None
    board = api.get(f"/v1/namespaces/{space}/boards/week").json()
    assert resets["week"] == board["ends"]
    assert set(resets) == {"all", "month", "week", "day"}


def test_a_frozen_namespace_takes_no_writes_and_knows_what_counted(api: httpx.Client, space: str) -> None:
    url, grant = f"/v1/namespaces/{space}", {"grant_id": "g1", "user_id": "otter", "amount": 5}
    assert api.post(f"{url}/grants", json=grant).status_code == 201
    assert api.put(url, json={"accept_past": None, "mode": "frozen"}).status_code == 200
    assert api.post(f"{url}/grants", json=grant).json()["status"] == "duplicate"
    refused = (
        api.post(f"{url}/grants", json=grant | {"grant_id": "g2"}),
        api.patch(f"{url}/grants/g1", json={"amount": 6}),
        api.delete(f"{url}/grants/g1"),
    )
    assert [(a.status_code, a.json()["code"]) for a in refused] == [(409, "namespace_frozen")] * 3
    assert api.get(f"{url}/boards/all").json()["entries"][0]["score"] == 5
    assert api.put(url, json={"accept_past": None}).status_code == 200
    assert api.post(f"{url}/grants", json=grant | {"grant_id": "g2"}).status_code == 201


def test_a_namespace_in_the_shadow_counts_and_shows_itself_to_admins_alone(live_server: Any, api: httpx.Client) -> None:
    url = "/v1/namespaces/shadow"
    assert api.put(url, json={"mode": "shadow", "visibility": "public"}).status_code == 201
    assert api.post(f"{url}/grants", json={"grant_id": "g1", "user_id": "otter", "amount": 5}).status_code == 201
    assert api.get(f"{url}/boards/all").json()["entries"][0]["score"] == 5
    reader = live_server.new_key("read:*")
    for key, status in ((reader, 403), (None, 401)):
        with live_server.client(key=key) as client:
            for path in ("boards/all", "users/otter", "users/otter/grants"):
                assert client.get(f"{url}/{path}").status_code == status


def test_boards_of_categories(api: httpx.Client, space: str) -> None:
    assert api.get(f"/v1/namespaces/{space}/boards/all?category=red").json()["field"] == "?category"
    api.put("/v1/namespaces/teams", json={"category_boards": True}).raise_for_status()
    members = [("otter", 5, "red"), ("hare", 7, "blue"), ("mole", 9, "red"), ("otter", 1, None)]
    body = [
        {"grant_id": f"g{i}", "user_id": user, "amount": amount, "category": category}
        for i, (user, amount, category) in enumerate(members)
    ]
    assert api.post("/v1/namespaces/teams/grants", json=body).json()["applied"] == 4
    for window in ("all", "week"):
        answer = api.get(f"/v1/namespaces/teams/boards/{window}?category=red").json()
        assert [(e["rank"], e["user_id"], e["score"]) for e in answer["entries"]] == [(1, "mole", 9), (2, "otter", 5)]
        assert (answer["category"], answer["window"]) == ("red", answer["window"].partition(":")[0])
    assert api.get("/v1/namespaces/teams/boards/all?category=none").json()["entries"] == []

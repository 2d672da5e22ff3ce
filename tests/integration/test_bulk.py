"""Many boards, and many users on many boards, in one call."""

from typing import Any

import httpx
import pytest

from tests.support.sealed_namespace import DAY, OLD, Space


@pytest.fixture
def crowded(live_server: Any, api: httpx.Client, names: Any) -> Space:
    space = Space(live_server, api, names.fresh(), category_boards=True, ranking="dense")
    for user, amount in (("ann", 5), ("bob", 3), ("cleo", 3), ("dora", 1)):
        space.grant(user, amount, category="red")
        space.grant(user, amount, at=OLD.replace(day=1), category="blue")
    live_server.wait_flushed()
    return space


def ranks(space: Space, **requests: Any) -> httpx.Response:
    return space.api.post(f"{space.url}/ranks", json=requests)


@pytest.mark.parametrize("more", [{}, {"category": "red"}, {"ranking": "ordinal"}, {"category": "green"}], ids=str)
@pytest.mark.parametrize("sealed", [False, True])
def test_ranks_are_those_of_each_board(crowded: Space, more: dict[str, str], sealed: bool) -> None:
    if sealed:
        crowded.seal(DAY)
    users, windows = ["dora", "nobody", "bob"], ["all", DAY, "month", "2020-01-01"]
    reply = ranks(crowded, users=users, windows=windows, **more)
    assert reply.status_code == 200, reply.text
    query = "&".join([*(f"user={user}" for user in users), *(f"{name}={value}" for name, value in more.items())])
    expected = [crowded.board(window, query) for window in windows]
    assert [{"status": 200, **board} for board in reply.json()["boards"]] == expected
    assert reply.json()["namespace"] == crowded.name


def test_as_many_as_may_be_are_ranked_in_one_call(crowded: Space) -> None:
    users = [f"nobody-{n}" for n in range(499)] + ["ann"]
    windows = ["all", *(f"{OLD.year}-{month:02}" for month in range(1, 13))]
    boards = ranks(crowded, users=users, windows=windows).json()["boards"]
    assert [board["window"] for board in boards] == windows
    assert [entry["user_id"] for entry in boards[0]["entries"]] == ["ann"]
    assert all(len(board["entries"]) + len(board["missing"]) == 500 for board in boards)


@pytest.mark.parametrize(
    ("requests", "status", "field"),
    [
        ({"users": ["u"] * 501, "windows": ["all"]}, 422, "$.users"),
        ({"users": ["u"], "windows": ["all"] * 21}, 422, "$.windows"),
        ({"users": ["u"], "windows": []}, 422, "$.windows"),
        ({"users": ["a\x00"], "windows": ["all"]}, 422, "$.users[0]"),
        ({"users": ["u"], "windows": ["all"], "ranking": "best"}, 422, "$.ranking"),
        ({"users": ["u"], "windows": ["all"], "nonsense": 1}, 422, "$.nonsense"),
        ({"windows": ["all"]}, 422, "$.users"),
        ({"users": ["u"], "windows": ["all", "fortnight"]}, 404, "$.windows[1]"),
        ({"users": ["u"], "windows": ["all"], "category": "\x00"}, 422, "$.category"),
    ],
    ids=str,
)
def test_too_much_or_nonsense_is_refused(crowded: Space, requests: Any, status: int, field: str | None) -> None:
    answer = ranks(crowded, **requests)
    assert (answer.status_code, answer.json().get("field")) == (status, field)


def test_many_boards_are_answered_in_order_each_with_its_own_refusal(crowded: Space, api: httpx.Client) -> None:
    crowded.seal(DAY)
    boards = [
        {"namespace": crowded.name, "limit": 2},
        {"namespace": crowded.name, "window": DAY, "ranking": "competition"},
        {"namespace": "no-such"},
        {"namespace": crowded.name, "window": DAY, "category": "red", "limit": 1},
        {"namespace": crowded.name, "window": "fortnight"},
        {"namespace": crowded.name, "offset": 2, "limit": 1},
    ]
    reply = api.post("/v1/boards", json={"boards": boards}).json()["boards"]
    queries = [("all", "limit=2"), (DAY, "ranking=competition"), (DAY, "category=red&limit=1")]
    queries.append(("all", "offset=2&limit=1"))
    assert [{"status": 200, **reply[i]} for i in (0, 1, 3, 5)] == [crowded.board(*query) for query in queries]
    assert [reply[i]["error"]["code"] for i in (2, 4)] == ["namespace_not_found", "board_not_found"]
    assert [reply[i]["error"].get("field") for i in (2, 4)] == [None, "$.window"]
    assert reply[2]["namespace"] == "no-such"
    assert reply[2]["error"]["retryable"] is False


@pytest.mark.parametrize("sealed", [False, True])
def test_statistics_of_many_boards_are_those_of_each(crowded: Space, api: httpx.Client, sealed: bool) -> None:
    if sealed:
        crowded.seal(DAY)
    boards: list[dict[str, Any]] = [
        {"window": DAY},
        {"category": "red", "min_score": 3},
        {"window": DAY, "min_score": 1, "max_score": 4.0, "exclusive": ["min", "max"]},
        {"window": "fortnight"},
        {"min_score": 5, "max_score": 1},
        {"min_score": 0.5},
        {"exclusive": ["min"]},
    ]
    requests = [{"namespace": crowded.name} | board for board in boards]
    reply = api.post("/v1/stats", json={"boards": requests}).json()["boards"]
    queries = [(DAY, ""), ("all", "category=red&min_score=3"), (DAY, "min_score=1&max_score=4&exclusive=min,max")]
    queries += [
        ("fortnight", ""),
        ("all", "min_score=5&max_score=1"),
        ("all", "min_score=0.5"),
        ("all", "exclusive=min"),
    ]
    answers = [api.get(f"{crowded.url}/boards/{window}/stats?{query}") for window, query in queries]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 422, 422, 422]
    assert reply[:3] == [answer.json() for answer in answers[:3]]
    assert [one["count"] for one in reply[:3]] == [4, 3, 2]
    for one, answer in zip(reply[3:], answers[3:], strict=True):
        field = f"$.{answer.json()['field'].strip('?{}')}"
        assert one["error"] == answer.json() | {"retryable": False, "field": field}
    assert reply[3]["error"]["field"] == "$.window"


def test_a_category_without_boards_is_refused_with_its_field(api: httpx.Client, space: str) -> None:
    request = {"namespace": space, "category": "red"}
    for path in ("boards", "stats"):
        (board,) = api.post(f"/v1/{path}", json={"boards": [request]}).json()["boards"]
        assert board["error"]["field"] == "$.category"
    refused = api.post(f"/v1/namespaces/{space}/ranks", json={"users": ["u"], "category": "red"})
    assert (refused.status_code, refused.json()["field"]) == (422, "$.category")


def test_rights_are_checked_board_by_board(crowded: Space, api: httpx.Client, live_server: Any, names: Any) -> None:
    opened = Space(live_server, api, names.fresh(), visibility="public")
    request = {"boards": [{"namespace": crowded.name}, {"namespace": opened.name}]}
    with live_server.client(None) as anonymous:
        first, second = anonymous.post("/v1/boards", json=request).json()["boards"]
        assert (first["error"]["code"], second["total"]) == ("unauthorized", 0)
        assert anonymous.post(f"{crowded.url}/ranks", json={"users": ["ann"]}).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"boards": [{"namespace": "a"}] * 101}, "$.boards"),
        ({"boards": [{"namespace": "a", "limit": 101}]}, "$.boards[0].limit"),
        ({"boards": [{"window": "all"}]}, "$.boards[0].namespace"),
        ({"boards": [{"namespace": "a", "offset": -1}]}, "$.boards[0].offset"),
        ({"boards": [{"namespace": "a", "cursor": "x"}]}, "$.boards[0].cursor"),
    ],
)
def test_a_list_that_is_none_is_refused(api: httpx.Client, body: Any, field: str) -> None:
    answer = api.post("/v1/boards", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)

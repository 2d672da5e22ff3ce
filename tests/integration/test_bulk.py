"""Many boards, and many users on many boards, in one call."""

from typing import Any

import httpx
import pytest

from tests.support.sealed_namespace import DAY, OLD, Space


@pytest.fixture
def held(live_server: Any, api: httpx.Client, names: Any) -> Space:
    space = Space(live_server, api, names.fresh(), category_boards=True, ranking="dense")
    for user, amount in (("ann", 5), ("bob", 3), ("cleo", 3), ("dora", 1)):
        space.grant(user, amount, category="red")
        space.grant(user, amount, at=OLD.replace(day=1), category="blue")
    live_server.wait_flushed()
    return space


def ranks(space: Space, **asked: Any) -> httpx.Response:
    return space.api.post(f"{space.url}/ranks", json=asked)


@pytest.mark.parametrize("more", [{}, {"category": "red"}, {"ranking": "ordinal"}, {"category": "green"}], ids=str)
@pytest.mark.parametrize("sealed", [False, True])
def test_ranks_are_those_of_each_board(held: Space, more: dict[str, str], sealed: bool) -> None:
    if sealed:
        held.seal(DAY)
    users, windows = ["dora", "nobody", "bob"], ["all", DAY, "month", "2020-01-01"]
    told = ranks(held, users=users, windows=windows, **more)
    assert told.status_code == 200, told.text
    query = "&".join([*(f"user={user}" for user in users), *(f"{name}={value}" for name, value in more.items())])
    wanted = [held.board(window, query) for window in windows]
    assert [{"status": 200, **board} for board in told.json()["boards"]] == wanted
    assert told.json()["namespace"] == held.name


def test_as_many_as_may_be_are_ranked_in_one_call(held: Space) -> None:
    users = [f"nobody-{n}" for n in range(499)] + ["ann"]
    windows = ["all", *(f"{OLD.year}-{month:02}" for month in range(1, 13))]
    told = ranks(held, users=users, windows=windows).json()["boards"]
    assert [board["window"] for board in told] == windows
    assert [entry["user_id"] for entry in told[0]["entries"]] == ["ann"]
    assert all(len(board["entries"]) + len(board["missing"]) == 500 for board in told)


@pytest.mark.parametrize(
    ("asked", "status", "field"),
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
def test_too_much_or_nonsense_is_refused(held: Space, asked: Any, status: int, field: str | None) -> None:
    answer = ranks(held, **asked)
    assert (answer.status_code, answer.json().get("field")) == (status, field)


def test_many_boards_are_answered_in_order_each_with_its_own_refusal(held: Space, api: httpx.Client) -> None:
    held.seal(DAY)
    boards = [
        {"namespace": held.name, "limit": 2},
        {"namespace": held.name, "window": DAY, "ranking": "competition"},
        {"namespace": "no-such"},
        {"namespace": held.name, "window": DAY, "category": "red", "limit": 1},
        {"namespace": held.name, "window": "fortnight"},
        {"namespace": held.name, "offset": 2, "limit": 1},
    ]
    told = api.post("/v1/boards", json={"boards": boards}).json()["boards"]
    queries = [("all", "limit=2"), (DAY, "ranking=competition"), (DAY, "category=red&limit=1")]
    queries.append(("all", "offset=2&limit=1"))
    assert [{"status": 200, **told[i]} for i in (0, 1, 3, 5)] == [held.board(*query) for query in queries]
    assert [told[i]["error"]["code"] for i in (2, 4)] == ["namespace_not_found", "board_not_found"]
    assert [told[i]["error"].get("field") for i in (2, 4)] == [None, "$.window"]
    assert told[2]["namespace"] == "no-such"
    assert told[2]["error"]["retryable"] is False


@pytest.mark.parametrize("sealed", [False, True])
def test_statistics_of_many_boards_are_those_of_each(held: Space, api: httpx.Client, sealed: bool) -> None:
    if sealed:
        held.seal(DAY)
    boards: list[dict[str, Any]] = [
        {"window": DAY},
        {"category": "red", "min_score": 3},
        {"window": DAY, "min_score": 1, "max_score": 4.0, "exclusive": ["min", "max"]},
        {"window": "fortnight"},
        {"min_score": 5, "max_score": 1},
        {"min_score": 0.5},
        {"exclusive": ["min"]},
    ]
    asked = [{"namespace": held.name} | board for board in boards]
    told = api.post("/v1/stats", json={"boards": asked}).json()["boards"]
    queries = [(DAY, ""), ("all", "category=red&min_score=3"), (DAY, "min_score=1&max_score=4&exclusive=min,max")]
    queries += [
        ("fortnight", ""),
        ("all", "min_score=5&max_score=1"),
        ("all", "min_score=0.5"),
        ("all", "exclusive=min"),
    ]
    answers = [api.get(f"{held.url}/boards/{window}/stats?{query}") for window, query in queries]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 422, 422, 422]
    assert told[:3] == [answer.json() for answer in answers[:3]]
    assert [one["count"] for one in told[:3]] == [4, 3, 2]
    for one, answer in zip(told[3:], answers[3:], strict=True):
        field = f"$.{answer.json()['field'].strip('?{}')}"
        assert one["error"] == answer.json() | {"retryable": False, "field": field}
    assert told[3]["error"]["field"] == "$.window"


def test_a_category_without_boards_is_refused_with_its_field(api: httpx.Client, space: str) -> None:
    asked = {"namespace": space, "category": "red"}
    for path in ("boards", "stats"):
        (told,) = api.post(f"/v1/{path}", json={"boards": [asked]}).json()["boards"]
        assert told["error"]["field"] == "$.category"
    refused = api.post(f"/v1/namespaces/{space}/ranks", json={"users": ["u"], "category": "red"})
    assert (refused.status_code, refused.json()["field"]) == (422, "$.category")


def test_rights_are_checked_board_by_board(held: Space, api: httpx.Client, live_server: Any, names: Any) -> None:
    opened = Space(live_server, api, names.fresh(), visibility="public")
    asked = {"boards": [{"namespace": held.name}, {"namespace": opened.name}]}
    with live_server.client(None) as anonymous:
        first, second = anonymous.post("/v1/boards", json=asked).json()["boards"]
        assert (first["error"]["code"], second["total"]) == ("unauthorized", 0)
        assert anonymous.post(f"{held.url}/ranks", json={"users": ["ann"]}).status_code == 401


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

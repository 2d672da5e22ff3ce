"""Times and texts at the edges of what is taken."""

from typing import Any

import httpx
import msgspec
import pytest

from tests.support.grant_posts import GOOD, post

LONG_AGO = {"accept_past": None, "accept_future": None}


def put(api: httpx.Client, space: str, **rules: Any) -> None:
    assert api.put(f"/v1/namespaces/{space}", json={"scale": 1, "visibility": "public", **rules}).status_code in (
        200,
        201,
    )


def board(api: httpx.Client, space: str, window: str) -> httpx.Response:
    return api.get(f"/v1/namespaces/{space}/boards/{window}")


def test_a_seventh_digit_moves_no_grant_to_another_day(api: httpx.Client, space: str) -> None:
    put(api, space, **LONG_AGO)
    sent = {**GOOD, "granted_at": "2024-12-31T23:59:59.9999999Z"}
    assert post(api, space, sent).status_code == 201
    assert board(api, space, "2024-12-31").json()["total"] == 1
    # Whoever keeps microseconds sends these on a retry.
    again = post(api, space, {**GOOD, "granted_at": "2024-12-31T23:59:59.999999Z"})
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    packed = msgspec.msgpack.encode(sent)
    again = api.post(f"/v1/namespaces/{space}/grants", content=packed, headers={"Content-Type": "application/msgpack"})
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")


def test_a_seventh_digit_of_an_edit_and_of_a_season_is_cut(api: httpx.Client, space: str) -> None:
    season = {"name": "s", "starts": "2024-01-01T00:00:00.1234567Z", "ends": "2024-12-31T23:59:59.9999999+00:00"}
    put(api, space, seasons=[season], **LONG_AGO)
    reply = api.get(f"/v1/namespaces/{space}").json()["seasons"][0]
    assert (reply["starts"], reply["ends"]) == ("2024-01-01T00:00:00.123456Z", "2024-12-31T23:59:59.999999Z")
    post(api, space, GOOD)
    path = f"/v1/namespaces/{space}/grants/{GOOD['grant_id']}"
    assert api.patch(path, json={"granted_at": "2024-12-31T23:59:59.9999999Z"}).status_code == 200
    assert api.get(path).json()["granted_at"] == "2024-12-31T23:59:59.999999Z"
    until = {"until": "2024-12-31T23:59:59.9999999Z"}
    assert api.get(f"/v1/namespaces/{space}/users/otter/grants", params=until).json()["grants"] == []
    body = api.post(f"/v1/namespaces/{space}/activity", json={"users": ["otter"], **until}).json()
    assert body["until"] == "2024-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("field", ["starts", "ends"])
def test_a_season_without_a_time_is_refused_by_its_field(api: httpx.Client, space: str, field: str) -> None:
    season = {"name": "s", "starts": "2024-01-01T00:00:00Z", "ends": "2025-01-01T00:00:00Z", field: None}
    refused = api.put(f"/v1/namespaces/{space}", json={"seasons": [season]})
    assert (refused.status_code, refused.json()["field"]) == (422, f"$.seasons[0].{field}")


@pytest.mark.parametrize(
    ("zone", "at", "windows"),
    [
        ("America/New_York", "1900-01-01T02:00:00Z", ["1899-12-31", "1899-12", "1899-W52"]),
        ("Asia/Tokyo", "2254-12-31T23:30:00Z", ["2255-01-01", "2255-01", "2255-W01"]),
    ],
)
def test_the_first_and_the_last_moment_stand_on_boards_that_can_be_read(
    api: httpx.Client, space: str, zone: str, at: str, windows: list[str]
) -> None:
    put(api, space, timezone=zone, **LONG_AGO)
    assert post(api, space, {**GOOD, "granted_at": at}).status_code == 201
    assert [board(api, space, window).json().get("total") for window in windows] == [1, 1, 1]


def test_labels_and_names_are_counted_in_characters(api: httpx.Client, space: str) -> None:
    put(api, space, category_boards=True, display_name="漢" * 128)
    thai, han = "ท" * 64, "漢" * 64
    assert post(api, space, {**GOOD, "category": thai, "source": han, "session_id": "😀" * 64}).status_code == 201
    read = api.get(f"/v1/namespaces/{space}/boards/all", params={"category": thai})
    assert [entry["user_id"] for entry in read.json()["entries"]] == ["otter"]
    body = api.get(f"/v1/namespaces/{space}/users/otter").json()
    assert (list(body["categories"]), list(body["sources"])) == ([thai], [han])
    for label in (thai + "ท", "x" * 65):
        refused = post(api, space, {**GOOD, "grant_id": "g2", "category": label})
        assert (refused.status_code, refused.json()["field"]) == (422, "$.category")
    assert api.put("/v1/users/long-name", json={"display_name": "漢" * 128}).status_code == 200
    assert api.put("/v1/users/long-name", json={"display_name": "漢" * 129}).status_code == 422


def test_a_duplicate_of_a_voided_grant_says_so(live_server: Any, api: httpx.Client, space: str) -> None:
    batch = [{**GOOD, "grant_id": f"g{i}"} for i in range(3)]
    first = post(api, space, batch).json()
    assert all("voided" not in receipt for receipt in first["results"])
    url = f"/v1/namespaces/{space}/grants"
    assert api.delete(f"{url}/g1").status_code == 200
    # At once, before the ledger may know.
    again = post(api, space, batch[1])
    assert (again.status_code, again.json()["voided"], again.json()["score"]) == (200, True, 10)
    results = post(api, space, batch).json()["results"]
    assert [receipt.get("voided") for receipt in results] == [None, True, None]
    assert api.patch(f"{url}/g2", json={"amount": 7}).status_code == 200
    assert api.post(f"{url}/g1/restore").status_code == 200
    results = post(api, space, batch).json()["results"]
    assert [(receipt["status"], receipt["score"], "voided" in receipt) for receipt in results] == [
        ("duplicate", 17, False)
    ] * 3


@pytest.mark.parametrize("path", ["grants", "explain", "activity", ""])
def test_what_an_unknown_user_has_is_404_everywhere(api: httpx.Client, space: str, path: str) -> None:
    post(api, space, GOOD)
    answer = api.get(f"/v1/namespaces/{space}/users/nobody/{path}".rstrip("/"))
    assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/namespaces/{}/totals", {"users": []}, "$.users"),
        ("/v1/namespaces/{}/activity", {"users": []}, "$.users"),
        ("/v1/namespaces/{}/ranks", {"users": []}, "$.users"),
        ("/v1/namespaces/{}/ranks", {"users": ["otter"], "windows": []}, "$.windows"),
        ("/v1/namespaces/{}/corrections", [], "$"),
        ("/v1/namespaces/{}/grants", [], "$"),
        ("/v1/grants", [], "$"),
        ("/v1/boards", {"boards": []}, "$.boards"),
        ("/v1/stats", {"boards": []}, "$.boards"),
    ],
)
def test_an_empty_list_is_refused_everywhere(api: httpx.Client, space: str, path: str, body: Any, field: str) -> None:
    refused = api.post(path.format(space), json=body)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "invalid", field)


@pytest.mark.parametrize(("method", "query"), [("PUT", ""), ("DELETE", "?confirm=with%20space")])
def test_a_namespaces_name_is_refused_where_it_stands(api: httpx.Client, method: str, query: str) -> None:
    refused = api.request(method, f"/v1/namespaces/with%20space{query}")
    assert (refused.status_code, refused.json()["field"]) == (422, "{namespace}")

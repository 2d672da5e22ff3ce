"""Where a user stands in all namespaces, over HTTP."""

import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import Stack


def grant(api: httpx.Client, space: str, user: str, amount: int) -> None:
    body = {"grant_id": f"{user}-{amount}", "user_id": user, "amount": amount}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def stands(api: httpx.Client, user: str, **query: Any) -> httpx.Response:
    return api.get(f"/v1/users/{quote(user, safe='')}/standings", params=query)


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [standing["namespace"] for standing in response.json()["standings"]]


@pytest.fixture
def spaces(live_server: Stack, api: httpx.Client, space: str) -> list[str]:
    """Three namespaces in which the users `<space>/otter` and `<space>/hare` have grants, the last of them public."""
    names_made = [f"{space}-{name}" for name in ("Zoo", "bay", "sea")]
    for place, name in enumerate(names_made):
        api.put(f"/v1/namespaces/{name}", json={"visibility": "public" if place == 2 else "private"})
        grant(api, name, f"{space}/otter", 10 + place)
        grant(api, name, f"{space}/hare", 20)
    live_server.wait_flushed()
    return names_made


def test_each_standing_is_that_of_its_namespace(api: httpx.Client, space: str, spaces: list[str]) -> None:
    user = f"{space}/otter"
    body = stands(api, user).json()
    assert (body["user_id"], body["next_cursor"]) == (user, None)
    assert [one["namespace"] for one in body["standings"]] == spaces, "by bytes: capitals first"
    for standing in body["standings"]:
        whole = api.get(f"/v1/namespaces/{standing['namespace']}/users/{quote(user, safe='')}").json()
        assert standing == {"namespace": standing["namespace"], **whole}
    assert [one["ranks"]["all"]["rank"] for one in body["standings"]] == [2, 2, 2]


def test_the_numbers_are_those_of_this_moment(api: httpx.Client, space: str, spaces: list[str]) -> None:
    grant(api, spaces[0], f"{space}/otter", 90)
    standing = stands(api, f"{space}/otter").json()["standings"][0]
    assert (standing["score"], standing["ranks"]["all"]["rank"]) == (100, 1)


def test_a_first_grant_appears_soon(live_server: Stack, api: httpx.Client, space: str) -> None:
    user = f"{space}-newt"
    assert stands(api, user).json()["code"] == "user_not_found"
    grant(api, space, user, 1)
    deadline = time.monotonic() + 2
    while stands(api, user).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_pages_are_pieces_of_the_whole(api: httpx.Client, space: str, spaces: list[str]) -> None:
    user = f"{space}/otter"
    whole, paged, cursor = stands(api, user).json()["standings"], [], None
    for _ in range(len(whole)):
        page = stands(api, user, limit=1, **({} if cursor is None else {"cursor": cursor})).json()
        paged += page["standings"]
        cursor = page["next_cursor"]
    assert (paged, cursor) == (whole, None)
    behind = stands(api, user, cursor=spaces[-1])
    assert (behind.status_code, behind.json()["standings"]) == (200, [])
    for name, value in (("limit", "0"), ("limit", "1001"), ("cursor", "a b"), ("cursor", ""), ("nonsense", "1")):
        refused = stands(api, user, **{name: value})
        assert (refused.status_code, refused.json()["field"]) == (422, f"?{name}")


def test_the_caller_gets_only_readable_namespaces(live_server: Stack, space: str, spaces: list[str]) -> None:
    user = f"{space}/otter"
    with live_server.client(None) as anonymous:
        assert names(stands(anonymous, user)) == spaces[2:]
    for scope, seen in ((f"read:{space}-b*", spaces[1:]), (f"admin:{space}-?oo", [spaces[0], spaces[2]])):
        key = live_server.new_key(scope)
        with live_server.client(key) as client:
            assert names(stands(client, user)) == seen
            first = stands(client, user, limit=1).json()
            assert (first["standings"][0]["namespace"], first["next_cursor"]) == (seen[0], seen[0])
    key = live_server.new_key("write:*")
    with live_server.client(key) as client:
        assert names(stands(client, user)) == spaces[2:], "who may only write reads what everybody reads"
    with live_server.client("lb_none_0123456789abcdef") as unknown:
        assert stands(unknown, user).status_code == 401


def test_a_namespace_that_closes_or_goes_is_left_out(
    live_server: Stack, api: httpx.Client, space: str, spaces: list[str]
) -> None:
    user = f"{space}/otter"
    with live_server.client(None) as anonymous:
        assert names(stands(anonymous, user)) == spaces[2:]
        api.put(f"/v1/namespaces/{spaces[2]}", json={})
        assert stands(anonymous, user).json()["code"] == "user_not_found"
    api.put(f"/v1/namespaces/{spaces[1]}", json={"mode": "shadow"})
    key = live_server.new_key(f"read:{space}-*")
    with live_server.client(key) as reader:
        assert names(stands(reader, user)) == [spaces[0], spaces[2]], "what is in the shadow takes an admin"
    assert names(stands(api, user)) == spaces
    api.delete(f"/v1/namespaces/{spaces[0]}", params={"confirm": spaces[0]})
    api.put(f"/v1/namespaces/{spaces[0]}", json={})
    assert names(stands(api, user)) == spaces[1:]


def test_an_id_that_no_client_could_have_written_is_refused(api: httpx.Client) -> None:
    for path in ("%00", "%C3", "x" * 129):
        assert api.get(f"/v1/users/{path}/standings").status_code in (400, 422)


def test_postgres_away_is_answered_with_503(own_stack: Stack) -> None:
    with own_stack.client() as api:
        own_stack.kill("postgres")
        reply = stands(api, "otter")
        assert (reply.status_code, reply.json()["code"]) == (503, "store_unavailable")

"""Hiding, opting out and erasing, over HTTP and on real parts."""

from typing import Any
from urllib.parse import quote

import httpx

from tests.conftest import Stack


def path(user: str) -> str:
    return f"/v1/users/{quote(user, safe='')}"


def grant(api: httpx.Client, space: str, user: str, amount: int, grant_id: str | None = None, **fields: Any) -> Any:
    body = {"grant_id": grant_id or f"{user}-{amount}", "user_id": user, "amount": amount, **fields}
    told = api.post(f"/v1/namespaces/{space}/grants", json=body)
    assert told.status_code == 201, told.text
    return told.json()


def hide(api: httpx.Client, user: str, verb: str = "hide") -> Any:
    told = api.post(f"{path(user)}/{verb}")
    assert (told.status_code, told.json()["pending"]) == (200, 0), told.text
    return told.json()


def rows(api: httpx.Client, space: str, window: str = "all", **query: Any) -> list[tuple[str, int, int]]:
    told = api.get(f"/v1/namespaces/{space}/boards/{window}", params={"limit": 100, **query})
    assert told.status_code == 200, told.text
    assert told.json()["total"] >= len(told.json()["entries"])
    return [(held["user_id"], held["rank"], held["score"]) for held in told.json()["entries"]]


def test_ranks_close_up_and_open_again(live_server: Stack, api: httpx.Client, space: str) -> None:
    for user, amount in (("ann", 9), ("bob", 7), ("cleo", 7), ("dan", 5)):
        grant(api, space, f"{space}-{user}", amount)
    ann, bob, cleo, dan = (f"{space}-{user}" for user in ("ann", "bob", "cleo", "dan"))
    before = rows(api, space)
    print(hide(api, ann))
    assert rows(api, space) == [(cleo, 1, 7), (bob, 1, 7), (dan, 3, 5)]
    print(hide(api, ann, "unhide"))
    assert rows(api, space) == before

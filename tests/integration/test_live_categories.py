"""Live boards of a category beside what REST answers."""

from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

from tests.support.live_socket import hear, public, say

VIEWS = [
    ({"kind": "top", "limit": 3}, "limit=3"),
    ({"kind": "around", "user": "b", "radius": 1}, "around=b&radius=1"),
    ({"kind": "users", "users": ["a", "c"]}, "user=a&user=c"),
]


def post(api: httpx.Client, space: str, number: int, user: str, amount: int, category: str) -> None:
    body = {"grant_id": f"g{number}", "user_id": user, "amount": amount, "category": category}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def test_each_view_of_a_category_leads_to_what_a_read_answers(
    api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    public(api, space, category_boards=True)
    for number, (user, amount) in enumerate([("a", 5), ("b", 7), ("c", 9)]):
        post(api, space, number, user, amount, "2025-11-04")
    post(api, space, 3, "d", 100, "other")
    states: dict[int, dict[str, Any]] = {}
    for number, (view, _) in enumerate(VIEWS):
        say(socket, type="subscribe", id=number, namespace=space, category="2025-11-04", view=view)
        frame = hear(socket)
        assert (frame["type"], frame["total"]) == ("snapshot", 3)
        states[number] = {entry["user_id"]: entry for entry in frame["entries"]}
    post(api, space, 4, "d", 1, "other")
    post(api, space, 5, "a", 20, "2025-11-04")
    for _ in VIEWS:
        frame = hear(socket)
        assert frame["type"] == "delta", "no frame tells of the other category"
        state = states[frame["id"]]
        for gone in frame["remove"]:
            del state[gone]
        state |= {entry["user_id"]: entry for entry in frame["upsert"]}
        board = api.get(f"/v1/namespaces/{space}/boards/all?category=2025-11-04&{VIEWS[frame['id']][1]}").json()
        assert sorted(state.values(), key=lambda entry: entry["position"]) == board["entries"]
        assert frame["version"] == board["version"]
    say(socket, type="subscribe", id=9, namespace=space, category="2025-11-04", view={"kind": "stats"})
    stats = api.get(f"/v1/namespaces/{space}/boards/all/stats?category=2025-11-04").json()
    frame = hear(socket)
    assert (frame["stats"]["count"], frame["stats"]["sum"]) == (stats["count"], stats["sum"]) == (3, 41)


@pytest.mark.parametrize("category", ["red", "", "a\nb", "x" * 65])
def test_a_wrong_category_is_the_fault_that_a_read_has(
    api: httpx.Client, space: str, socket: ClientConnection, category: str
) -> None:
    public(api, space)
    say(socket, type="subscribe", id=1, namespace=space, category=category)
    frame = hear(socket)
    problem = api.get(f"/v1/namespaces/{space}/boards/all", params={"category": category}).json()
    assert (frame["code"], frame["detail"]) == (problem["code"], problem["detail"])
    assert (frame["field"], problem["field"]) == ("$.category", "?category")

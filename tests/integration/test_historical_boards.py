"""Boards as they were: by a moment, and against one."""

from datetime import UTC, datetime
from typing import Any

import httpx


def test_a_board_as_it_was_and_how_ranks_moved_since(live_server: Any, api: httpx.Client, space: str) -> None:
    url = f"/v1/namespaces/{space}"

    def grant(grant_id: str, user: str, amount: int) -> str:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount}
        assert api.post(f"{url}/grants", json=body).status_code == 201
        return str(datetime.now(UTC).isoformat())

    grant("g1", "otter", 5)
    before = grant("g2", "hare", 3)
    grant("g3", "hare", 9)
    grant("g4", "mole", 1)
    api.delete(f"{url}/grants/g1")
    live_server.wait_flushed()
    was = api.get(f"{url}/boards/all", params={"as_of": before}).json()
    assert [(e["rank"], e["user_id"], e["score"]) for e in was["entries"]] == [(1, "otter", 5), (2, "hare", 3)]
    assert (was["total"], was["lag_seq"], was["version"]) == (2, 0, None)
    now = api.get(f"{url}/boards/all", params={"compare_to": before}).json()
    assert [(e["user_id"], e["rank"], e["rank_change"]) for e in now["entries"]] == [("hare", 1, 1), ("mole", 2, None)]
    some = api.get(f"{url}/boards/all", params={"as_of": before, "user": ["hare", "mole"]}).json()
    assert ([e["rank"] for e in some["entries"]], some["missing"]) == ([2], ["mole"])
    for params, field in (
        ({"as_of": "yesterday"}, "?as_of"),
        ({"compare_to": "2020-01-01T00:00:00"}, "?compare_to"),
        ({"as_of": before, "around": "hare"}, "?as_of"),
        ({"as_of": before, "cursor": now["next_cursor"] or "eA"}, "?cursor"),
    ):
        refused = api.get(f"{url}/boards/all", params=params)
        assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_a_board_as_it_was_goes_on_page_by_page_and_always_tells_its_total(
    live_server: Any, api: httpx.Client, space: str
) -> None:
    url = f"/v1/namespaces/{space}/boards/all"
    grants = [{"grant_id": f"g{i}", "user_id": f"u{i}", "amount": i // 2} for i in range(7)]
    assert api.post(f"/v1/namespaces/{space}/grants", json=grants).json()["applied"] == 7
    live_server.wait_flushed()
    whole = api.get(url).json()["entries"]
    for moment in ("as_of", "compare_to"):
        reply = []
        query: dict[str, Any] = {moment: "2100-01-01T00:00:00Z", "limit": "3"}
        for _ in range(3):
            page = api.get(url, params=query).raise_for_status().json()
            assert page["total"] == 7
            reply += [(entry["position"], entry["user_id"]) for entry in page["entries"]]
            query["cursor"] = page["next_cursor"]
        assert query["cursor"] is None
        assert reply == [(entry["position"], entry["user_id"]) for entry in whole]
    for other in ({"offset": "50"}, {"user": "nobody"}):
        page = api.get(url, params={"as_of": "2100-01-01T00:00:00Z", **other}).json()
        assert (page["total"], page["entries"], page["next_cursor"]) == (7, [], None)
    around = api.get(url, params={"compare_to": "2100-01-01T00:00:00Z", "around": "u3", "radius": "1"}).json()
    assert [entry["rank_change"] for entry in around["entries"]] == [0, 0, 0]
    cursor = api.get(url, params={"as_of": "2100-01-01T00:00:00Z", "limit": "3"}).json()["next_cursor"]
    refused = api.get(url, params={"cursor": cursor})
    assert (refused.status_code, refused.json()["field"]) == (422, "?cursor")


def test_equals_of_the_past_stand_in_the_order_of_then(live_server: Any, api: httpx.Client, names: Any) -> None:
    name = names.fresh()
    rules = {"tie_break": "earliest", "ranking": "ordinal", "accept_past": None}
    assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    for i, user in enumerate(("cleo", "ann", "bob", "dora")):
        grant = {"grant_id": f"g{i}", "user_id": user, "amount": 5}
        assert api.post(f"/v1/namespaces/{name}/grants", json=grant).status_code == 201
    url = f"/v1/namespaces/{name}/boards/all"
    then = api.get(f"/v1/namespaces/{name}/grants/g3").json()["recorded_at"]
    still = api.get(url, params={"compare_to": then}).json()["entries"]
    assert [(entry["user_id"], entry["rank_change"]) for entry in still] == [
        *(("cleo", 0), ("ann", 0), ("bob", 0), ("dora", 0)),
    ]
    api.patch(f"/v1/namespaces/{name}/grants/g0", json={"amount": 4}).raise_for_status()
    api.patch(f"/v1/namespaces/{name}/grants/g0", json={"amount": 5}).raise_for_status()
    live_server.wait_flushed()
    listed = [entry["user_id"] for entry in api.get(url, params={"as_of": then}).json()["entries"]]
    assert listed == ["cleo", "ann", "bob", "dora"]
    some = api.get(url, params={"as_of": then, "offset": "1", "limit": "2"}).json()["entries"]
    assert [(entry["position"], entry["rank"], entry["user_id"]) for entry in some] == [(2, 2, "ann"), (3, 3, "bob")]
    moved = api.get(url, params={"compare_to": then}).json()["entries"]
    assert [(entry["user_id"], entry["rank_change"]) for entry in moved] == [
        *(("ann", 1), ("bob", 1), ("dora", 1), ("cleo", -3)),
    ]

"""Limits that protect a game: bounds of amounts, velocities, and the quarantine."""

from typing import Any

import httpx
import psycopg
import pytest


def space(api: httpx.Client, name: str, **rules: Any) -> str:
    assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    return f"/v1/namespaces/{name}"


def grant(api: httpx.Client, url: str, grant_id: str, amount: float = 1, user: str = "otter") -> httpx.Response:
    return api.post(f"{url}/grants", json={"grant_id": grant_id, "user_id": user, "amount": amount})


def test_a_user_gets_no_more_grants_than_the_velocity_allows(api: httpx.Client) -> None:
    url = space(api, "pace-grants", velocity=[{"per": "P1D", "max_grants": 3}])
    assert [grant(api, url, f"g{i}").status_code for i in range(3)] == [201] * 3
    refused = grant(api, url, "g3")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "velocity", "$.user_id")
    assert grant(api, url, "g0").json()["status"] == "duplicate"
    assert grant(api, url, "h0", user="hare").status_code == 201
    body = api.get(f"{url}/users/otter").json()
    assert (body["score"], body["grants"]) == (3, 3)


def test_a_user_gets_no_more_points_than_the_velocity_allows(api: httpx.Client) -> None:
    url = space(api, "pace-points", scale=1, velocity=[{"per": "P1D", "max_amount": 10.5, "max_grants": 100}])
    assert grant(api, url, "g1", 10).status_code == 201
    assert grant(api, url, "g2", -5).status_code == 201
    assert grant(api, url, "g3", 0.6).json()["code"] == "velocity"
    assert grant(api, url, "g4", 0.5).status_code == 201


def test_the_velocity_holds_within_a_batch_and_refuses_an_atomic_one_whole(api: httpx.Client) -> None:
    url = space(api, "pace-batch", velocity=[{"per": "P1D", "max_grants": 2}])
    batch = [{"grant_id": f"g{i}", "user_id": "otter", "amount": 1} for i in range(4)]
    body = api.post(f"{url}/grants", json=batch).json()
    assert [result["status"] for result in body["results"]] == ["applied", "applied", "rejected", "rejected"]
    named = [
        member | {"namespace": "pace-batch", "user_id": "hare", "grant_id": f"h{i}"} for i, member in enumerate(batch)
    ]
    refused = api.post("/v1/grants?atomic=true", json=named)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "velocity", "$[2].user_id")
    assert grant(api, url, "h9", user="hare").status_code == 201


def test_what_is_suspicious_waits_for_an_admin(live_server: Any, api: httpx.Client) -> None:
    url = space(api, "waiting", amount_max=10, suspicious="quarantine", velocity=[{"per": "P1D", "max_grants": 2}])
    assert grant(api, url, "g1").json()["status"] == "applied"
    answer = grant(api, url, "big", 500)
    assert (answer.status_code, answer.json()["status"], answer.json()["score"]) == (201, "quarantined", 1)
    assert grant(api, url, "big", 500).json()["status"] == "duplicate"
    live_server.wait_flushed()
    again = grant(api, url, "big", 500).json()
    assert (again["status"], again.get("quarantined"), "voided" in again) == ("duplicate", True, False)
    assert "quarantined" not in grant(api, url, "g1").json()
    assert grant(api, url, "g2").json()["status"] == "applied"
    assert grant(api, url, "g3").json()["status"] == "quarantined"
    batch = api.post(f"{url}/grants", json=[{"grant_id": "g4", "user_id": "otter", "amount": 1}]).json()
    assert (batch["quarantined"], batch["applied"]) == (1, 0)
    body = api.get(f"{url}/users/otter").json()
    assert (body["score"], body["grants"]) == (2, 2)
    one = api.get(f"{url}/grants/big").json()
    assert (one["quarantined"], one["voided"], one["revisions"][0]["verb"]) == (True, True, "quarantine")
    writer = live_server.new_key("write:*")
    with live_server.client(key=writer) as client:
        assert client.post(f"{url}/grants/big/restore").json()["code"] == "forbidden"
    assert api.patch(f"{url}/grants/big", json={"amount": 5}).status_code == 422
    released = api.post(f"{url}/grants/big/restore", json={"reason": "looked at"}).json()
    assert (released["status"], released["previous_score"], released["score"]) == ("applied", 2, 502)
    dropped = api.delete(f"{url}/grants/g3").json()
    assert (dropped["status"], dropped["previous_score"], dropped["score"]) == ("applied", 502, 502)
    bodies = [api.get(f"{url}/grants/{grant_id}").json() for grant_id in ("big", "g3", "g4")]
    assert [(g["quarantined"], g["voided"]) for g in bodies] == [(False, False), (False, True), (True, True)]
    assert api.get(f"{url}/boards/all").json()["entries"][0]["score"] == 502
    both = [{"grant_id": grant_id, "user_id": "otter", "amount": 500} for grant_id in ("big",)]
    both += [{"grant_id": grant_id, "user_id": "otter", "amount": 1} for grant_id in ("g3", "g4")]
    live_server.wait_flushed()
    results = api.post(f"{url}/grants", json=both).json()["results"]
    states = [(r["status"], r.get("voided"), r.get("quarantined")) for r in results]
    assert states == [("duplicate", None, None), ("duplicate", True, None), ("duplicate", None, True)]
    assert sum(g["amount"] for g in api.get(f"{url}/users/otter/explain").json()["grants"]) == 502
    with psycopg.connect(live_server.postgres.url) as db:
        sql = "SELECT s.score, s.grants FROM standings s JOIN namespaces n ON n.id = s.namespace_id WHERE n.name = %s"
        assert db.execute(sql, ("waiting",)).fetchall() == [(502, 3)]


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        ({"per": "PT0.5S", "max_grants": 1}, "$.velocity[0].per"),
        ({"per": "P32D", "max_grants": 1}, "$.velocity[0].per"),
        ({"per": "PT1M"}, "$.velocity[0]"),
        ({"per": "PT1M", "max_grants": 0}, "$.velocity[0].max_grants"),
        ({"per": "PT1M", "max_amount": -1}, "$.velocity[0].max_amount"),
        ({"max_grants": 1}, "$.velocity[0].per"),
    ],
)
def test_bad_velocities_are_refused_with_their_field(api: httpx.Client, limit: Any, field: str) -> None:
    answer = api.put("/v1/namespaces/bad-pace", json={"velocity": [limit]})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_a_velocity_comes_back_as_it_was_given(api: httpx.Client) -> None:
    given = [{"per": "PT1M", "max_grants": 5, "max_amount": None}]
    url = space(api, "pace-told", velocity=given)
    assert api.get(url).json()["velocity"] == given

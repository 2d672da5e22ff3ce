"""Grants in quarantine about which nothing was decided, and grants of one source, over HTTP."""

from itertools import permutations
from typing import Any

import httpx
import pytest

RULES = {"amount_max": 9, "suspicious": "quarantine", "accept_past": None}


class Space:
    """A fresh namespace that puts grants of 10 and more in quarantine."""

    def __init__(self, server: Any, api: httpx.Client, name: str) -> None:
        self._server, self.api, self.url = server, api, f"/v1/namespaces/{name}"
        assert api.put(self.url, json=RULES).status_code in (200, 201)

    def grant(self, grant_id: str, amount: int = 10, **fields: Any) -> None:
        body = {"grant_id": grant_id, "user_id": "otter", "amount": amount} | fields
        assert self.api.post(f"{self.url}/grants", json=body).status_code == 201

    def page(self, **query: Any) -> dict[str, Any]:
        self._server.wait_flushed()
        answer = self.api.get(f"{self.url}/grants", params=query)
        assert answer.status_code == 200, answer.text
        assert answer.json()["lag_seq"] == 0
        return dict(answer.json())

    def listed(self, **query: Any) -> list[str]:
        return [grant["grant_id"] for grant in self.page(**query)["grants"]]

    def open(self, **query: Any) -> list[str]:
        return self.listed(state="quarantined", **query)


@pytest.fixture
def quarantine(live_server: Any, api: httpx.Client, space: str) -> Space:
    return Space(live_server, api, space)


def test_what_waits_for_a_decision_is_listed_oldest_first(quarantine: Space) -> None:
    api, url = quarantine.api, quarantine.url
    for i in range(6):
        quarantine.grant(f"g{i}", granted_at=f"2024-05-0{9 - i}T12:00:00Z", meta={"i": i})
        quarantine.grant(f"plain{i}", 5)
    reply = quarantine.page(state="quarantined")
    assert [grant["grant_id"] for grant in reply["grants"]] == [f"g{i}" for i in range(6)]
    assert reply["next_cursor"] is None
    first = reply["grants"][0]
    assert (first["quarantined"], first["voided"], first["amount"], first["meta"]) == (True, True, 10, {"i": 0})
    alone = api.get(f"{url}/grants/g0").json()
    assert first == {field: alone[field] for field in first}
    # What is decided leaves, whatever becomes of it later; what was asked in vain stays.
    assert api.post(f"{url}/grants/g1/restore").status_code == 200
    assert api.delete(f"{url}/grants/g3").status_code == 200
    assert api.patch(f"{url}/grants/g4", json={"amount": 3}).status_code == 422
    assert quarantine.open() == ["g0", "g2", "g4", "g5"]
    assert api.delete(f"{url}/grants/g1").status_code == 200
    assert api.post(f"{url}/grants/g3/restore").status_code == 200
    assert api.delete(f"{url}/grants/plain1").status_code == 200
    assert quarantine.open() == ["g0", "g2", "g4", "g5"]


def test_the_next_page_begins_after_the_last_one(quarantine: Space) -> None:
    for i in range(5):
        quarantine.grant(f"g{i}")
    first = quarantine.page(state="quarantined", limit=2)
    assert [grant["grant_id"] for grant in first["grants"]] == ["g0", "g1"]
    for grant_id in ("g1", "g2"):
        assert quarantine.api.delete(f"{quarantine.url}/grants/{grant_id}").status_code == 200
    second = quarantine.page(state="quarantined", limit=2, cursor=first["next_cursor"])
    assert ([grant["grant_id"] for grant in second["grants"]], second["next_cursor"]) == (["g3", "g4"], None)
    packed = quarantine.api.get(f"{quarantine.url}/grants?state=quarantined", headers={"accept": "application/msgpack"})
    assert packed.headers["content-type"] == "application/msgpack"


def test_grants_of_one_source_are_listed_in_their_current_state(quarantine: Space) -> None:
    api, url = quarantine.api, quarantine.url
    race, other = {"source": "race", "source_id": "1061"}, {"source": "race", "source_id": "1062"}
    for i in range(4):
        quarantine.grant(f"g{i}", 5, **race)
    quarantine.grant("q1", 10, **race)
    quarantine.grant("q2", 10, **other)
    quarantine.grant("elsewhere", 5, **other)
    quarantine.grant("quiz", 5, source="quiz", source_id="1061")
    quarantine.grant("bare", 5, source="race")
    assert quarantine.listed(**race) == ["g0", "g1", "g2", "g3", "q1"]
    assert quarantine.open(**race) == ["q1"]
    assert quarantine.open(**other) == ["q2"]
    assert quarantine.open(source="race", source_id="nothing") == []
    assert api.patch(f"{url}/grants/g1", json={"source_id": "1062"}).status_code == 200
    assert api.delete(f"{url}/grants/g0").status_code == 200
    assert api.patch(f"{url}/grants/elsewhere", json={"source_id": "1061"}).status_code == 200
    assert api.post(f"{url}/grants/q1/restore").status_code == 200
    reply = quarantine.page(limit=3, **race)
    assert [grant["grant_id"] for grant in reply["grants"]] == ["g2", "g3", "g0"]
    assert reply["grants"][-1]["voided"] is True
    assert quarantine.listed(cursor=reply["next_cursor"], **race) == ["elsewhere", "q1"]
    assert quarantine.listed(**other) == ["q2", "g1"]
    assert quarantine.open() == ["q2"]


def test_grants_that_count_are_walked_user_by_user(quarantine: Space) -> None:
    """Pages of every size come to the same; a voided grant, one in quarantine and one of another time or source are
    looked at and not shown."""
    api, url = quarantine.api, quarantine.url
    for i in range(12):
        quarantine.grant(
            f"g{i}", 5, user_id=f"u{i % 3}", source="race", granted_at=f"2024-05-{i + 10}T12:00:00Z", meta={"i": i}
        )
    quarantine.grant("late", 5, user_id="u1", source="race", granted_at="2024-06-01T00:00:00Z")
    quarantine.grant("early", 5, user_id="other", source="race", granted_at="2024-05-09T00:00:00Z")
    quarantine.grant("quiz", 5, user_id="u1", source="quiz", source_id="7", granted_at="2024-05-12T00:00:00Z")
    quarantine.grant("waits", 10, user_id="u2", source="race", granted_at="2024-05-12T00:00:00Z")
    assert api.delete(f"{url}/grants/g5").status_code == 200
    assert api.patch(f"{url}/grants/g6", json={"amount": 6, "granted_at": "2024-05-30T12:00:00Z"}).status_code == 200
    stretch = {"state": "live", "since": "2024-05-10T00:00:00Z", "until": "2024-06-01T00:00:00Z"}
    expected = quarantine.listed(source="race", **stretch)
    # A user's number is as old as the user: which of them comes first is not this test's.
    users = (["g6", "g9", "g3", "g0"], ["g10", "g7", "g4", "g1"], ["g11", "g8", "g2"])
    assert expected in [[name for user in order for name in user] for order in permutations(users)]
    for limit in (1, 2, 3, 5):
        names, query = [], {"source": "race", "limit": limit, **stretch}
        while True:
            page = quarantine.page(**query)
            names += [grant["grant_id"] for grant in page["grants"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert names == expected
    (edited,) = [one for one in quarantine.page(source="race", **stretch)["grants"] if one["grant_id"] == "g6"]
    assert (edited["amount"], edited["revision"], edited["meta"]) == (6, 2, {"i": 6})
    everything = quarantine.listed(**stretch)
    assert everything[everything.index("g4") + 1] == "quiz"
    assert [name for name in everything if name != "quiz"] == expected
    assert quarantine.listed(state="live", source="quiz", source_id="7") == ["quiz"]
    assert quarantine.listed(state="live", source="quiz", source_id="8") == []
    assert quarantine.listed(state="live", until="2024-05-09T00:00:00.000001Z") == ["early"]


def test_users_are_named_as_a_writer_knows_them(quarantine: Space, api: httpx.Client) -> None:
    user = f"hidden-{quarantine.url.rpartition('/')[2]}"
    for user_id in (user, f"{user}-gone"):
        quarantine.grant(user_id, user_id=user_id)
    assert api.post(f"/v1/users/{user}/hide").status_code in (200, 204)
    assert {grant["user_id"] for grant in quarantine.page(state="quarantined")["grants"]} == {user, f"{user}-gone"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "?state"),
        ({"state": "open"}, "?state"),
        ({"state": ""}, "?state"),
        ({"state": "quarantined", "since": "2024-05-10T00:00:00Z"}, "?since"),
        ({"source": "race", "source_id": "1", "until": "2024-05-10T00:00:00Z"}, "?until"),
        ({"state": "live", "since": "yesterday"}, "?since"),
        ({"state": "live", "source_id": "1"}, "?source"),
        ({"state": "live", "source": ""}, "?source"),
        ({"state": "live", "cursor": "LTE"}, "?cursor"),
        ({"state": "live", "cursor": "MSAyIHg"}, "?cursor"),
        ({"source": "race"}, "?source_id"),
        ({"state": "quarantined", "source_id": "1"}, "?source"),
        ({"source": "", "source_id": "1"}, "?source"),
        ({"source": "race", "source_id": "x" * 65}, "?source_id"),
        ({"state": "quarantined", "cursor": "x"}, "?cursor"),
        ({"state": "quarantined", "cursor": "LTE"}, "?cursor"),
        ({"state": "quarantined", "limit": 1001}, "?limit"),
        ({"state": "quarantined", "user": "otter"}, "?user"),
    ],
)
def test_a_wrong_query_is_refused(quarantine: Space, query: dict[str, Any], field: str) -> None:
    answer = quarantine.api.get(f"{quarantine.url}/grants", params=query)
    assert (answer.status_code, answer.json()["field"]) == (422, field)

"""?rank=true on grants: the places of a score and of the one before it."""

from itertools import count
from typing import Any

import httpx
import msgspec
import pytest

_numbers = count()


class Space:
    """A fresh namespace with three others on its board."""

    def __init__(self, api: httpx.Client, **rules: Any) -> None:
        self.api, self.name = api, f"places-{next(_numbers)}"
        self.url = f"/v1/namespaces/{self.name}"
        assert api.put(self.url, json=rules).status_code == 201
        others = [{"grant_id": user, "user_id": user, "amount": n} for user, n in (("a", 30), ("b", 20), ("c", 20))]
        assert api.post(f"{self.url}/grants", json=others).json()["applied"] == 3

    def grant(self, grant_id: str, amount: float, user: str = "otter", query: str = "?rank=true") -> dict[str, Any]:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount}
        answer = self.api.post(f"{self.url}/grants{query}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())


def ranks_in(receipt: dict[str, Any]) -> tuple[Any, Any, Any]:
    return receipt["status"], receipt["previous_rank"], receipt["rank"]


def test_a_receipt_tells_where_a_grant_led(api: httpx.Client) -> None:
    space = Space(api)
    assert ranks_in(space.grant("g1", 10)) == ("applied", None, 4)
    assert ranks_in(space.grant("g2", 10)) == ("applied", 4, 2)
    assert ranks_in(space.grant("g3", 5)) == ("applied", 2, 2)
    assert ranks_in(space.grant("g4", 50)) == ("applied", 2, 1)
    assert ranks_in(space.grant("g4", 50)) == ("duplicate", 1, 1)
    assert space.grant("g5", 0)["rank"] == api.get(f"{space.url}/users/otter").json()["ranks"]["all"]["rank"]
    assert not {"rank", "previous_rank"} & space.grant("g6", 1, query="").keys()
    assert not {"rank", "previous_rank"} & space.grant("g7", 1, query="?rank=false").keys()


@pytest.mark.parametrize(
    ("rules", "ranks"),
    [
        ({"ranking": "dense"}, [(None, 3), (3, 2), (2, 1)]),
        ({"ranking": "ordinal", "tie_break": "earliest"}, [(None, 4), (4, 4), (4, 1)]),
        ({"order": "asc"}, [(None, 1), (1, 1), (1, 4)]),
        ({"aggregation": "best"}, [(None, 4), (4, 4), (4, 2)]),
        ({"scale": 2}, [(None, 4), (4, 2), (2, 1)]),
    ],
)
def test_ranks_follow_the_namespaces_rules(api: httpx.Client, rules: Any, ranks: Any) -> None:
    space = Space(api, **rules)
    receipts = [space.grant(f"g{i}", amount) for i, amount in enumerate((10, 10, 20))]
    assert [(receipt["previous_rank"], receipt["rank"]) for receipt in receipts] == ranks


def test_a_batch_tells_each_among_the_others_as_they_stand_behind_it(api: httpx.Client) -> None:
    space = Space(api, scale=1)
    body: list[Any] = [
        {"grant_id": "g1", "user_id": "otter", "amount": 25.5},
        {"grant_id": "g2", "user_id": "hare", "amount": 40},
        {"grant_id": "g3", "user_id": "otter", "amount": 10},
        {"grant_id": "g4", "user_id": "otter", "amount": 0.25},
        {"grant_id": "a", "user_id": "a", "amount": 30},
    ]
    results = api.post(f"{space.url}/grants?rank=true", json=body).json()["results"]
    # Of the others a has 30, hare 40: otter's 25.5 would be third behind them, 35.5 is second.
    assert [ranks_in(result) for result in (*results[:3], results[4])] == [
        *(("applied", None, 3), ("applied", None, 1), ("applied", 3, 2), ("duplicate", 3, 3)),
    ]
    assert (results[3]["status"], "rank" in results[3]) == ("rejected", False)
    lines = b"\n".join(msgspec.json.encode(one | {"grant_id": f"x{i}", "amount": 1}) for i, one in enumerate(body))
    head = {"content-type": "application/x-ndjson"}
    answer = api.post(f"{space.url}/grants?rank=true", content=lines, headers=head).json()
    assert all("rank" in result for result in answer["results"])


def test_across_namespaces_each_by_its_own_rules(api: httpx.Client) -> None:
    group = f"places-group-{next(_numbers)}"
    spaces = [Space(api, group=group), Space(api, group=group, order="asc")]
    body = [{"namespace": s.name, "grant_id": "g1", "user_id": "otter", "amount": 25} for s in spaces]
    results = api.post("/v1/grants?atomic=true&rank=true", json=body).json()["results"]
    assert [ranks_in(result) for result in results] == [("applied", None, 2), ("applied", None, 3)]
    packed = api.post(
        "/v1/grants?rank=true", json=body[0] | {"grant_id": "g2"}, headers={"accept": "application/msgpack"}
    )
    assert ranks_in(msgspec.msgpack.decode(packed.content)) == ("applied", 2, 1)


def test_what_is_on_no_board_has_no_rank(api: httpx.Client) -> None:
    space = Space(api, amount_max=30, suspicious="quarantine")
    assert ranks_in(space.grant("g1", 99)) == ("quarantined", None, None)
    assert ranks_in(space.grant("g2", 25)) == ("applied", None, 2)
    assert ranks_in(space.grant("g3", 99)) == ("quarantined", 2, 2)


def test_only_admins_get_ranks_of_a_shadow_board(api: httpx.Client, live_server: Any) -> None:
    space = Space(api, mode="shadow")
    assert ranks_in(space.grant("g1", 25)) == ("applied", None, 2)
    writer = live_server.new_key("write:*")
    with live_server.client(key=writer) as client:
        space.api = client
        assert ranks_in(space.grant("g2", 25)) == ("applied", None, None)


@pytest.mark.parametrize("query", ["?rank=yes", "?rank=", "?ranks=true"])
def test_other_parameters_are_refused(api: httpx.Client, query: str) -> None:
    space = Space(api)
    body = {"grant_id": "g1", "user_id": "otter", "amount": 1}
    answer = api.post(f"{space.url}/grants{query}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, query.partition("=")[0])
    assert api.get(f"{space.url}/users/otter").status_code == 404


@pytest.mark.parametrize("tie_break", ["earliest", "granted_at"])
def test_the_previous_rank_is_the_place_that_was_held(api: httpx.Client, tie_break: str) -> None:
    """Before those who came to the same score later, though the user leaves it now."""
    space = Space(api, ranking="ordinal", tie_break=tie_break)
    entries = api.get(f"{space.url}/boards/all").json()["entries"]
    assert [(entry["user_id"], entry["rank"]) for entry in entries] == [("a", 1), ("b", 2), ("c", 3)]
    receipt = space.grant("b2", 1, user="b")
    assert (receipt["previous_rank"], receipt["rank"]) == (2, 2)
    receipt = space.grant("b3", -5, user="b")
    assert (receipt["previous_rank"], receipt["rank"]) == (2, 3)
    batch = [{"grant_id": f"x{i}", "user_id": "c", "amount": amount} for i, amount in enumerate((-4, 20))]
    results = api.post(f"{space.url}/grants?rank=true", json=batch).json()["results"]
    assert [receipt["previous_rank"] for receipt in results] == [2, 3], "behind b, who has 16 already"
    assert [receipt["rank"] for receipt in results] == [3, 1]

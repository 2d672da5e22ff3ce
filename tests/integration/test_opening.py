"""Opening balances: totals without their history. They count on `all` and their category there, nowhere else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.checked_deployment import verify
from tests.support.redis_state import differences, namespace_state

LONG_AGO = "2019-05-01T12:00:00Z"
RULES = {"category_boards": True, "streaks": True, "velocity": [{"per": "PT1H", "max_grants": 3, "max_amount": 50}]}


class Space:
    """A namespace, and what is asked of it."""

    def __init__(self, stack: Any, api: httpx.Client, name: str, **rules: Any) -> None:
        self.stack, self.api, self.name, self.url = stack, api, name, f"/v1/namespaces/{name}"
        assert api.put(self.url, json=RULES | rules).status_code == 201

    def grant(self, grant_id: str, user: str, amount: float, **fields: Any) -> httpx.Response:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount} | fields
        return self.api.post(f"{self.url}/grants", json=body)

    def opening(self, user: str, amount: float, **fields: Any) -> httpx.Response:
        fields = {"granted_at": LONG_AGO, "source": "opening", "opening": True} | fields
        return self.grant(f"opening-{user}", user, amount, **fields)

    def board(self, window: str, **query: Any) -> dict[str, float]:
        entries = self.api.get(f"{self.url}/boards/{window}", params={"limit": 1000} | query).json()["entries"]
        return {entry["user_id"]: entry["score"] for entry in entries}

    def user(self, user: str, what: str = "", **query: Any) -> Any:
        answer = self.api.get(f"{self.url}/users/{user}{what}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def correct(self, grant_id: str, verb: str, **fields: Any) -> dict[str, Any]:
        body = [{"grant_id": grant_id, "op": verb} | fields]
        (result,) = self.api.post(f"{self.url}/corrections", json=body).json()["results"]
        return dict(result)

    def is_clean(self) -> None:
        self.stack.wait_flushed()
        assert verify(self.stack, self.name) == (0, [])


@pytest.fixture
def space(live_server: Any, api: httpx.Client, names: Any) -> Callable[..., Space]:
    return lambda **rules: Space(live_server, api, names.fresh(), **rules)


def test_an_opening_balance_counts_on_all_and_its_category_alone(space: Callable[..., Space]) -> None:
    n = space()
    receipt = n.opening("ann", 700, category="red")
    assert (receipt.status_code, receipt.json()["score"]) == (201, 700), "however old, and over every velocity"
    assert n.grant("g1", "ann", 5, category="red").json()["score"] == 705
    now = datetime.now(UTC)
    assert n.board("all") == n.board("all", category="red") == {"ann": 705}
    for window in ("2019-05", "2019-W18", "2019-05-01"):
        assert n.board(window) == n.board(window, category="red") == {}, window
    for window in (f"{now:%Y-%m}", f"{now:%Y-%m-%d}"):
        assert n.board(window) == n.board(window, category="red") == {"ann": 5}, window
    user = n.user("ann")
    assert (user["score"], user["grants"], user["streak"]["best"]) == (705, 2, 1)
    assert (user["categories"], user["sources"]) == ({"red": 705}, {"opening": 700})
    n.is_clean()


def test_it_is_told_wherever_its_grant_is_told(space: Callable[..., Space]) -> None:
    n = space()
    n.opening("ann", 700, meta={"a": 1})
    n.grant("g1", "ann", 5)
    n.is_clean()
    grant = n.api.get(f"{n.url}/grants/opening-ann").json()
    assert (grant["opening"], grant["granted_at"], [one["opening"] for one in grant["revisions"]]) == (
        True,
        LONG_AGO,
        [True],
    )
    assert n.api.get(f"{n.url}/grants/g1").json()["opening"] is False
    assert {one["grant_id"]: one["opening"] for one in n.user("ann", "/grants")["grants"]} == {
        "opening-ann": True,
        "g1": False,
    }
    events = n.api.get(f"{n.url}/events", params={"type": "granted"}).json()["events"]
    assert {event["grant_id"]: event.get("opening") for event in events} == {"opening-ann": True, "g1": None}
    for window, score, names in (("all", 705, {"opening-ann", "g1"}), ("day", 5, {"g1"}), ("2019-05-01", None, set())):
        answer = n.user("ann", "/explain", window=window)
        assert (answer["score"], {one["grant_id"] for one in answer["grants"]}) == (score, names), window


def test_it_is_no_activity_no_trend_and_no_velocity(space: Callable[..., Space]) -> None:
    n = space()
    n.opening("ann", 700)
    for i in range(3):
        assert n.grant(f"g{i}", "ann", 1).status_code == 201
    refused = n.grant("g3", "ann", 1)
    assert (refused.status_code, refused.json()["code"]) == (422, "velocity")
    n.is_clean()
    n.user("ann", "/explain")  # waits until it is counted
    for by in ("granted", "recorded"):
        assert n.user("ann", "/activity", by=by)["sum"] == 3, by
        assert (
            n.user("ann", "/activity", by=by, since="2019-01-01T00:00:00Z", until="2020-01-01T00:00:00Z")["count"] == 0
        )
    trends = n.api.get(f"{n.url}/trends", params={"bucket": "day", "since": "2019-01-01T00:00:00Z"}).json()
    assert [(one["grants"], one["sum"], one["users"]) for one in trends] == [(3, 3, 1)]


def test_an_admin_alone_may_send_one(live_server: Any, space: Callable[..., Space]) -> None:
    n = space()
    writer = {"authorization": f"Bearer {live_server.new_key(f'write:{n.name}', f'read:{n.name}')}"}
    body = {"grant_id": "g1", "user_id": "ann", "amount": 1, "opening": True}
    single = n.api.post(f"{n.url}/grants", json=body, headers=writer)
    assert (single.status_code, single.json()["code"]) == (403, "forbidden")
    assert f"admin:{n.name}" in single.json()["detail"]
    batch = n.api.post(f"{n.url}/grants", json=[body, body | {"grant_id": "g2", "opening": False}], headers=writer)
    first, second = batch.json()["results"]
    assert (first["error"]["code"], first["error"]["retryable"], second["status"]) == ("forbidden", False, "applied")
    named = [body | {"namespace": n.name}, body | {"grant_id": "g3", "opening": False, "namespace": n.name}]
    first, second = n.api.post("/v1/grants", json=named, headers=writer).json()["results"]
    assert (first["error"]["code"], second["status"]) == ("forbidden", "applied")
    atomic = n.api.post("/v1/grants?atomic=true", json=named, headers=writer)
    assert (atomic.status_code, atomic.json()["field"]) == (403, "$[0]")
    assert n.board("all") == {"ann": 2}
    assert n.api.post("/v1/grants?atomic=true", json=named).json()["applied"] == 1
    assert n.board("all") == {"ann": 3}


def test_the_same_grant_that_is_none_is_a_conflict(space: Callable[..., Space]) -> None:
    n = space()
    assert n.opening("ann", 7).status_code == 201
    assert n.opening("ann", 7).json()["status"] == "duplicate"
    conflict = n.opening("ann", 7, opening=False)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "grant_conflict")
    assert n.grant("g1", "bob", 1, opening=False).status_code == 201
    assert n.grant("g1", "bob", 1).json()["status"] == "duplicate", "absent is false"
    assert n.grant("g1", "bob", 1, opening=True).json()["code"] == "grant_conflict"


def test_its_moment_may_not_lie_ahead(space: Callable[..., Space]) -> None:
    n = space()
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert n.opening("ann", 7, granted_at=ahead).json()["code"] == "granted_at_range"
    assert n.opening("ann", 7, granted_at="1950-01-01T00:00:00Z").status_code == 201


@pytest.mark.parametrize("aggregation", ["sum", "best", "latest"])
def test_bounds_of_an_amount_hold_where_it_is_one_grants(space: Callable[..., Space], aggregation: str) -> None:
    n = space(aggregation=aggregation, amount_max=10, velocity=None)
    assert n.opening("ann", 700).status_code == (201 if aggregation == "sum" else 422)
    assert n.opening("bob", 7).status_code == 201
    edit = n.correct("opening-bob", "edit", amount=900)
    assert edit.get("error", {}).get("code") == (None if aggregation == "sum" else "amount_range")


def test_corrections_leave_it_an_opening_balance(space: Callable[..., Space]) -> None:
    n = space()
    n.opening("ann", 700, category="red")
    n.grant("g1", "ann", 5, category="red")
    assert n.correct("opening-ann", "edit", amount=800, granted_at="2018-01-01T00:00:00Z")["status"] == "applied"
    assert n.board("all", category="red") == {"ann": 805}
    assert n.board("2018-01") == n.board("2019-05") == {}
    assert n.correct("opening-ann", "edit", category="blue")["score"] == 805
    assert (n.board("all", category="red"), n.board("all", category="blue")) == ({"ann": 5}, {"ann": 800})
    assert n.correct("opening-ann", "void")["score"] == 5
    assert n.user("ann")["streak"]["best"] == 1
    assert n.correct("opening-ann", "restore")["score"] == 805
    assert n.correct("g1", "void")["score"] == 800
    assert n.user("ann")["streak"]["best"] == 0
    n.is_clean()
    revisions = n.api.get(f"{n.url}/grants/opening-ann").json()["revisions"]
    assert [(one["verb"], one["opening"]) for one in revisions] == [
        (verb, True) for verb in ("grant", "edit", "edit", "void", "restore")
    ]
    answer = n.user("ann", "/explain")
    assert (answer["score"], [one["amount"] for one in answer["grants"]]) == (800, [800])
    refused = n.correct("opening-ann", "edit", opening=False)
    assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid", "$.opening")


@pytest.mark.parametrize(("aggregation", "scores"), [("best", (70, 90, 90)), ("latest", (70, 90, 20))])
def test_it_is_one_grant_among_others_for_best_and_latest(
    space: Callable[..., Space], aggregation: str, scores: tuple[int, int, int]
) -> None:
    n = space(aggregation=aggregation, velocity=None, accept_past=None)
    at = ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"]
    n.grant("g1", "ann", 20, granted_at=at[2])
    n.opening("ann", 70, granted_at=at[0])
    assert n.board("all") == {"ann": max(20, 70) if aggregation == "best" else 20}
    assert n.correct("g1", "void")["score"] == scores[0]
    n.grant("g2", "ann", 90, granted_at=at[1])
    assert n.board("all") == {"ann": scores[1]}
    assert n.correct("g1", "restore")["score"] == scores[2]
    assert (n.board("2024-01-01"), n.board("2024-01-02")) == ({}, {"ann": 90})
    n.is_clean()
    assert n.user("ann", "/explain")["score"] == scores[2]


def test_the_last_moment_of_a_user_is_found_among_opening_balances(space: Callable[..., Space]) -> None:
    """Where scores are no sums the last moment is looked for behind the last hour with grants: opening balances are in
    none of these hours."""
    n = space(aggregation="best", velocity=None, accept_past=None)
    n.grant("g1", "ann", 1, granted_at="2020-01-01T00:00:00Z")
    n.grant("g2", "ann", 2, granted_at="2024-01-01T00:00:00Z")
    n.opening("ann", 3, granted_at="2022-01-01T00:00:00Z")
    n.is_clean()
    n.user("ann", "/explain")
    assert n.correct("g2", "void")["status"] == "applied"
    assert n.user("ann")["last_granted_at"] == "2022-01-01T00:00:00Z"
    n.is_clean()


def test_the_past_of_the_board_knows_it_from_its_recording_on(space: Callable[..., Space]) -> None:
    n = space()
    n.grant("g1", "ann", 5)
    n.is_clean()
    before = datetime.now(UTC).isoformat()
    n.opening("ann", 700)
    n.is_clean()
    after = datetime.now(UTC).isoformat()
    assert (n.board("all", as_of=before), n.board("all", as_of=after)) == ({"ann": 5}, {"ann": 705})
    assert n.board("day", as_of=after) == {"ann": 5}


@pytest.mark.parametrize(
    "rules", [{}, {"aggregation": "best", "tie_break": "earliest"}, {"aggregation": "latest"}], ids=str
)
def test_a_rebuild_leaves_it_where_it_was(own_stack: Any, rules: dict[str, Any]) -> None:
    with own_stack.client() as api:
        n = Space(own_stack, api, "n", **{"accept_past": None, "tie_break": "granted_at"} | rules)
        for i, user in enumerate(("ann", "bob", "cleo")):
            n.opening(user, 40 + i, category="red")
            n.grant(f"g{i}", user, 10 * i, category=("red", "blue", None)[i])
        n.correct("opening-bob", "edit", amount=30, granted_at="2020-01-01T00:00:00Z")
        n.correct("opening-cleo", "void")
        n.is_clean()
        before = namespace_state(own_stack.redis.url)
        boards = {window: n.board(window) for window in ("all", "day", "2019-05", "2020-01")}
        with own_stack.store() as direct:
            direct.flushall()
        done = own_stack.run("rebuild", "--quiet")
        assert (done.returncode, done.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        own_stack.wait_ready()
        assert {window: n.board(window) for window in boards} == boards
        # Velocities are rebuilt from the ledger: an opening balance is none of the grants that they count.
        assert [n.grant(f"h{i}", "ann", 1).status_code for i in range(3)] == [201, 201, 422]
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, []), "the chain of hashes, too"

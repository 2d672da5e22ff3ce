"""What webhooks are told: each type of event, who is left out, rank events, drift."""

from typing import Any

import httpx

from app.store import keys
from tests.conftest import Names, Stack
from tests.support.receiver import Receiver, status
from tests.support.sealed_namespace import DAY, MONTH, Space
from tests.support.waits import until
from tests.support.webhooks import Hook, arrive

#: Seconds in which the search for drift has looked at all namespaces of a run, twice.
ROUND_S_MAX = 50.0
CORRECTIONS = ["edited", "voided", "restored"]


def test_corrections_and_quarantine_are_told_with_what_is_asked_for(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    rules = {"velocity": [{"per": "P1D", "max_grants": 1}], "suspicious": "quarantine"}
    kinds = ["granted", "quarantined", *CORRECTIONS]
    hook = Hook(api, names.fresh(), receiver.url, rules, types=kinds, include=["meta", "reason", "actor"])
    hook.grant("g1", meta={"round": 10})
    grant = f"/v1/namespaces/{hook.name}/grants/g1"
    api.patch(grant, json={"amount": 7, "reason": "fastest lap"})
    api.delete(grant, params={"reason": "disqualified"})
    api.post(f"{grant}/restore", json={})
    hook.grant("g2")
    hook.grant("g3")
    arrive(receiver, 5)
    summaries = [(message["type"], message["data"].get("reason")) for message in receiver.messages]
    expected = [("granted", None), ("edited", "fastest lap"), ("voided", "disqualified"), ("restored", None)]
    assert summaries[:4] == expected
    assert "quarantined" in [kind for kind, _ in summaries[4:]]
    first = receiver.messages[0]["data"]
    assert (first["meta"], first["actor"]) == ({"round": 10}, "test")


def test_an_opening_balance_is_told_as_one(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    hook = Hook(api, names.fresh(), receiver.url, types=["granted", "voided"])
    hook.grant("g1", opening=True)
    hook.grant("g2")
    api.delete(f"/v1/namespaces/{hook.name}/grants/g1")
    arrive(receiver, 3)
    assert [(message["type"], message["data"].get("opening")) for message in receiver.messages] == [
        *(("granted", True), ("granted", None), ("voided", True))
    ]


def test_namespaces_of_a_pattern_are_told_and_no_others(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    prefix = f"{names.fresh()}_x"
    for name in (f"{prefix}-a", f"{prefix}-b", prefix.replace("_", "-") + "-c"):
        api.put(f"/v1/namespaces/{name}", json={"accept_past": None})
    body = {"url": receiver.url, "namespaces": f"{prefix}-*", "types": ["granted"]}
    assert api.put(f"/v1/webhooks/{prefix}", json=body).status_code == 201
    for name in (prefix.replace("_", "-") + "-c", f"{prefix}-a", f"{prefix}-b"):
        api.post(f"/v1/namespaces/{name}/grants", json={"grant_id": "g", "user_id": "ann", "amount": 1})
    arrive(receiver, 2)
    assert sorted(message["data"]["namespace"] for message in receiver.messages) == [f"{prefix}-a", f"{prefix}-b"]


def test_what_came_before_is_not_told(stack: Stack, api: httpx.Client, receiver: Receiver, names: Names) -> None:
    first = Hook(api, names.fresh(), receiver.url)
    first.grant("g1")
    stack.wait_flushed()
    arrive(receiver, 1)
    body = first.settings | {"url": receiver.url + "/second"}
    assert api.put(f"/v1/webhooks/{first.name}-2", json=body).status_code == 201
    first.grant("g2")
    arrive(receiver, 3)
    assert sorted(receiver.grant_ids()) == ["g1", "g2", "g2"]


def test_nothing_goes_out_of_an_erased_user(stack: Stack, api: httpx.Client, receiver: Receiver, names: Names) -> None:
    receiver.behave = status(500)
    hook = Hook(api, names.fresh(), receiver.url)
    user = f"{hook.name}-gone"
    hook.grant("g1", user)
    hook.grant("g2", user)
    hook.grant("g3", f"{hook.name}-here")
    arrive(receiver, 1)
    assert api.delete(f"/v1/users/{user}").status_code == 204
    count = len(receiver.deliveries)
    receiver.behave = status(204)
    until(lambda: receiver.grant_ids()[-1] == "g3", "who is there", seconds=20)
    # An attempt may have been under way while the user was erased.
    assert set(receiver.grant_ids()[count + 1 :]) <= {"g3"}


def test_a_revoked_key_ends_it(stack: Stack, api: httpx.Client, receiver: Receiver, names: Names) -> None:
    name = names.fresh()
    key = stack.new_key(f"admin:{name}*")
    with stack.client(key) as owner:
        hook = Hook(owner, name, receiver.url)
        hook.grant("g1")
        arrive(receiver, 1)
    stack.revoke(key)
    api.post(f"/v1/namespaces/{name}/grants", json={"grant_id": "g2", "user_id": "ann", "amount": 1})
    stack.wait_flushed()
    until(lambda: api.get(hook.path).json()["state"] == "stopped", "it stops", seconds=10)
    assert "revoked" in api.get(hook.path).json()["stop_reason"]
    assert receiver.grant_ids() == ["g1"]


def test_a_new_secret_of_its_key_changes_nothing(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    name = names.fresh()
    made = api.post("/v1/keys", json={"scopes": [f"admin:{name}*"]}).json()
    with stack.client(made["key"]) as owner:
        hook = Hook(owner, name, receiver.url)
        hook.grant("g1")
        arrive(receiver, 1)
    rotated = api.post(f"/v1/keys/{made['id']}/rotate").json()
    with stack.client(rotated["key"]) as owner:
        hook.api = owner
        hook.grant("g2")
        arrive(receiver, 2)
        assert hook.put().status_code == 200
        hook.grant("g3")
        arrive(receiver, 3)
    assert (hook.settings["namespaces"], api.get(hook.path).json()["key_id"]) == (name, made["id"])


def summary(message: dict[str, Any]) -> tuple[Any, ...]:
    data = message["data"]
    return message["type"], data["user_id"], data["rank"], data["previous_rank"], data["score"]


def test_rank_events_tell_who_enters_leaves_and_moves(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    board = {"window": "all", "limit": 2}
    hook = Hook(api, names.fresh(), receiver.url, types=["entered", "left", "rank_changed"], board=board)
    hook.grant("g1", "ann", amount=10)
    arrive(receiver, 1)
    hook.grant("g2", "bob", amount=20)
    arrive(receiver, 3)
    hook.grant("g3", "cleo", amount=30)
    arrive(receiver, 6)
    assert list(map(summary, receiver.messages)) == [
        ("entered", "ann", 1, None, 10),
        ("entered", "bob", 1, None, 20),
        ("rank_changed", "ann", 2, 1, 10),
        ("left", "ann", None, 2, None),
        ("entered", "cleo", 1, None, 30),
        ("rank_changed", "bob", 2, 1, 20),
    ]
    versions = [message["data"]["version"] for message in receiver.messages]
    assert versions == sorted(versions)
    assert receiver.deliveries[0].verify(hook.secret)["data"]["window"] == "all"


def test_a_user_who_is_hidden_leaves_and_is_in_no_other_rank_event(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    name = names.fresh()
    hook = Hook(api, name, receiver.url, types=["entered", "left", "rank_changed"], board={"window": "all"})
    hook.grant("g1", "ann", amount=10)
    hook.grant("g2", "bob", amount=5)
    arrive(receiver, 2)
    assert api.post(f"/v1/namespaces/{name}/users/ann/hide").status_code == 200
    arrive(receiver, 4)
    hook.grant("g3", "cleo", amount=1)
    arrive(receiver, 5)
    assert [summary(message)[:3] for message in receiver.messages[2:]] == [
        ("left", "ann", None),
        ("rank_changed", "bob", 1),
        ("entered", "cleo", 2),
    ]


def test_a_receiver_that_was_away_gets_the_last_state_of_the_board(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    receiver.behave = status(500)
    hook = Hook(api, names.fresh(), receiver.url, types=["entered", "left", "rank_changed"], board={"window": "all"})
    hook.grant("g1", "ann", amount=10)
    arrive(receiver, 1)
    for i in range(5):
        hook.grant(f"b{i}", "bob", amount=20)
    count = len(receiver.deliveries)
    receiver.behave = status(204)
    arrive(receiver, count + 2)

    def ranks() -> dict[str, tuple[int, int]]:
        messages = receiver.messages[count:]
        return {one["data"]["user_id"]: (one["data"]["rank"], one["data"]["score"]) for one in messages}

    until(lambda: ranks() == {"bob": (1, 100), "ann": (2, 10)} or len(receiver.deliveries) > count + 6, "the state")
    assert {user: rank for user, (rank, _) in ranks().items()} == {"bob": 1, "ann": 2}
    until(lambda: {one["state"] for one in hook.deliveries()} == {"delivered"}, "nothing fails any more")


def test_a_closed_window_is_told(stack: Stack, api: httpx.Client, receiver: Receiver, names: Names) -> None:
    space = Space(stack, api, names.fresh())
    body = {"url": receiver.url, "namespaces": space.name, "types": ["window_sealed"]}
    assert api.put(f"/v1/webhooks/{space.name}", json=body).status_code == 201
    space.grant("ann", 5)
    space.seal(DAY, MONTH)
    until(lambda: {one["data"]["window"] for one in receiver.messages} >= {DAY, MONTH}, "both are told", seconds=20)
    assert {(one["type"], one["data"]["namespace"]) for one in receiver.messages} == {("window_sealed", space.name)}


def test_drift_is_told_when_it_begins_and_when_it_ends(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    hook = Hook(api, names.fresh(), receiver.url, types=["drift_began", "drift_ended"])
    hook.grant("g1", "ann", amount=10)
    hook.grant("g2", "bob", amount=5)
    stack.wait_flushed()
    ((ns, p),) = stack.sql("SELECT id, partition FROM namespaces WHERE name = %s", hook.name)
    with stack.store() as direct:
        direct.zrem(keys.board(p, ns, "all"), "bob")
        # The search for drift goes round all namespaces of the run, rests between, and looks twice before it tells.
        arrive(receiver, 1, ROUND_S_MAX)
        direct.zadd(keys.board(p, ns, "all"), {"bob": 5})
        arrive(receiver, 2, ROUND_S_MAX)
    began, ended = receiver.messages
    assert (began["type"], ended["type"]) == ("drift_began", "drift_ended")
    expected = {"namespace": hook.name, "redis_users": 1, "ledger_users": 2, "ledger_sum": 15}
    assert began["data"] | expected == began["data"]
    types = [event["type"] for event in api.get(f"/v1/namespaces/{hook.name}/events").json()["events"]]
    assert types[-2:] == ["drift_began", "drift_ended"]


def test_the_phases_of_a_move_are_told(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    """Also of a namespace whose mode is set by PUT; the actor only to who asks for it."""
    types = ["import_began", "import_ended", "compared", "cut_over", "cut_back"]
    hook = Hook(api, names.fresh(), receiver.url, {"mode": "shadow"}, types=types)
    path = f"/v1/namespaces/{hook.name}"
    api.put(f"{path}/imports/i1")
    api.delete(f"{path}/imports/i1")
    for mode in ("live", "shadow"):
        api.put(path, json={"mode": mode})
    arrive(receiver, 4)
    expected = ["import_began", "import_ended", "cut_over", "cut_back"]
    assert [message["type"] for message in receiver.messages] == expected
    datas = [message["data"] for message in receiver.messages]
    assert (datas[0]["import_id"], datas[1]["lapsed"], datas[2]["comparison"]) == ("i1", False, None)
    assert datas[2]["seq"] == datas[3]["seq"]
    assert not any("actor" in data for data in datas)


def test_a_type_of_the_audit_that_is_added_later_is_told_from_then_on(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    hook = Hook(api, names.fresh(), receiver.url, {"mode": "shadow"})
    path = f"/v1/namespaces/{hook.name}"
    api.put(f"{path}/imports/old")
    api.delete(f"{path}/imports/old")
    assert hook.put(types=["import_began"]).status_code == 200
    api.put(f"{path}/imports/new")
    arrive(receiver, 1)
    api.delete(f"{path}/imports/new")
    assert hook.put(types=["import_began", "import_ended"]).status_code == 200
    api.put(f"{path}/imports/newer")
    api.delete(f"{path}/imports/newer")
    arrive(receiver, 3)
    summaries = [(message["type"], message["data"]["import_id"]) for message in receiver.messages]
    assert summaries == [("import_began", "new"), ("import_began", "newer"), ("import_ended", "newer")]


def test_a_change_drops_no_event_of_the_audit_that_waits(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    receiver.behave = status(500)
    hook = Hook(api, names.fresh(), receiver.url, {"mode": "shadow"}, types=["import_began"])
    path = f"/v1/namespaces/{hook.name}"
    for import_id in ("a", "b"):
        api.put(f"{path}/imports/{import_id}")
        api.delete(f"{path}/imports/{import_id}")
    arrive(receiver, 1)
    assert hook.put(types=["import_began", "import_ended"]).status_code == 200
    count = len(receiver.deliveries)
    receiver.behave = status(204)
    until(lambda: receiver.messages[-1]["data"]["import_id"] == "b", "the last one", seconds=20)
    started = [one["data"]["import_id"] for one in receiver.messages[count:] if one["type"] == "import_began"]
    assert list(dict.fromkeys(started)) == ["a", "b"]

"""Events over HTTP: their fields, their order, who may read them, and that a poller misses none."""

import threading
import time
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest

from app.model.namespace import partition_of
from app.store import keys
from tests.support.event_space import Space, known


@pytest.fixture
def space(live_server: Any, api: httpx.Client) -> Space:
    return Space(live_server, api)


def corrected(space: Space) -> Space:
    """One of each: granted twice, edited, voided, restored, the namespace changed."""
    label = {"category": "red", "source": "race", "source_id": "10", "action": "finish", "session_id": "s-1"}
    space.grant("g1", 25, **label, granted_at="2021-07-18T14:00:00Z")
    space.grant("g2", 18, user="heron")
    grants = f"{space.url}/grants"
    space.api.patch(f"{grants}/g1", json={"amount": 26, "reason": "fastest lap"})
    space.api.delete(f"{grants}/g1", params={"reason": "disqualified"})
    space.api.post(f"{grants}/g1/restore", json={"reason": "appeal won"})
    space.put(accept_past=None, visibility="public")
    return space


ALL = [
    *(("namespace_created", None), ("granted", "g1"), ("granted", "g2"), ("edited", "g1"), ("voided", "g1")),
    *(("restored", "g1"), ("namespace_changed", None)),
]


def test_events_come_oldest_first_with_their_own_fields(space: Space) -> None:
    assert corrected(space).summaries() == ALL
    answer = space.ask()
    created, granted, _, edited, voided, restored, changed = known(answer["events"])
    assert answer["lag_seq"] == 0
    same: dict[str, Any] = {
        "category": "red",
        "source": "race",
        "source_id": "10",
        "action": "finish",
        "session_id": "s-1",
    }
    same |= {"user_id": "otter", "grant_id": "g1", "granted_at": "2021-07-18T14:00:00Z", "epoch": granted["epoch"]}
    for event, own in (
        (granted, {"amount": 25, "change": 25, "score": 25, "revision": 1, "actor": "test"}),
        (edited, {"amount": 26, "previous_amount": 25, "change": 1, "score": 26, "revision": 2, "actor": "test"}),
        (voided, {"amount": 26, "change": -26, "score": None, "revision": 3, "reason": "disqualified"}),
        (restored, {"amount": 26, "change": 26, "score": 26, "revision": 4, "reason": "appeal won"}),
    ):
        assert event | same | own == event
    assert edited["reason"] == "fastest lap"
    assert created["actor"] == changed["actor"] == "test"
    assert changed["previous_rules"] == created["rules"]
    assert (changed["previous_rules"]["visibility"], changed["rules"]["visibility"]) == ("private", "public")
    body = space.api.get(space.url).json()
    assert {"name": space.name, "move": None} | changed["rules"] | {"resets": body["resets"]} == body
    times = [event["at"] for event in answer["events"]]
    assert times == sorted(times)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_lose_nothing_and_the_last_cursor_waits_for_more(space: Space, limit: int) -> None:
    whole = corrected(space).ask()
    events, after = [], None
    while page := space.ask(after, limit=limit)["events"]:
        events += page
        after = space.page(after, limit=limit)["next_after"]
    assert events == whole["events"]
    assert after == whole["next_after"] == space.page(after)["next_after"]
    space.grant("g3")
    space.put(accept_past=None, visibility="private")
    assert [(e["type"], e.get("grant_id")) for e in space.ask(after)["events"]] == [
        *(("granted", "g3"), ("namespace_changed", None)),
    ]


def test_filters(space: Space) -> None:
    corrected(space)
    kinds = ["voided", "namespace_created"]
    assert space.summaries(type=kinds) == [("namespace_created", None), ("voided", "g1")]
    assert space.summaries(type="granted") == [("granted", "g1"), ("granted", "g2")]
    assert space.summaries(session_id="s-1") == ALL[1:2] + ALL[3:6]
    assert space.summaries(session_id="s-1", type="edited") == [("edited", "g1")]
    assert space.summaries(session_id="s-2") == []
    assert space.summaries(actor="test") == ALL
    assert space.summaries(actor="test", session_id="s-1", type=["voided", "edited"]) == [
        *(("edited", "g1"), ("voided", "g1")),
    ]
    assert space.summaries(actor="nobody") == []
    after = space.page(type="granted", limit=1)["next_after"]
    assert space.summaries(type="granted", after=after) == [("granted", "g2")]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("after=x", "?after"), ("after=1.2", "?after"), ("after=1.2.x", "?after"), ("after=", "?after")),
        *(("after=1.2.9223372036854775808", "?after"), ("after=2147483648.0.0", "?after")),
        *(("type=gone", "?type"), ("limit=0", "?limit"), ("limit=1001", "?limit"), ("since=1", "?since")),
        *(("actor=%00", "?actor"), ("session_id=", "?session_id")),
    ],
)
def test_what_cannot_be_meant_is_refused(space: Space, query: str, field: str) -> None:
    answer = space.api.get(f"{space.url}/events?{query}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_a_cursor_belongs_to_its_namespace(live_server: Any, api: httpx.Client, space: Space) -> None:
    foreign = Space(live_server, api).page()["next_after"]
    assert api.get(f"{space.url}/events", params={"after": foreign}).json()["field"] == "?after"
    missing = api.get("/v1/namespaces/events-none/events")
    assert (missing.status_code, missing.json()["code"]) == (404, "namespace_not_found")


def test_a_public_namespace_needs_a_key_too(live_server: Any, space: Space) -> None:
    space.put(visibility="public")
    path = f"{space.url}/events"
    for scope, status in (("read:events-*", 200), ("write:*", 403), ("read:other-*", 403)):
        key = live_server.new_key(scope)
        with live_server.client(key) as client:
            assert client.get(path).status_code == status
    with live_server.client(None) as anonymous:
        assert anonymous.get(path).status_code == 401


def test_one_in_the_shadow_is_for_admins(live_server: Any, space: Space) -> None:
    space.put(mode="shadow")
    space.grant("g1")
    assert space.summaries(type="granted") == [("granted", "g1")]
    with live_server.client(live_server.new_key("read:*")) as reader:
        assert reader.get(f"{space.url}/events").status_code == 403


def test_a_change_of_nothing_and_a_refused_change_are_no_events(space: Space) -> None:
    space.put()
    space.grant("g1")
    assert space.put(scale=3).json()["code"] == "rule_locked"
    assert space.summaries() == [("namespace_created", None), ("granted", "g1")]


def test_a_deleted_namespaces_events_end_and_its_successor_begins_again(live_server: Any, api: Any) -> None:
    first = Space(live_server, api)
    after = first.ask()["next_after"]
    first.grant("g1")
    assert api.delete(first.url, params={"confirm": first.name}).status_code == 204
    rest = [("granted", "g1"), ("namespace_deleted", None)]
    assert first.summaries() == [("namespace_created", None), *rest]
    second = Space(live_server, api, first.name)
    assert second.summaries() == [("namespace_created", None)]
    assert second.summaries(after=after) == rest


def test_events_have_scores_as_a_client_reads_them(live_server: Any, api: httpx.Client) -> None:
    laps = Space(live_server, api, scale=3, aggregation="best", order="asc")
    laps.grant("g1", 71.5)
    laps.grant("g2", 70.125)
    laps.grant("g3", 80)
    figures = [(e["amount"], e["change"], e["score"]) for e in laps.ask(type="granted")["events"]]
    assert figures == [(71.5, 71.5, 71.5), (70.125, -1.375, 70.125), (80, 0, 70.125)]


def test_a_poller_beside_writers_misses_nothing(space: Space) -> None:
    """Two writers send grants while rules change: each event comes once, and each source in its order."""

    def grants(who: str) -> None:
        with space.stack.client() as client:
            for i in range(60):
                body = {"grant_id": f"{who}-{i}", "user_id": who, "amount": 1}
                assert client.post(f"{space.url}/grants", json=body).status_code == 201

    def changes() -> None:
        with space.stack.client() as client:
            for i in range(30):
                assert client.put(space.url, json={"display_name": str(i)}).status_code in (200, 503)

    writers = [threading.Thread(target=grants, args=(who,)) for who in "ab"] + [threading.Thread(target=changes)]
    for writer in writers:
        writer.start()
    events: list[dict[str, Any]] = []
    after = None
    writing = True
    while writing:
        writing = any(writer.is_alive() for writer in writers)
        if not writing:
            space.stack.wait_flushed()
        while (page := space.page(after, limit=7))["events"]:
            events, after = events + page["events"], page["next_after"]
    seqs = [event["seq"] for event in events if "seq" in event]
    audit_ids = [event["audit_id"] for event in events if "audit_id" in event]
    assert seqs == sorted(set(seqs))
    assert audit_ids == sorted(set(audit_ids))
    assert {event["grant_id"] for event in events if event["type"] == "granted"} == {
        f"{who}-{i}" for who in "ab" for i in range(60)
    }
    changed = [event for event in events if event["type"] == "namespace_changed"]
    for earlier, later in pairwise(changed):
        assert later["previous_rules"] == earlier["rules"]


def test_the_audit_of_one_namespace_commits_in_its_order(live_server: Any, space: Space) -> None:
    """A change that is not yet committed holds back the next one's id: a poller cannot pass it."""
    hold = "UPDATE namespaces SET version = version WHERE name = %s"
    with psycopg.connect(live_server.postgres.url) as slow:
        slow.execute(hold, (space.name,))
        slow.execute(
            "INSERT INTO audit (namespace_id, type, body) SELECT id, 'namespace_deleted', '{}' FROM namespaces "
            "WHERE name = %s",
            (space.name,),
        )
        ids: list[int] = []
        change = threading.Thread(target=lambda: ids.append(space.put(display_name="later").status_code))
        change.start()
        time.sleep(0.3)
        assert space.summaries() == [("namespace_created", None)]
        slow.commit()
        change.join()
    assert ids == [200]
    assert [kind for kind, _ in space.summaries()] == ["namespace_created", "namespace_deleted", "namespace_changed"]


@pytest.mark.timeout(120)
def test_a_duplicate_and_its_heal_make_events(own_stack: Any) -> None:
    with own_stack.client() as api, own_stack.store() as direct:
        space = Space(own_stack, api)
        space.grant("g1")
        own_stack.wait_flushed()
        direct.delete(keys.dedup(partition_of(space.name, None, 16), 1))
        space.grant("g1")
        deadline = time.monotonic() + 30
        while len(space.ask(type="healed")["events"]) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        _, granted, duplicated, healed = known(space.ask()["events"])
        assert [(e["type"], e["grant_id"], e["amount"], e["change"], e["score"]) for e in (granted, duplicated)] == [
            *(("granted", "g1", 5, 5, 5), ("duplicated", "g1", 5, 5, 10)),
        ]
        assert healed["grant_id"] == f"heal:{duplicated['epoch']}-{duplicated['seq']}"
        assert (healed["type"], healed["amount"], healed["change"], healed["score"]) == ("healed", -5, -5, 5)


def test_a_batch_and_new_users_make_events(space: Space) -> None:
    grants = [{"grant_id": f"g{i}", "user_id": f"u{i % 2}", "amount": i} for i in range(1, 4)]
    for _ in range(2):  # what is sent again was applied before: nothing is told of it
        assert space.api.post(f"{space.url}/grants", json=grants).status_code == 200
    space.grant("g4", user="u1")
    space.stack.wait_flushed()  # Users who are new in one transaction of the ledger have no order.
    space.grant("g5", user="otter")
    granted = space.ask(type="granted")["events"]
    (batch,) = space.ask(type="batch_applied")["events"]
    assert (batch["grants"], batch["change"], batch["actor"]) == (3, 6, "test")
    assert [batch["first_seq"], batch["last_seq"]] == [granted[0]["seq"], granted[2]["seq"]]
    new = space.ask(type="user_registered")["events"]
    assert [event["user_id"] for event in new] in (["u0", "u1", "otter"], ["u1", "u0", "otter"])
    assert new[-1].keys() == {"type", "at", "actor", "audit_id", "user_id"}

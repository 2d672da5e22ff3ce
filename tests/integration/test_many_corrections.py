"""Many corrections in one call, and calls that come twice."""

import threading
from time import monotonic
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.correction_driver import Space

CHANGES_NOTHING = (
    "names nothing to change; an edit changes amount, granted_at, category, source, source_id, action or session_id"
)


@pytest.fixture
def space(api: httpx.Client) -> Space:
    return Space(api)


def test_an_idempotency_key_makes_a_repeated_edit_one_edit(space: Space) -> None:
    space.grant("g1", 5)
    url, key = f"{space.url}/grants/g1", {"Idempotency-Key": "k-1"}
    assert space.api.patch(url, json={"amount": 6}, headers=key).json()["revision"] == 2
    space.edit("g1", amount=9)
    again = space.api.patch(url, json={"amount": 6}, headers=key).json()
    assert (again["status"], again["revision"], again["score"]) == ("duplicate", 2, 9)


def test_an_idempotency_key_for_another_correction_is_a_conflict(space: Space, live_server: Any) -> None:
    space.grant("g1", 5)
    space.grant("g2", 5)
    url, key = f"{space.url}/grants/g1", {"Idempotency-Key": "k-1"}
    body = {"amount": 6, "granted_at": "2024-01-01T02:00:00+02:00", "reason": "recount"}
    assert space.api.patch(url, json=body, headers=key).json()["status"] == "applied"
    live_server.wait_flushed()
    others = (
        space.api.patch(url, json=body | {"amount": 7}, headers=key),
        space.api.patch(url, json=body | {"reason": "typing error"}, headers=key),
        space.api.patch(url, json={"amount": 6, "reason": "recount"}, headers=key),
        space.api.delete(f"{url}?reason=recount", headers=key),
        space.api.post(f"{url}/restore", json={"reason": "recount"}, headers=key),
        space.api.patch(f"{space.url}/grants/g2", json=body, headers=key),
    )
    for answer in others:
        reply = answer.json()
        assert (answer.status_code, reply["code"], reply["field"]) == (409, "grant_conflict", "Idempotency-Key")
    assert space.board() == {"otter": 11}
    # The same, written in another way, and by the revision that it led to.
    same = {"amount": 6.0, "granted_at": "2024-01-01T00:00:00Z", "reason": "recount", "revision": 2}
    space.edit("g1", amount=9)
    again = space.api.patch(url, json=same, headers=key).json()
    assert (again["status"], again["revision"], again["score"]) == ("duplicate", 2, 14)


def test_an_idempotency_key_makes_many_repeated_corrections_one_of_each(space: Space, live_server: Any) -> None:
    for i in range(3):
        space.grant(f"g{i}", 5)
    url, key = f"{space.url}/corrections", {"Idempotency-Key": "k-1"}
    body = [{"op": "void", "grant_id": f"g{i}"} for i in range(3)]
    assert space.api.post(url, json=body, headers=key).json()["applied"] == 3
    assert space.restore("g0").json()["status"] == "applied"
    again = space.api.post(url, json=[*body[:2], {"op": "restore", "grant_id": "g2"}], headers=key).json()
    assert [r["status"] for r in again["results"]] == ["duplicate", "duplicate", "rejected"]
    assert again["results"][2]["error"]["code"] == "grant_conflict"
    assert space.board() == {"otter": 5}


def test_many_corrections_in_one_call(space: Space) -> None:
    for i in range(4):
        space.grant(f"g{i}", 5)
    body = space.api.post(
        f"{space.url}/corrections",
        json=[
            *({"op": "edit", "grant_id": "g0", "amount": 6}, {"op": "edit", "grant_id": "g0", "amount": 7}),
            *({"op": "void", "grant_id": "g1", "reason": "twice"}, {"op": "restore", "grant_id": "g2"}),
            *({"op": "void", "grant_id": "nobody"}, {"op": "void", "grant_id": "g3", "amount": 1}),
        ],
    ).json()
    assert (body["applied"], body["duplicate"], body["rejected"]) == (3, 1, 2)
    assert [r["status"] for r in body["results"]] == ["applied"] * 3 + ["duplicate", "rejected", "rejected"]
    assert [body["results"][i]["error"]["code"] for i in (4, 5)] == ["grant_not_found", "invalid"]
    assert space.board() == {"otter": 17}


def test_a_member_that_cannot_be_read_is_refused_alone(space: Space) -> None:
    space.grant("g0", 5)
    members = [
        *({"op": "erase", "grant_id": "g0"}, {"op": "void"}, {"op": "void", "grant_id": 7}, "g0", None),
        *({"op": "edit", "grant_id": "g0"}, {"op": "void", "grant_id": "g0", "why": "twice"}),
        {"op": "edit", "grant_id": "g0", "amount": 6},
    ]
    packed = {"Content-Type": "application/msgpack"}
    for body in ({"json": members}, {"content": msgspec.msgpack.encode(members), "headers": packed}):
        answer = space.api.post(f"{space.url}/corrections", **body)
        *refused, last = answer.json()["results"]
        assert (answer.status_code, answer.json()["rejected"], last["score"]) == (200, 7, 6)
        assert [(one["grant_id"], one["error"]["field"], one["error"]["detail"]) for one in refused] == [
            ("g0", "$.op", "must be edit, restore or void"),
            (None, "$.grant_id", "is required"),
            (None, "$.grant_id", "must be a string"),
            (None, "$", "must be an object"),
            (None, "$", "must be an object"),
            ("g0", "$", CHANGES_NOTHING),
            ("g0", "$.why", refused[-1]["error"]["detail"]),
        ]
        assert {(one["status"], one["error"]["code"], one["error"]["retryable"]) for one in refused} == {
            ("rejected", "invalid", False)
        }


def test_an_edit_that_changes_nothing_names_what_may_be_changed(space: Space) -> None:
    space.grant("g0", 5)
    for fields in ({}, {"reason": "typing error"}, {"revision": 1}):
        for query in ("", "?dry_run=true"):
            body = space.edit("g0", query, **fields).json()
            assert (body["status"], body["code"], body["field"], body["detail"]) == (
                422,
                "invalid",
                "$",
                CHANGES_NOTHING,
            )
    assert space.grant_body("g0")["revision"] == 1


@pytest.mark.parametrize("aggregation", ["sum", "best", "latest"])
def test_two_hundred_voids_of_one_users_grants_take_no_longer_than_a_few(api: httpx.Client, aggregation: str) -> None:
    space, count = Space(api, aggregation=aggregation), 1000
    body = [
        {"grant_id": f"g{i}", "user_id": "otter", "amount": i, "granted_at": f"2024-05-01T{i // 60:02}:{i % 60:02}:00Z"}
        for i in range(count)
    ]
    assert api.post(f"{space.url}/grants", json=body).json()["applied"] == count
    left = count - 200
    began = monotonic()
    voids = [{"op": "void", "grant_id": f"g{i}"} for i in range(left, count)]
    answer = api.post(f"{space.url}/corrections", json=voids).json()
    spent = monotonic() - began
    assert answer["applied"] == 200
    whole = sum(range(left)) if aggregation == "sum" else left - 1
    assert (space.board(), space.user()["grants"]) == ({"otter": whole}, left)
    assert answer["results"][-1]["score"] == whole
    assert spent < 2, f"{spent:.2f} s"
    # More than one call of the script takes: the rest is planned anew, upon the ledger.
    back = [{"op": "void", "grant_id": f"g{i}"} for i in range(left)]
    back += [{"op": "restore", "grant_id": f"g{i}"} for i in range(left, count)]
    assert api.post(f"{space.url}/corrections", json=back).json()["applied"] == count
    assert space.board() == {"otter": sum(range(left, count)) if aggregation == "sum" else count - 1}


def test_one_that_is_refused_among_many_takes_none_of_the_others(api: httpx.Client) -> None:
    space = Space(api, accept_past=None)
    for i in range(5):
        space.grant(f"g{i}", 10**14, granted_at=f"2024-05-0{i + 1}T00:00:00Z")
    asks = [
        *({"op": "void", "grant_id": "g0"}, {"op": "edit", "grant_id": "g1", "amount": 9 * 10**14}),
        *({"op": "void", "grant_id": "g2", "revision": 2}, {"op": "void", "grant_id": "g3"}),
        *({"op": "edit", "grant_id": "g1", "amount": 1}, {"op": "void", "grant_id": "g1", "revision": 2}),
    ]
    results = space.api.post(f"{space.url}/corrections", json=asks).json()["results"]
    codes = [result.get("error", {"code": "applied"})["code"] for result in results]
    assert codes == ["applied", "score_overflow", "revision_conflict", "applied", "applied", "applied"]
    assert space.board() == {"otter": 2 * 10**14}


def test_many_corrections_of_a_user_who_gets_grants_meanwhile(space: Space, live_server: Any) -> None:
    for i in range(60):
        space.grant(f"g{i}", 1)
    done = threading.Event()

    def work() -> None:
        with live_server.client() as client:
            for i in range(30):
                body = {"grant_id": f"h{i}", "user_id": "otter", "amount": 100}
                assert client.post(f"{space.url}/grants", json=body).status_code == 201
        done.set()

    writer = threading.Thread(target=work)
    writer.start()
    asks = [{"op": "void", "grant_id": f"g{i}"} for i in range(50)]
    answer = space.api.post(f"{space.url}/corrections", json=asks).json()
    writer.join()
    assert (done.is_set(), answer["applied"]) == (True, 50)
    assert (space.board(), space.user()["grants"]) == ({"otter": 3010}, 40)

"""Grants over HTTP: what counts, what is refused, and with which problem. Nothing that is refused is written."""

import json
import re
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.grant_posts import GOOD, post, total


def test_a_grant_a_retry_and_a_conflict(api: httpx.Client, space: str) -> None:
    first = post(api, space, GOOD)
    assert first.status_code == 201
    assert {key: first.json()[key] for key in ("status", "score", "previous_score", "ack")} == {
        "status": "applied",
        "score": 5,
        "previous_score": None,
        "ack": "fsync",
    }
    again = post(api, space, GOOD)
    assert (again.status_code, again.json()["status"], again.json()["seq"]) == (200, "duplicate", first.json()["seq"])
    other = post(api, space, {**GOOD, "amount": 6})
    assert (other.status_code, other.json()["code"]) == (409, "grant_conflict")
    assert other.headers["content-type"] == "application/problem+json"
    assert api.get(f"/v1/namespaces/{space}/users/otter").json()["score"] == 5


BAD_BODIES: list[tuple[Any, int, str, str | None]] = [
    (b"{", 400, "bad_request", None),
    (b"", 400, "bad_request", None),
    (b'{"grant_id":"g","user_id":"\xff","amount":1}', 400, "bad_request", None),
    (b'{"grant_id":"g","user_id":"\\ud800","amount":1}', 400, "bad_request", None),
    (b'{"grant_id":"g","user_id":"u","amount":NaN}', 400, "bad_request", None),
    (b'{"grant_id":"g","user_id":"u","amount":Infinity}', 400, "bad_request", None),
    (b'{"grant_id":"g","user_id":"u","amount":1' + b"0" * 400 + b"}", 422, "amount_range", "$.amount"),
    (b'{"grant_id":"g","user_id":"u","amount":1e400}', 422, "amount_range", "$.amount"),
    ({**GOOD, "amount": 1.5}, 422, "amount_scale", "$.amount"),
    ({**GOOD, "amount": "5"}, 422, "invalid", "$.amount"),
    ({**GOOD, "amount": True}, 422, "invalid", "$.amount"),
    ({**GOOD, "amount": None}, 422, "invalid", "$.amount"),
    ({**GOOD, "amount": []}, 422, "invalid", "$.amount"),
    ({**GOOD, "grant_id": ""}, 422, "invalid", "$.grant_id"),
    ({**GOOD, "grant_id": 7}, 422, "invalid", "$.grant_id"),
    ({**GOOD, "user_id": "x" * 129}, 422, "invalid", "$.user_id"),
    ({**GOOD, "user_id": "é" * 65}, 422, "invalid", "$.user_id"),
    ({**GOOD, "user_id": "a\u0000b"}, 422, "invalid", "$.user_id"),
    ({**GOOD, "user_id": "a\nb"}, 422, "invalid", "$.user_id"),
    ({**GOOD, "source": "x" * 65}, 422, "invalid", "$.source"),
    ({**GOOD, "category": ""}, 422, "invalid", "$.category"),
    ({**GOOD, "surprise": 1}, 422, "invalid", "$.surprise"),
    ({"grant_id": "g", "amount": 1}, 422, "invalid", "$.user_id"),
    ({**GOOD, "granted_at": "yesterday"}, 422, "invalid", "$.granted_at"),
    ({**GOOD, "granted_at": "2025-01-01T00:00:00"}, 422, "invalid", "$.granted_at"),
    ({**GOOD, "granted_at": "2999-01-01T00:00:00Z"}, 422, "invalid", "$.granted_at"),
    ({**GOOD, "granted_at": "2254-01-01T00:00:00Z"}, 422, "granted_at_range", "$.granted_at"),
    ({**GOOD, "meta": [1]}, 422, "invalid", "$.meta"),
    ({**GOOD, "meta": {"a": "x" * 2048}}, 422, "invalid", "$.meta"),
    ({**GOOD, "meta": {"a": "\u0000"}}, 422, "invalid", "$.meta"),
    (b'{"grant_id":"g","user_id":"u","amount":1,"meta":{"a":1e400}}', 422, "invalid", "$.meta[...]"),
    (
        b'{"grant_id":"g","user_id":"u","amount":1,"meta":' + b'{"a":' * 3000 + b"1" + b"}" * 3001,
        400,
        "bad_request",
        None,
    ),
    ([], 422, "invalid", "$"),
    ([{**GOOD, "grant_id": str(i)} for i in range(1001)], 413, "too_large", None),
    (b"5", 422, "invalid", "$"),
    (b'"x"', 422, "invalid", "$"),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), BAD_BODIES)
def test_bad_input_is_refused_with_its_field_and_nothing_is_written(
    api: httpx.Client, space: str, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = post(api, space, body)
    reply = answer.json()
    assert (answer.status_code, reply["code"], reply.get("field")) == (status, code, field), reply
    assert reply["status"] == status
    assert reply["title"]
    assert total(api, space) == 0


def test_a_body_of_50_mb_is_refused_and_the_answer_heard(api: httpx.Client, space: str) -> None:
    answer = post(api, space, b'{"grant_id":"' + b"x" * 50_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert total(api, space) == 0


def test_media_types(api: httpx.Client, space: str) -> None:
    assert post(api, space, GOOD, **{"content-type": "text/plain"}).status_code == 415
    packed = msgspec.msgpack.encode(GOOD)
    kind = {"content-type": "application/msgpack", "accept": "application/msgpack"}
    answer = api.post(f"/v1/namespaces/{space}/grants", content=packed, headers=kind)
    assert answer.status_code == 201
    assert msgspec.msgpack.decode(answer.content)["score"] == 5
    assert post(api, space, GOOD).json()["status"] == "duplicate"
    broken = api.post(f"/v1/namespaces/{space}/grants", content=packed[:-1], headers=kind)
    assert (broken.status_code, msgspec.msgpack.decode(broken.content)["code"]) == (400, "bad_request")
    text = msgspec.msgpack.encode({**GOOD, "amount": "5"})
    refused = api.post(f"/v1/namespaces/{space}/grants", content=text, headers=kind)
    assert msgspec.msgpack.decode(refused.content)["field"] == "$.amount"


def test_a_batch_counts_what_is_good_and_tells_what_is_not(api: httpx.Client, space: str) -> None:
    batch = [GOOD, {**GOOD, "grant_id": "h", "amount": 1.5}, 7, GOOD, {**GOOD, "grant_id": "i", "user_id": "heron"}]
    answer = post(api, space, batch)
    body = answer.json()
    assert answer.status_code == 200
    assert [body[key] for key in ("applied", "duplicate", "rejected")] == [2, 1, 2]
    assert [result["status"] for result in body["results"]] == [
        *("applied", "rejected", "rejected", "duplicate", "applied"),
    ]
    assert body["results"][1]["grant_id"] == "h"
    assert body["results"][1]["error"]["code"] == "amount_scale"
    assert body["results"][1]["error"]["retryable"] is False


def test_ndjson(api: httpx.Client, space: str) -> None:
    lines = [json.dumps({**GOOD, "grant_id": str(i), "user_id": f"u{i % 7}"}) for i in range(3000)]
    lines[5] = "{broken"
    answer = post(api, space, "\n".join(lines) + "\n\n", **{"content-type": "application/x-ndjson"})
    body = answer.json()
    assert [body[key] for key in ("applied", "duplicate", "rejected")] == [2999, 0, 1]
    assert body["results"][5]["error"]["code"] == "bad_request"
    board = api.get(f"/v1/namespaces/{space}/boards/all").json()
    assert sum(entry["score"] for entry in board["entries"]) == 2999 * 5
    many = "\n".join(json.dumps({**GOOD, "grant_id": f"m{i}"}) for i in range(10_001))
    assert post(api, space, many, **{"content-type": "application/x-ndjson"}).status_code == 413


def test_keys_and_scopes(live_server: Any, space: str) -> None:
    with live_server.client(None) as anonymous:
        assert post(anonymous, space, GOOD).json()["code"] == "unauthorized"
        assert anonymous.get(f"/v1/namespaces/{space}/boards/all").status_code == 401
    with live_server.client("lb_test_wrong-secret-000000") as wrong:
        assert post(wrong, space, GOOD).status_code == 401
    token = live_server.new_key(f"read:{space}", "write:other-*")
    with live_server.client(token) as limited:
        answer = post(limited, space, GOOD)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert limited.get(f"/v1/namespaces/{space}/boards/all").status_code == 200
        assert limited.put("/v1/namespaces/other-x").status_code == 403
        key_id = token.split("_")[1]
        listed = live_server.run("keys", "list").stdout
        assert key_id in listed
        assert token not in listed
        assert live_server.run("keys", "revoke", key_id).returncode == 0
        assert limited.get(f"/v1/namespaces/{space}/boards/all").status_code == 401
    assert live_server.run("keys", "revoke", key_id).returncode == 1


def test_times_must_lie_near_now_unless_the_rules_say_otherwise(api: httpx.Client) -> None:
    api.put("/v1/namespaces/times", json={"accept_past": "P1D", "accept_future": "PT0S"})
    for grant_id, at in (("past", "2020-01-01T00:00:00Z"), ("future", "2090-01-01T00:00:00Z")):
        answer = post(api, "times", {**GOOD, "grant_id": grant_id, "granted_at": at})
        assert (answer.status_code, answer.json()["code"]) == (422, "granted_at_range")
    api.put("/v1/namespaces/times", json={"accept_past": None, "accept_future": None})
    assert post(api, "times", {**GOOD, "grant_id": "past", "granted_at": "2020-01-01T00:00:00Z"}).status_code == 201
    api.put("/v1/namespaces/times", json={"accept_past": "P1D", "accept_future": "PT0S"})
    retry = post(api, "times", {**GOOD, "grant_id": "past", "granted_at": "2020-01-01T00:00:00Z"})
    assert (retry.status_code, retry.json()["status"]) == (200, "duplicate")


def test_amount_bounds(api: httpx.Client) -> None:
    api.put("/v1/namespaces/bounds", json={"amount_min": 0, "amount_max": 10.5, "scale": 1})
    assert post(api, "bounds", {**GOOD, "amount": 10.5}).status_code == 201
    for amount in (10.6, -0.1):
        assert post(api, "bounds", {**GOOD, "grant_id": "x", "amount": amount}).json()["code"] == "amount_range"


def test_across_namespaces_and_atomically_within_a_group(api: httpx.Client) -> None:
    for name in ("topic-1", "topic-2"):
        assert api.put(f"/v1/namespaces/{name}", json={"group": "topics"}).status_code == 201
    grants = [{**GOOD, "namespace": "topic-1"}, {**GOOD, "namespace": "topic-2", "amount": 1.5}]
    answer = api.post("/v1/grants?atomic=true", json=grants)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "amount_scale", "$[1].amount")
    assert total(api, "topic-1") == 0
    grants[1]["amount"] = 2
    assert api.post("/v1/grants?atomic=true", json=grants).json()["applied"] == 2
    conflict = [{**GOOD, "grant_id": "new", "namespace": "topic-1"}, {**GOOD, "namespace": "topic-2", "amount": 3}]
    answer = api.post("/v1/grants?atomic=true", json=conflict)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        409,
        "grant_conflict",
        "$[1].grant_id",
    )
    assert api.get("/v1/namespaces/topic-1/users/otter").json()["grants"] == 1
    mixed = [{**GOOD, "namespace": "topic-1"}, {**GOOD, "namespace": "nowhere"}]
    body = api.post("/v1/grants", json=mixed).json()
    assert [result["status"] for result in body["results"]] == ["duplicate", "rejected"]


def test_ids_may_hold_a_slash(api: httpx.Client, space: str) -> None:
    post(api, space, {**GOOD, "grant_id": "a/b c?", "user_id": "team/ö%"})
    assert api.get(f"/v1/namespaces/{space}/users/team%2F%C3%B6%25").json()["user_id"] == "team/ö%"
    assert api.get(f"/v1/namespaces/{space}/grants/a%2Fb%20c%3F").json()["grant_id"] == "a/b c?"
    assert api.get(f"/v1/namespaces/{space}/users/%FF").status_code == 400


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "meta",
    [
        *(nested(33), {"a": {1: 2}}, {"a": {None: 2}}, {"a": msgspec.msgpack.Ext(5, b"x")}, {"a": b"bytes"}),
        *({"a": float("nan")}, {"a": float("inf")}, {"a": [[[{"b": {True: 1}}]]]}),
    ],
)
def test_meta_that_json_has_no_word_for_is_refused(api: httpx.Client, space: str, meta: Any) -> None:
    packed = msgspec.msgpack.encode([GOOD | {"meta": meta}, GOOD | {"grant_id": "fine"}])
    head = {"content-type": "application/msgpack"}
    answer = api.post(f"/v1/namespaces/{space}/grants", content=packed, headers=head).json()
    assert (answer["rejected"], answer["applied"]) == (1, 1)
    assert answer["results"][0]["error"]["field"] == "$.meta"


def test_meta_of_the_greatest_depth_is_read_back(live_server: Any, api: httpx.Client, space: str) -> None:
    assert post(api, space, GOOD | {"meta": nested(32)}).status_code == 201
    live_server.wait_flushed()
    assert api.get(f"/v1/namespaces/{space}/grants/{GOOD['grant_id']}").json()["meta"] == nested(32)


def test_white_space_around_a_body_is_nothing(api: httpx.Client, space: str) -> None:
    url, head = f"/v1/namespaces/{space}/grants", {"content-type": "application/json"}
    one = msgspec.json.encode(GOOD)
    assert api.post(url, content=b" \r\n" + one, headers=head).status_code == 201
    assert api.post(url, content=b"\n\t [" + one + b"] ", headers=head).json()["duplicate"] == 1


def test_the_latest_moment_does_not_block_its_user(api: httpx.Client) -> None:
    api.put("/v1/namespaces/far", json={"accept_future": None})
    assert post(api, "far", GOOD | {"granted_at": "2254-12-31T23:59:59.999999Z"}).status_code == 201
    assert post(api, "far", GOOD | {"grant_id": "next"}).status_code == 201
    assert post(api, "far", GOOD | {"grant_id": "late", "granted_at": "2255-01-01T00:00:00Z"}).status_code == 422


def test_a_key_is_checked_before_the_body(live_server: Any, space: str) -> None:
    with live_server.client(key=None) as nobody:
        for path in (f"/v1/namespaces/{space}/grants", "/v1/grants"):
            answer = nobody.post(path, content=b"[" + b" " * 9_000_000)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_a_wrong_method_is_refused_with_the_right_ones(api: httpx.Client, space: str) -> None:
    reads, both = {"GET", "HEAD"}, {"GET", "HEAD", "POST"}
    for method, path, allowed in (
        ("PUT", "grants", both),
        ("DELETE", "boards/all", reads),
        ("POST", "boards/all", reads),
    ):
        answer = api.request(method, f"/v1/namespaces/{space}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == allowed
    assert api.get(f"/v1/namespaces/{space}/").json()["code"] == "not_found"


def test_an_atomic_request_may_not_hold_everybody_up(api: httpx.Client, names: Any) -> None:
    name, stretch = names.fresh(), {"starts": "2020-01-01T00:00:00Z", "ends": "2120-01-01T00:00:00Z"}
    rules = {"category_boards": True, "seasons": [{"name": f"s{i}", **stretch} for i in range(40)]}
    assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    grants = [
        {"namespace": name, "grant_id": f"g{i}", "user_id": "otter", "amount": 1, "category": f"c{i}"}
        for i in range(100)
    ]
    refused = api.post("/v1/grants?atomic=true", json=grants)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert re.fullmatch(r".*weight [\d,]+, at most 25,000", refused.json()["detail"])
    assert api.post("/v1/grants", json=grants).json()["applied"] == 100, "in several calls"
    assert api.get(f"/v1/namespaces/{name}/users/otter").json()["score"] == 100
    plain = names.fresh()
    assert api.put(f"/v1/namespaces/{plain}", json={}).status_code == 201
    many = [{"namespace": plain, "grant_id": f"g{i}", "user_id": f"u{i}", "amount": 1} for i in range(500)]
    assert api.post("/v1/grants?atomic=true", json=many).json()["applied"] == 500
    assert api.post("/v1/grants?atomic=true", json=[*many, {**many[0], "grant_id": "h"}]).status_code == 413


@pytest.mark.parametrize("path", ["/v1/namespaces/{}/grants", "/v1/grants"])
def test_an_idempotency_key_on_grants_is_refused_by_name(api: httpx.Client, space: str, path: str) -> None:
    body = {"grant_id": "g1", "user_id": "otter", "amount": 5} | ({} if "{}" in path else {"namespace": space})
    for sent in (body, [body]):
        refused = api.post(path.format(space), json=sent, headers={"Idempotency-Key": "k"})
        answer = refused.json()
        assert (refused.status_code, answer["code"], answer["field"]) == (422, "invalid", "Idempotency-Key")
        assert "grant_id" in answer["detail"]
    assert api.get(f"/v1/namespaces/{space}/boards/all").json()["total"] == 0


@pytest.mark.own_valkey
def test_a_batch_of_wrong_amounts_asks_once_for_newer_rules(api: httpx.Client, space: str, direct: Any) -> None:
    """Another server may have changed them just now; but not once more for each member."""
    grants = [{"grant_id": f"g{i}", "user_id": "ann", "amount": 1.5} for i in range(500)]
    direct.config_resetstat()
    assert api.post(f"/v1/namespaces/{space}/grants", json=grants).json()["rejected"] == 500
    assert direct.info("commandstats")["cmdstat_hget"]["calls"] < 200

"""Several servers over the same stores: what one of them decides, the others must not act against."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.second_server import second_server
from tests.support.visibility_race import other_group
from tests.support.waits import until


@pytest.fixture(scope="module")
def other(live_server: Any) -> Iterator[httpx.Client]:
    """A client of a second server, whose caches are its own."""
    with second_server(live_server) as client:
        yield client


def put(client: httpx.Client, name: str, **rules: Any) -> httpx.Response:
    return client.put(f"/v1/namespaces/{name}", json=rules)


def post(client: httpx.Client, name: str, grant_id: str, amount: float = 5, **fields: Any) -> httpx.Response:
    body = {"grant_id": grant_id, "user_id": "otter", "amount": amount} | fields
    return client.post(f"/v1/namespaces/{name}/grants", json=body)


def known_to(client: httpx.Client, name: str) -> None:
    assert client.get(f"/v1/namespaces/{name}").status_code == 200


def score(client: httpx.Client, name: str) -> float:
    return float(client.get(f"/v1/namespaces/{name}/users/otter").json()["score"])


def test_a_namespace_that_moved_takes_no_grant_where_it_was(api: httpx.Client, other: httpx.Client, space: str) -> None:
    known_to(other, space)
    assert put(api, space, accept_past=None, group=other_group(space)).status_code == 200
    first = post(other, space, "g1")
    again = post(api, space, "g1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert score(api, space) == score(other, space) == 5


def test_the_first_grant_and_a_change_of_scale_agree_on_what_it_means(api: httpx.Client, other: httpx.Client) -> None:
    for i in range(25):
        name = f"scale-{i}"
        put(api, name)
        known_to(other, name)
        answers: list[httpx.Response] = []
        change = threading.Thread(target=lambda n=name, t=answers: t.append(put(api, n, scale=2)))
        change.start()
        receipt = post(other, name, "g1")
        change.join()
        assert receipt.status_code == 201, receipt.text
        assert answers[0].status_code in (200, 422), answers[0].text
        assert score(api, name) == score(other, name) == receipt.json()["score"] == 5


def test_a_locked_change_leaves_the_namespace_open(api: httpx.Client, other: httpx.Client, space: str) -> None:
    assert post(other, space, "g1").status_code == 201
    refused = put(api, space, accept_past=None, scale=3)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "rule_locked", "$.scale")
    assert [post(client, space, f"h{i}").status_code for i, client in enumerate((api, other))] == [201, 201]


@pytest.mark.parametrize(
    ("before", "after", "grant"),
    [
        ({"amount_max": 10}, {"amount_max": 100}, {"amount": 50}),
        ({}, {"accept_past": None}, {"granted_at": "2001-01-01T00:00:00Z"}),
        ({}, {"scale": 2}, {"amount": 0.25}),
    ],
)
def test_no_grant_is_refused_by_rules_that_are_no_longer_in_force(
    api: httpx.Client, other: httpx.Client, before: Any, after: Any, grant: Any
) -> None:
    name = f"stale-{'-'.join(after)}"
    put(api, name, **before)
    known_to(other, name)
    assert put(api, name, **after).status_code == 200
    assert post(other, name, "g1", **grant).status_code == 201
    batch = [{"grant_id": "g2", "user_id": "hare", "amount": 1} | grant]
    assert other.post(f"/v1/namespaces/{name}/grants", json=batch).json()["applied"] == 1


def test_a_revoked_key_stops_on_a_server_that_gets_only_writes(
    live_server: Any, api: httpx.Client, other: httpx.Client, space: str
) -> None:
    key = live_server.new_key("write:*")
    with httpx.Client(base_url=other.base_url, headers={"authorization": f"Bearer {key}"}, timeout=30) as writer:
        assert post(writer, space, "g0").status_code == 201
        assert live_server.run("keys", "revoke", key.split("_")[1]).returncode == 0
        tries = iter(range(1, 10_000))
        until(lambda: post(writer, space, f"g{next(tries)}").status_code == 401, "a revoked key goes on", 5)


def test_a_profile_is_shown_by_the_next_read_on_any_server(api: httpx.Client, other: httpx.Client, space: str) -> None:
    user = f"{space}-otter"
    assert post(api, space, "g1", user_id=user).status_code == 201
    for turn in range(50):
        writer, reader = (api, other) if turn % 2 else (other, api)
        assert writer.put(f"/v1/users/{user}", json={"display_name": f"n{turn}"}).status_code == 200
        for client in (reader, writer):
            (entry,) = client.get(f"/v1/namespaces/{space}/boards/all").json()["entries"]
            assert entry["display_name"] == f"n{turn}"


def test_rules_and_rights_are_current(api: httpx.Client, other: httpx.Client, live_server: Any) -> None:
    created = live_server.run("keys", "create", "--scope", "read:told-*")
    assert created.returncode == 0, created.stderr
    made = created.stdout.strip()
    holder = {"authorization": f"Bearer {made}"}
    for path in ("/v1/namespaces/told-now", "/v1/namespaces?prefix=told-"):
        for _ in range(5):
            put(api, "told-now", visibility="public")
            assert "told-now" in other.get(path, headers={"authorization": ""}).text
            put(api, "told-now", visibility="private")
            assert "told-now" not in other.get(path, headers={"authorization": ""}).text
        assert other.get(path, headers=holder).status_code == 200
    assert live_server.run("keys", "revoke", made.split("_")[1]).returncode == 0
    # Each of these is the first that this server hears of the key since then.
    for path in ("/v1/namespaces/told-now", "/v1/namespaces?prefix=told-", "/v1/namespaces/told-now/boards/all"):
        assert other.get(path, headers=holder).status_code == 401


@pytest.mark.parametrize(
    "path", ["/v1/namespaces/gone-now", "/v1/namespaces?prefix=gone-", "/v1/namespaces/gone-now/boards/all"]
)
def test_a_revoked_key_reads_nothing_more(path: str, api: httpx.Client, other: httpx.Client, live_server: Any) -> None:
    put(api, "gone-now")
    made = live_server.new_key("read:gone-*")
    holder = {"authorization": f"Bearer {made}"}
    assert other.get(path, headers=holder).status_code == 200
    assert live_server.run("keys", "revoke", made.split("_")[1]).returncode == 0
    assert other.get(path, headers=holder).status_code == 401


def test_a_new_namespace_is_known_at_once_to_a_server_that_knew_there_was_none(
    api: httpx.Client, other: httpx.Client
) -> None:
    for i in range(10):
        name = f"born-{i}"
        assert [other.get(f"/v1/namespaces/{name}/boards/all").status_code for _ in range(3)] == [404] * 3
        assert put(api, name).status_code == 201
        assert other.get(f"/v1/namespaces/{name}/boards/all").status_code == 200
        assert post(other, name, "g1").status_code == 201


def at_once(*calls: Any) -> list[httpx.Response]:
    """The answers to calls that are made at one moment."""
    start, answers = threading.Barrier(len(calls)), {}

    def run(place: int, call: Any) -> None:
        start.wait()
        answers[place] = call()

    threads = [threading.Thread(target=run, args=call) for call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[place] for place in range(len(calls))]


def test_one_idempotency_key_makes_one_of_two_corrections_at_one_moment(
    live_server: Any, other: httpx.Client, api: httpx.Client
) -> None:
    name, rounds = "one-key", 12
    assert put(api, name).status_code == 201
    for i in range(rounds):
        post(api, name, f"a{i}", 5)
        post(api, name, f"b{i}", 5)
    live_server.wait_flushed()
    known_to(other, name)

    def patch(client: httpx.Client, grant_id: str, amount: int, key: str) -> Any:
        url = f"/v1/namespaces/{name}/grants/{grant_id}"
        return lambda: client.patch(url, json={"amount": amount}, headers={"Idempotency-Key": key})

    answers = []
    for i in range(rounds):
        # One grant on even rounds, two on odd ones; by two servers, and by one.
        second = other if i % 4 < 2 else api
        answers.append(at_once(patch(api, f"a{i}", 6, f"key-{i}"), patch(second, f"{'ab'[i % 2]}{i}", 7, f"key-{i}")))
    codes = [sorted(answer.status_code for answer in pair) for pair in answers]
    assert codes == [[200, 409]] * rounds
    refused = [answer.json() for pair in answers for answer in pair if answer.status_code == 409]
    assert {(body["code"], body["field"]) for body in refused} == {("grant_conflict", "Idempotency-Key")}
    bodies = [answer.json() for pair in answers for answer in pair if answer.status_code == 200]
    assert {body["revision"] for body in bodies} == {2}
    live_server.wait_flushed()
    score = api.get(f"/v1/namespaces/{name}/users/otter").json()["score"]
    assert score == 10 * rounds + sum(body["score"] - body["previous_score"] for body in bodies)


def test_the_same_correction_sent_twice_at_one_moment_counts_once(
    live_server: Any, other: httpx.Client, api: httpx.Client
) -> None:
    assert put(api, "same-key").status_code == 201
    for i in range(6):
        post(api, "same-key", f"g{i}", 5)
    live_server.wait_flushed()
    known_to(other, "same-key")

    def patch(client: httpx.Client, grant_id: str, key: str) -> Any:
        url = f"/v1/namespaces/same-key/grants/{grant_id}"
        return lambda: client.patch(url, json={"amount": 6}, headers={"Idempotency-Key": key})

    for i in range(6):
        pair = at_once(*(patch(client, f"g{i}", f"key-{i}") for client in (api, other)))
        assert sorted(answer.json()["status"] for answer in pair) == ["applied", "duplicate"]
        assert {answer.json()["revision"] for answer in pair} == {2}

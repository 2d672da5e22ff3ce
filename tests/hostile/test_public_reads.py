"""What a public namespace tells without a key: what its boards show, and nothing more."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import Names, Stack
from tests.support.live_socket import key


class Open(NamedTuple):
    """A public namespace with ann, who is shown, bob, who is hidden, and cid, who has a grant in quarantine."""

    url: str
    hidden: str
    client: httpx.Client


@pytest.fixture(scope="module")
def space(live_server: Stack) -> str:
    name = Names().fresh() + "-open"
    rules = {
        "visibility": "public",
        "streaks": True,
        "velocity": [{"per": "PT1H", "max_amount": 100}],
        "suspicious": "quarantine",
    }
    with live_server.client() as api:
        assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
        grants = [
            {
                "grant_id": user,
                "user_id": f"{name}-{user}",
                "amount": amount,
                "source": "race",
                "meta": {"secret": user},
            }
            for user, amount in (("ann", 5), ("bob", 7), ("cid", 999))
        ]
        body = api.post(f"/v1/namespaces/{name}/grants", json=grants).json()
        assert [result["status"] for result in body["results"]] == ["applied", "applied", "quarantined"]
        void = api.delete(f"/v1/namespaces/{name}/grants/ann", params={"reason": "a secret reason"})
        assert void.status_code == 200
        assert api.post(f"/v1/namespaces/{name}/grants/ann/restore").status_code == 200
        assert api.post(f"/v1/users/{name}-bob/hide").status_code == 200
    live_server.wait_flushed()
    return name


def reader(live_server: Stack, space: str, token: str | None) -> Iterator[Open]:
    with live_server.client(token) as client:
        yield Open(f"/v1/namespaces/{space}", f"{space}-bob", client)


@pytest.fixture(params=["nobody", "narrow"])
def stranger(live_server: Stack, space: str, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Without a key, or with one for other namespaces."""
    yield from reader(live_server, space, None if request.param == "nobody" else key(live_server, "admin:elsewhere-*"))


@pytest.fixture
def insider(live_server: Stack, space: str) -> Iterator[Open]:
    """With a key that reads this namespace."""
    yield from reader(live_server, space, key(live_server, f"read:{space}"))


@pytest.mark.parametrize(
    "path", ["/users/{}-ann/grants", "/users/{}-ann/explain", "/grants/ann", "/grants/cid", "/events"]
)
def test_grants_take_a_key_that_reads(stranger: Open, insider: Open, space: str, path: str) -> None:
    answer = stranger.client.get(stranger.url + path.format(space))
    assert answer.status_code in (401, 403)
    assert "secret" not in answer.text
    assert answer.text == stranger.client.get(stranger.url + path.format("nobody").replace("/ann", "/none")).text
    assert insider.client.get(insider.url + path.format(space)).status_code == 200


def test_a_key_with_read_gets_all_of_a_grant(insider: Open) -> None:
    body = insider.client.get(f"{insider.url}/grants/ann").json()
    assert body["meta"] == {"secret": "ann"}
    assert [one["reason"] for one in body["revisions"]] == [None, "a secret reason", None]
    assert insider.client.get(f"{insider.url}/grants/cid").json()["quarantined"] is True


@pytest.mark.parametrize("path", ["/users/{}", "/users/{}/activity"])
def test_who_is_hidden_is_as_unknown_as_who_is_not_there(stranger: Open, insider: Open, path: str) -> None:
    answer = stranger.client.get(stranger.url + path.format(stranger.hidden))
    unknown = stranger.client.get(stranger.url + path.format("nobody"))
    assert (answer.status_code, answer.text.replace(stranger.hidden, "nobody")) == (404, unknown.text)
    assert insider.client.get(insider.url + path.format(insider.hidden)).status_code == 200


def test_a_shown_user_is_answered_as_the_board_shows_them(stranger: Open, space: str) -> None:
    answer = stranger.client.get(f"{stranger.url}/users/{space}-ann")
    assert (answer.status_code, answer.json()["score"], answer.json()["ranks"]["all"]["rank"]) == (200, 5, 1)
    assert "secret" not in answer.text


@pytest.mark.parametrize(("path", "part"), [("/totals", "totals"), ("/activity", "users")])
def test_among_many_the_hidden_are_missing(stranger: Open, insider: Open, path: str, part: str, space: str) -> None:
    users = [f"{space}-{name}" for name in ("bob", "nobody", "ann")]
    body: dict[str, Any] = stranger.client.post(stranger.url + path, json={"users": users}).json()
    assert [one["user_id"] for one in body[part]] == users[2:]
    assert body["missing"] == users[:2]
    body = insider.client.post(insider.url + path, json={"users": users}).json()
    assert [one["user_id"] for one in body[part]] == [users[0], users[2]]


def test_a_hidden_users_namespaces_are_not_shown(stranger: Open, insider: Open, space: str) -> None:
    path = f"/v1/users/{stranger.hidden}/standings"
    assert stranger.client.get(path).json()["code"] == "user_not_found"
    (standing,) = insider.client.get(path).json()["standings"]
    assert (standing["namespace"], standing["score"], standing["ranks"]["all"]) == (space, 7, None)


def test_a_shared_cache_stores_no_answer_to_a_key(stranger: Open, insider: Open, space: str) -> None:
    path = f"/users/{space}-ann"
    assert stranger.client.get(stranger.url + path).headers["cache-control"].startswith("public")
    assert insider.client.get(insider.url + path).headers["cache-control"].startswith("private")

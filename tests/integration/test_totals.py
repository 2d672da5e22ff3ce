"""The totals of many users over HTTP."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from app.model.namespace import Namespace
from app.read.totals import FIELDS_A_CALL_MAX, totals_of
from app.store import keys
from app.store.boards import READ_USER_TOTALS
from app.store.namespace_cache import parse_published


def post(api: httpx.Client, space: str, user: str, amount: float, **fields: Any) -> None:
    body = {"grant_id": f"{user}-{amount}", "user_id": user, "amount": amount} | fields
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def totals(api: httpx.Client, space: str, users: Any) -> httpx.Response:
    return api.post(f"/v1/namespaces/{space}/totals", json={"users": users})


def test_each_users_totals_are_those_of_their_standing(api: httpx.Client, space: str) -> None:
    post(api, space, "otter", 5, category="red", source="race")
    post(api, space, "otter", 7, category="blue", source="race")
    post(api, space, "Füße/hare", 1, granted_at="2024-02-29T10:00:00Z")
    body = totals(api, space, ["nobody", "Füße/hare", "otter", "otter", "nobody"]).json()
    assert body["namespace"] == space
    assert body["missing"] == ["nobody"]
    assert [one["user_id"] for one in body["totals"]] == ["Füße/hare", "otter"]
    assert body["totals"][0]["last_granted_at"] == "2024-02-29T10:00:00Z"
    for total in body["totals"]:
        standing = api.get(f"/v1/namespaces/{space}/users/{total['user_id'].replace('/', '%2F')}").json()
        assert total == {name: standing[name] for name in total}
        assert set(total) >= {"user_id", "score", "grants", "categories", "sources", "last_granted_at"}
    assert (body["totals"][1]["score"], body["totals"][1]["categories"]) == (12, {"blue": 7, "red": 5})


def test_five_hundred_of_the_longest_ids_at_once(api: httpx.Client, space: str) -> None:
    users = [f"{i:03}".ljust(126, "x") + "é" for i in range(500)]
    grants = [{"grant_id": user[:3], "user_id": user, "amount": i} for i, user in enumerate(users)]
    assert api.post(f"/v1/namespaces/{space}/grants", json=grants).json()["applied"] == 500
    body = totals(api, space, users).json()
    assert [total["score"] for total in body["totals"]] == list(range(500))
    assert body["missing"] == []


def test_messagepack(api: httpx.Client, space: str) -> None:
    post(api, space, "otter", 5)
    head = {"content-type": "application/msgpack", "accept": "application/msgpack"}
    body = msgspec.msgpack.encode({"users": ["otter"]})
    text = msgspec.msgpack.decode(api.post(f"/v1/namespaces/{space}/totals", content=body, headers=head).content)
    assert text["totals"][0]["score"] == 5


class Counting:
    """Redis as a gatherer is asked, each call at once; what each reply told."""

    def __init__(self, direct: Any) -> None:
        self._direct = direct
        self.sizes: list[int] = []
        direct.script_load(READ_USER_TOTALS.source)

    async def call(self, call: Any, weight: int = 1) -> Any:
        reply = self._direct.execute_command(*call)
        self.sizes.append(sum(len(flat) // 2 for flat in reply))
        return reply


def test_users_with_many_balances_come_in_several_calls(api: httpx.Client, space: str, direct: Any) -> None:
    """Each reads a bounded number of them, however many users are asked for; what is not shown is not told."""
    namespace = plant(direct, space, users=30, labels=500)
    post(api, space, "otter", 5)
    users = [*(f"rich-{i}" for i in range(30)), "otter", "nobody"]
    counting = Counting(direct)
    reply = asyncio.run(totals_of(counting, namespace, users, without_hidden=False))  # type: ignore[arg-type]
    assert [total["user_id"] for total in reply["totals"]] == users[:-1]
    assert reply["missing"] == ["nobody"]
    assert all(len(total["categories"]) == 500 for total in reply["totals"][:-1])
    assert reply["totals"][-1]["score"] == 5
    assert max(counting.sizes) <= FIELDS_A_CALL_MAX
    assert len(counting.sizes) == 5  # seven users of 504 balances a call
    assert totals(api, space, users).json() == reply | {"totals": [*map(balances_in, reply["totals"])]}


def balances_in(body: dict[str, Any]) -> dict[str, Any]:
    at = body["last_granted_at"]
    return body | {"last_granted_at": at.isoformat().replace("+00:00", "Z")}


def test_more_balances_than_an_answer_tells_are_refused(api: httpx.Client, space: str, direct: Any) -> None:
    plant(direct, space, users=60, labels=1_800)
    reply = totals(api, space, [f"rich-{i}" for i in range(60)])
    assert (reply.status_code, reply.json()["code"], reply.json()["field"]) == (413, "too_large", "$.users")
    assert totals(api, space, [f"rich-{i}" for i in range(50)]).status_code == 200


def plant(direct: Any, space: str, users: int, labels: int) -> Namespace:
    namespace = parse_published(direct.hget(keys.DIRECTORY, space))
    assert namespace is not None
    prefix = keys.balances(namespace.partition, namespace.id)
    balances = {"total": 1, "count": 1, "last": 1, "seq": 1, "h:all": 7} | {f"c:{i}": i for i in range(labels)}
    with direct.pipeline(transaction=False) as pipe:
        for i in range(users):
            pipe.hset(f"{prefix}rich-{i}", mapping=balances)
        pipe.execute()
    return namespace


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"users": ["a", ""]}, "$.users[1]"),
        ({"users": ["a", "b", "\x00"]}, "$.users[2]"),
        ({"users": ["x" * 129]}, "$.users[0]"),
        ({"users": ["u"] * 501}, "$.users"),
        ({"users": "a"}, "$.users"),
        ({"users": [7]}, "$.users[0]"),
        ({}, "$.users"),
        ({"users": ["a"], "more": 1}, "$.more"),
    ],
)
def test_what_is_not_a_list_of_users_is_refused(api: httpx.Client, space: str, body: Any, field: str) -> None:
    answer = api.post(f"/v1/namespaces/{space}/totals", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_who_may_read_the_board_may_ask(live_server: Any, api: httpx.Client, space: str) -> None:
    post(api, space, "otter", 5)
    with live_server.client(None) as anonymous:
        assert totals(anonymous, space, ["otter"]).status_code == 401
        api.put(f"/v1/namespaces/{space}", json={"accept_past": None, "visibility": "public"})
        assert totals(anonymous, space, ["otter"]).json()["totals"][0]["score"] == 5
        assert totals(anonymous, "nowhere", ["otter"]).json()["code"] == "unauthorized"
        assert anonymous.get(f"/v1/namespaces/{space}/totals").status_code == 405
    assert totals(api, "nowhere", ["otter"]).json()["code"] == "namespace_not_found"

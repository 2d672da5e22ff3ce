"""Webhooks, from a grant to a receiver on this machine."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Names, Stack, running_stack
from tests.support.receiver import Receiver, status
from tests.support.waits import until

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"LEADERBOARD_WEBHOOK_KEY": KEY, "LEADERBOARD_WEBHOOK_LOOPBACK": "on"}
    with running_stack(tmp_path_factory.mktemp("hooks"), tmp_path_factory, settings) as stack:
        yield stack


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


class Hook:
    """A fresh namespace, and a webhook that is told of it."""

    def __init__(self, api: httpx.Client, name: str, url: str, **settings: Any) -> None:
        self.api = api
        self.name = name
        self.path = f"/v1/webhooks/{name}"
        self.settings = {"url": url, "namespaces": name, "types": ["granted"]} | settings
        assert api.put(f"/v1/namespaces/{name}", json={"accept_past": None}).status_code == 201
        answer = self.put()
        assert answer.status_code == 201, answer.text
        self.secret: str = answer.json()["secret"]

    def put(self, **settings: Any) -> httpx.Response:
        return self.api.put(self.path, json=self.settings | settings)

    def grant(self, grant_id: str, user: str = "ann", **fields: Any) -> None:
        body = {"grant_id": grant_id, "user_id": user, "amount": 5} | fields
        answer = self.api.post(f"/v1/namespaces/{self.name}/grants", json=body)
        assert answer.status_code == 201, answer.text

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.api.get(f"{self.path}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["deliveries"])


def arrive(receiver: Receiver, count: int) -> None:
    until(lambda: len(receiver.deliveries) >= count, f"{count} messages", seconds=20)


def test_a_grant_comes_signed_as_the_library_expects_it(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1", category="red", meta={"round": 10})
    arrive(receiver, 1)
    message = receiver.deliveries[0].verify(hook.secret)
    assert message["type"] == "granted"
    expected = {"namespace": hook.name, "user_id": "ann", "grant_id": "g1", "amount": 5, "category": "red", "score": 5}
    assert message["data"] | expected == message["data"]
    assert {"meta", "reason", "actor"}.isdisjoint(message["data"]), "only if asked for"
    assert receiver.deliveries[0].message_id.startswith("msg_")


def test_a_receiver_that_fails_gets_the_same_message_again(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    hook = Hook(api, names.fresh(), receiver.url)
    receiver.behave = status(500)
    hook.grant("g1")
    hook.grant("g2")
    arrive(receiver, 2)
    receiver.behave = status(204)
    until(lambda: receiver.grant_ids()[-1] == "g2", "the next one", seconds=20)
    assert receiver.grant_ids() == ["g1"] * (len(receiver.deliveries) - 1) + ["g2"]
    assert len({delivery.message_id for delivery in receiver.deliveries}) == 2
    until(lambda: [one["state"] for one in hook.deliveries()] == ["delivered"] * 2, "both are noted")
    second, first = hook.deliveries()
    assert (first["attempts"], first["status"], second["attempts"]) == (len(receiver.deliveries) - 1, 204, 1)

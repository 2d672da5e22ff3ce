"""Webhooks, from a grant to a receiver on this machine."""

import httpx

from tests.conftest import Names
from tests.support.receiver import Receiver, status
from tests.support.waits import until
from tests.support.webhooks import Hook, arrive


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

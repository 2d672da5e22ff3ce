"""Webhooks whose receivers fail in every way, and a persister that is killed between a message and its offset."""

import os
import signal
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.store import fields, keys
from tests.conftest import Names, Stack, running_stack
from tests.support.launcher import launcher
from tests.support.receiver import Receiver, endless, hang_up, slow, status
from tests.support.waits import until
from tests.support.webhooks import SETTINGS, Hook, arrive


def test_a_redirect_is_not_followed(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    with Receiver() as elsewhere:
        receiver.behave = status(307, location=elsewhere.url)
        hook = Hook(api, names.fresh(), receiver.url)
        hook.grant("g1")
        arrive(receiver, 2)
        assert elsewhere.deliveries == []
    (delivery,) = hook.deliveries()
    assert (delivery["state"], delivery["status"]) == ("failing", 307)
    assert "redirects" in delivery["error"]


@pytest.mark.parametrize("code", [200, 500])
def test_an_endless_answer_is_cut(api: httpx.Client, receiver: Receiver, names: Names, code: int) -> None:
    receiver.behave = endless(code)
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1")
    arrive(receiver, 1)
    state = "delivered" if code == 200 else "failing"
    until(lambda: [one["state"] for one in hook.deliveries()] == [state], "it is noted", seconds=5)


def test_a_receiver_that_hangs_up_or_is_not_there_is_tried_again(api: httpx.Client, names: Names) -> None:
    with Receiver() as first:
        first.behave = hang_up
        hook = Hook(api, names.fresh(), first.url)
        hook.grant("g1")
        arrive(first, 2)
    until(lambda: "connected" in hook.deliveries()[0]["error"], "nobody listens", seconds=20)
    with Receiver(first.port) as second:
        arrive(second, 1)
        assert second.grant_ids() == ["g1"]


def test_what_is_no_http_is_a_failure(api: httpx.Client, names: Names) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"\x00SSH-2.0\r\n" * 10)

        thread = threading.Thread(target=babble)
        thread.start()
        hook = Hook(api, names.fresh(), f"http://127.0.0.1:{server.getsockname()[1]}/")
        hook.grant("g1")
        thread.join()
        until(lambda: any(one["error"] for one in hook.deliveries()), "it is noted", seconds=10)
        assert "not HTTP" in hook.deliveries()[0]["error"]


@pytest.mark.long
def test_a_slow_receiver_does_not_slow_the_others(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    with Receiver() as slow_one:
        slow_one.behave = slow(30)
        hindered = Hook(api, names.fresh(), slow_one.url)
        hindered.grant("g1")
        arrive(slow_one, 1)
        hook = Hook(api, names.fresh(), receiver.url)
        for i in range(10):
            hook.grant(f"g{i}")
        arrive(receiver, 10)
        assert len(slow_one.deliveries) == 1, "one in flight"
        until(lambda: hindered.deliveries(), "it has its deadline", seconds=20)
        assert hindered.deliveries()[0]["error"] == "no answer in 10 s"


def test_410_stops_it_until_it_is_put_again(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    receiver.behave = status(410)
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1")
    until(lambda: hook.get()["state"] == "stopped", "it stops", seconds=10)
    assert "410" in hook.get()["stop_reason"]
    receiver.behave = status(204)
    assert hook.put().status_code == 200
    until(lambda: hook.get()["state"] == "active" and len(receiver.deliveries) == 2, "it goes on", seconds=10)


def test_a_message_is_given_up_after_three_days_and_may_be_sent_once_more(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    receiver.behave = status(400)
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1")
    arrive(receiver, 1)
    until(lambda: hook.deliveries(), "it is noted")
    hook.grant("g2")
    stack.sql(
        "UPDATE webhook_retries SET first_attempt_at = now() - interval '3 days' FROM webhooks w "
        "WHERE w.number = webhook AND w.id = %s",
        hook.name,
    )
    until(lambda: len(hook.deliveries(state="dead")) == 1, "it is given up", seconds=20)
    receiver.behave = status(204)
    until(lambda: receiver.grant_ids()[-1] == "g2", "it goes on", seconds=20)
    (dead,) = hook.deliveries(state="dead")
    before = len(receiver.grant_ids())
    answer = api.post(f"{hook.path}/resend", json={"state": "dead"})
    assert (answer.status_code, answer.json()) == (202, {"message_ids": [dead["message_id"]]})
    # g2 may have met the receiver while that still refused all: then it comes once more, too.
    until(lambda: "g1" in receiver.grant_ids()[before:], "it is sent once more", seconds=20)
    assert dead["message_id"] in {delivery.message_id for delivery in receiver.deliveries[before:]}
    until(lambda: hook.deliveries(state="dead") == [], "it is noted")


def test_a_clock_that_was_set_back_delays_no_message(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    receiver.behave = status(500)
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1")
    arrive(receiver, 1)
    until(lambda: hook.deliveries(), "it is noted")
    receiver.behave = status(204)
    stack.sql(
        "UPDATE webhook_retries SET next_attempt_at = now() + interval '1 year' FROM webhooks w "
        "WHERE w.number = webhook AND w.id = %s",
        hook.name,
    )
    # Whoever delivers reads it anew: behind a change of the webhook as behind a start.
    hook.put()
    until(lambda: hook.deliveries(state="delivered"), "it is sent again", seconds=20)


def test_a_killed_persister_tells_everything_in_order(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    """It dies once with a message sent and not noted: that one comes twice, under one id."""
    hook = Hook(api, names.fresh(), receiver.url)
    released = threading.Event()

    def wait_for_kill(handler: object) -> None:
        released.wait(20)
        status(204)(handler)  # type: ignore[arg-type]

    receiver.behave = wait_for_kill
    for i in range(30):
        hook.grant(f"g{i}")
    arrive(receiver, 1)
    stack.kill("persist")
    released.set()
    receiver.behave = status(204)
    stack.start("persist")
    until(lambda: receiver.grant_ids()[-1] == "g29", "the last one", seconds=30)
    ids = receiver.grant_ids()
    assert ids == ["g0", *(f"g{i}" for i in range(30))]
    assert receiver.deliveries[0].message_id == receiver.deliveries[1].message_id


@pytest.mark.full
def test_another_persister_goes_on_for_one_that_hangs(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1")
    arrive(receiver, 1)
    hung = stack.pid("persist")
    os.kill(hung, signal.SIGSTOP)
    with (stack.folder / "persist-2.log").open("ab") as log:
        other = launcher().start(["persist"], stack.environment, log)
    try:
        hook.grant("g2")
        until(lambda: receiver.grant_ids()[-1] == "g2", "the other one delivers", seconds=60)
    finally:
        os.kill(hung, signal.SIGCONT)
        other.kill()
        other.wait()
    hook.grant("g3")
    until(lambda: receiver.grant_ids()[-1] == "g3", "the first one delivers again", seconds=60)
    assert list(dict.fromkeys(receiver.grant_ids())) == ["g1", "g2", "g3"]


def test_a_message_that_cannot_be_made_stops_its_own_webhook_alone(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    broken, sound = Hook(api, names.fresh(), receiver.url), Hook(api, names.fresh(), receiver.url)
    receiver.behave = status(500)
    broken.grant("g1")
    arrive(receiver, 1)
    update = "UPDATE namespaces SET rules = rules || jsonb_build_object('aggregation', %s::text) WHERE name = %s"
    stack.sql(update, "no such", broken.name)
    receiver.behave = status(204)
    sound.grant("g2")
    until(lambda: sound.deliveries(state="delivered"), "the other one goes on", seconds=10)
    until(lambda: "cannot be made" in (broken.deliveries()[0]["error"] or ""), "it is noted", seconds=20)
    stack.sql(update, "sum", broken.name)
    until(lambda: broken.deliveries(state="delivered"), "it goes on once it can be made", seconds=30)


def test_what_waits_for_a_receiver_that_is_away_comes_in_order(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    """More than is looked at, or waits in memory, at a time; in some partitions."""
    receiver.behave = status(500)
    prefix = names.fresh()
    hook = Hook(api, prefix, receiver.url, namespaces=f"{prefix}*")
    spaces = [f"{prefix}-{i}" for i in range(3)]
    for space in spaces:
        assert api.put(f"/v1/namespaces/{space}", json={"accept_past": None}).status_code == 201
        body = [{"grant_id": f"g{i}", "user_id": f"u{i % 7}", "amount": 1} for i in range(150)]
        assert api.post(f"/v1/namespaces/{space}/grants", json=body).json()["applied"] == 150
    arrive(receiver, 1)
    receiver.behave = status(204)
    until(lambda: len({one.message_id for one in receiver.deliveries}) == 450, "all of them", seconds=40)
    for space in spaces:
        ids = [one["data"]["grant_id"] for one in receiver.messages if one["data"]["namespace"] == space]
        assert list(dict.fromkeys(ids)) == [f"g{i}" for i in range(150)]
    until(lambda: len(hook.deliveries(limit=1000)) == 450, "all are noted")


def test_nothing_goes_out_while_postgres_is_older_than_redis(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, names: Names
) -> None:
    """Its keys, and who is hidden, are those of an earlier day."""
    with running_stack(tmp_path, tmp_path_factory, SETTINGS) as stack, stack.client() as api, stack.store() as direct:
        hook = Hook(api, names.fresh(), receiver.url)
        receiver.behave = status(500)
        hook.grant("g1")
        arrive(receiver, 1)
        note = direct.hget(keys.DEPLOYMENT, fields.STATE_RECORDED)
        direct.hset(keys.DEPLOYMENT, fields.STATE_RECORDED, "1000000 1-later")
        receiver.behave = status(204)
        planted_s = time.monotonic()
        # The next attempts would follow within 1 and 2 s.
        until(lambda: time.monotonic() > planted_s + 4, "some attempts later")
        late = [one for one in receiver.deliveries if one.at > planted_s + 1]
        assert late == []
        if note is None:
            direct.hdel(keys.DEPLOYMENT, fields.STATE_RECORDED)
        else:
            direct.hset(keys.DEPLOYMENT, fields.STATE_RECORDED, note)
        until(lambda: receiver.deliveries[-1].at > planted_s + 4, "it goes on", seconds=20)
        assert receiver.grant_ids()[-1] == "g1"

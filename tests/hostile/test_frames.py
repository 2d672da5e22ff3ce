"""WebSockets that send frames of which no application hears, or never read."""

import json
import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.hostile.conftest import Short
from tests.support.raw_clients import Raw, close_code, frame, resident_bytes, say, server_sockets, upgrade
from tests.support.short_limits import LIVE_LIMITS
from tests.support.waits import until

MB = 1024 * 1024
CONTINUATION, TEXT, PING, PONG = 0, 1, 9, 10


def public(api: httpx.Client, space: str) -> None:
    api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).raise_for_status()


def watch(raw: Raw, space: str, number: int = 1, **view: Any) -> None:
    say(raw, type="subscribe", id=number, namespace=space, view={"kind": "top", "limit": 100} | view)
    raw.hear(b'"snapshot"')


@pytest.mark.parametrize(
    "flood",
    [
        frame(PONG),
        frame(PONG, bytes(125)),
        frame(PING),
        frame(CONTINUATION, fin=False),
        frame(TEXT, b'{"type":"ping"}'),
    ],
    ids=["pongs", "long pongs", "pings", "empty fragments", "messages"],
)
@pytest.mark.parametrize("reads", [True, False])
def test_a_flood_of_frames_ends_its_connection(
    live_server: Any, api: httpx.Client, space: str, flood: bytes, reads: bool
) -> None:
    pid = live_server.pid("serve")
    with Raw(live_server.port, None if reads else 4_096) as raw:
        upgrade(raw)
        begin = frame(TEXT, b"{", fin=False) if flood == frame(CONTINUATION, fin=False) else b""
        before, piece = resident_bytes(pid), begin + flood * (65_536 // len(flood))
        sent = 0
        while sent < 32 * MB and raw.send(piece):
            sent += len(piece)
        body = {"grant_id": "g", "user_id": "otter", "amount": 1}
        assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
        if reads:
            assert close_code(raw.end()) in (4129, 4400, None)
        peer = {raw.socket.getsockname()[1]}
        until(lambda: not server_sockets(live_server.port, peer), "the socket stays", 10)
    assert resident_bytes(pid) - before < 16 * MB


def test_too_many_frames_close_the_connection(short: Short) -> None:
    with short.raw() as raw:
        upgrade(raw)
        raw.send(frame(PONG) * 150)
        assert close_code(raw.end()) == 4129


GOODBYE = frame(8, b"\x03\xe8")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"{"), 1007),
        (frame(TEXT, b"\xff") + GOODBYE, 1000),
        (frame(PONG) * 110 + GOODBYE, 1000),
        (frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b" ", fin=False) * 80 + GOODBYE, 1002),
        (frame(3) + GOODBYE, 1002),
    ],
    ids=["no text", "no text in fragments", "no text, goodbye", "a flood, goodbye", "fragments, goodbye", "reserved"],
)
def test_what_stands_beside_a_goodbye_is_no_surprise(short: Short, data: bytes, code: int) -> None:
    errors = short.log.read_text().count("Traceback")
    with short.raw() as raw:
        upgrade(raw)
        raw.send(data)
        assert close_code(raw.end()) == code
    assert short.log.read_text().count("Traceback") == errors


def test_who_breaks_a_rule_and_goes_on_gets_the_code(short: Short) -> None:
    with short.raw() as raw:
        upgrade(raw)
        raw.send(frame(3))
        time.sleep(0.2)
        raw.send(frame(TEXT, b"more"))
        assert close_code(raw.end()) == 1002


def test_a_client_that_comes_back_may_send_all_of_its_subscriptions_at_once(short: Short) -> None:
    with short.client() as api, short.raw() as raw:
        public(api, "burst")
        upgrade(raw)
        view = {"kind": "users", "users": [f"{i:02}" * 64 for i in range(50)]}
        raw.send(frame(TEXT, json.dumps({"type": "auth", "token": short.key}).encode()))
        for number in range(50):
            say(raw, type="subscribe", id=number, namespace="burst", view=view)
        for _ in range(50):
            assert b'"snapshot"' in raw.hear(b'"snapshot"')


def test_a_message_of_many_fragments_is_refused(short: Short) -> None:
    with short.raw() as raw:
        upgrade(raw)
        raw.send(frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b" ", fin=False) * 80)
        assert close_code(raw.end()) == 4400


def test_a_head_that_websockets_cannot_read_is_refused(short: Short) -> None:
    with short.raw() as raw:
        long = "GET /v1/live?" + "a" * 9_000 + " HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
        raw.send(long.encode() + b"connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n")
        assert b"HTTP/1.1 400 " in raw.end()


def test_a_socket_that_never_says_who_it_is_or_what_it_watches_is_closed(short: Short) -> None:
    with short.raw() as silent, short.raw() as chatty:
        upgrade(silent)
        upgrade(chatty)
        say(chatty, type="ping")
        assert close_code(silent.end()) == 4102
        while chatty.is_open() and b"\x88" not in chatty.heard:
            say(chatty, type="ping")
            time.sleep(0.05)
        assert close_code(chatty.end()) == 4102


def test_who_watches_may_be_silent(short: Short) -> None:
    with short.client() as api, short.raw() as raw:
        public(api, "silent")
        upgrade(raw)
        watch(raw, "silent")
        assert raw.is_open(LIVE_LIMITS.begin_s_max + 1)


def test_sockets_of_an_address_and_of_a_key_are_bounded(short: Short) -> None:
    with ExitStack() as resources, short.client() as api:
        public(api, "crowd")
        raws = [resources.enter_context(short.raw()) for _ in range(LIVE_LIMITS.address_sockets_max + 1)]
        for raw in raws:
            upgrade(raw)
        for raw in raws[:-1]:
            watch(raw, "crowd")
        assert close_code(raws[-1].end()) == 4013
        peer = raws[0].socket.getsockname()[1]
        raws[0].close()
        until(lambda: not server_sockets(short.port, {peer}), "a closed socket stays", 10)
        keyed = []
        for _ in range(LIVE_LIMITS.key_sockets_max + 1):
            raw = resources.enter_context(short.raw())
            upgrade(raw)
            say(raw, type="auth", token=short.key)
            keyed.append(raw)
            if len(keyed) <= LIVE_LIMITS.key_sockets_max:
                assert b'"ready"' in raw.hear(b'"ready"}')
        assert close_code(keyed[-1].end()) == 4013
        assert keyed[0].is_open()


def test_who_takes_neither_frames_nor_the_goodbye_is_dropped(short: Short) -> None:
    with short.client() as api, ExitStack() as resources:
        public(api, "deaf")
        batch = [{"grant_id": f"g{i}", "user_id": f"{i:0128}", "amount": 1} for i in range(100)]
        api.post("/v1/namespaces/deaf/grants", json=batch).raise_for_status()
        raws = [resources.enter_context(short.raw(4_096)) for _ in range(4)]
        for raw in raws:
            upgrade(raw)
            for number in range(40):
                say(raw, type="subscribe", id=number, namespace="deaf", view={"kind": "top", "limit": 60 + number})
        peers = {raw.socket.getsockname()[1] for raw in raws}

        def are_gone() -> bool:
            sockets = server_sockets(short.port, peers)
            most = max((unread for _, unread in sockets.values()), default=0)
            assert most < 512 * 1024, "the kernel holds little for who does not read"
            return not sockets

        until(are_gone, "the sockets stay", 10)

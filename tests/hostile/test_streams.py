"""Event streams whose clients do not read, go without a word, or send what does not belong there."""

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from uuid import uuid4

import httpx
import pytest

from app.http.protocol import HEADERS_BYTES_MAX
from tests.hostile.conftest import Short
from tests.support.event_streams import applied, events
from tests.support.live_socket import public
from tests.support.raw_clients import Raw, head, server_sockets
from tests.support.short_limits import LIMITS, LIVE_LIMITS
from tests.support.waits import until

#: Seconds between two looks of the sweep, and as much for a busy machine.
SLACK_S = 1.5


@pytest.fixture
def api(short: Short) -> Iterator[httpx.Client]:
    """An admin's client; behind the test no live connection is left."""
    with short.client() as api:
        yield api
        until(lambda: streams(api) == 0, "a live connection stays", 10)


@pytest.fixture
def path(api: httpx.Client) -> str:
    """The stream of a public board whose frames are large: 100 users with long names."""
    space = uuid4().hex[:12]
    public(api, space)
    give(api, space, 1)
    return f"/v1/namespaces/{space}/boards/all/events?limit=100"


def give(api: httpx.Client, space: str, amount: int) -> None:
    """100 users get some more."""
    batch = [{"grant_id": uuid4().hex, "user_id": f"{i:0128}", "amount": amount + i} for i in range(100)]
    assert api.post(f"/v1/namespaces/{space}/grants", json=batch).json()["applied"] == 100


def space_of(path: str) -> str:
    return path.split("/")[3]


def streams(api: httpx.Client) -> int:
    """The live connections of the server."""
    match = re.search(r"^leaderboard_live_connections (\d+)", api.get("/metrics").text, re.MULTILINE)
    assert match
    return int(match[1])


def opened(short: Short, path: str, *, receive_bytes: int | None = None, key: str | None = None) -> Raw:
    """A stream that was asked for, and is not read."""
    raw = short.raw(receive_bytes)
    raw.send(head(path) if key is None else head(path, authorization=f"Bearer {key}"))
    return raw


def begun(short: Short, path: str, key: str | None = None) -> Raw:
    """A stream that has its first event."""
    raw = opened(short, path, key=key)
    assert b'"snapshot"' in raw.hear(b'"snapshot"')
    return raw


def test_who_does_not_read_is_dropped_in_time_and_holds_up_nobody(short: Short, api: httpx.Client, path: str) -> None:
    with ExitStack() as resources:
        deaf = [resources.enter_context(opened(short, path, receive_bytes=4_096)) for _ in range(4)]
        well = resources.enter_context(events(short.port, path.removeprefix("/v1/namespaces/")))
        state = applied({}, well.next().body)
        peers, late_s, waits = {raw.socket.getsockname()[1] for raw in deaf}, 0.0, list[float]()
        for amount in range(1, 200):
            began = time.monotonic()
            give(api, space_of(path), amount)
            event = well.next()
            waits.append(time.monotonic() - began)
            state = applied(state, event.body)
            unread = [size for _, size in server_sockets(short.port, peers).values()]
            if not unread:
                break
            assert max(unread) < 128 * 1024, "the kernel holds little for who does not read"
            late_s = late_s or began * (max(unread) > 32 * 1024)
        assert not unread, "they are dropped"
        assert time.monotonic() - late_s < LIVE_LIMITS.send_s_max + SLACK_S
        assert max(waits) < LIVE_LIMITS.send_s_max / 2, "the others are not held up"
        assert len(state) == 100


def test_who_is_slow_skips_states_and_ends_at_the_newest(short: Short, api: httpx.Client, path: str) -> None:
    with closing(opened(short, path, receive_bytes=4_096)) as slow:
        for amount in range(1, 12):
            give(api, space_of(path), amount)
            slow.heard += slow.socket.recv(20_000)
        version = api.get(path.replace("/events", "")).json()["version"]
        slow.hear(b'"version":%d,' % version)
        slow.hear(b"\n\n")
        give(api, space_of(path), 1)
        assert b'"from":%d,' % version in slow.hear(b"\n\n")


@pytest.mark.parametrize("how", ["reset", "closed", "half closed"])
def test_who_goes_leaves_its_place_to_others(short: Short, api: httpx.Client, path: str, how: str) -> None:
    """All of an address's streams, twice. A client that has closed its half alone is gone, too: no HTTP client does so
    while it waits for an answer, and a proxy that does has lost its own client."""
    with ExitStack() as resources:
        for _ in range(2):
            raws = [resources.enter_context(begun(short, path)) for _ in range(LIVE_LIMITS.address_sockets_max)]
            assert streams(api) == len(raws)
            for raw in raws:
                if how == "half closed":
                    raw.socket.shutdown(socket.SHUT_WR)
                    raw.end()
                    continue
                if how == "reset":
                    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raw.close()
            give(api, space_of(path), 1)
            until(lambda: streams(api) == 0, "who is gone keeps a place", 10)


def test_a_request_that_was_sent_ahead_is_answered_and_the_stream_is_not_begun(
    short: Short, api: httpx.Client, path: str
) -> None:
    with short.raw() as raw:
        raw.send(head(path) + head("/healthz"))
        status, body = raw.answer()
        assert (status, b"its answer has no end" in body) == (400, True)
        assert raw.answer()[0] == 200
    assert streams(api) == 0


@pytest.mark.parametrize("sent_ahead", [True, False])
def test_a_stream_may_follow_other_answers(short: Short, api: httpx.Client, path: str, sent_ahead: bool) -> None:
    with short.raw() as raw:
        raw.send(head("/healthz") + (head(path) if sent_ahead else b""))
        assert raw.answer()[0] == 200
        if not sent_ahead:
            raw.send(head(path))
        assert b'"snapshot"' in raw.hear(b'"snapshot"')
        give(api, space_of(path), 1)
        assert b"event: delta" in raw.hear(b"event: delta")


@pytest.mark.parametrize("more", [head("/healthz"), b"x", b"\r\n"], ids=["request", "byte", "line"])
def test_a_stream_whose_client_sends_more_is_dropped(short: Short, api: httpx.Client, path: str, more: bytes) -> None:
    with closing(begun(short, path)) as raw, closing(begun(short, path)) as other:
        raw.send(more)
        raw.end()
        give(api, space_of(path), 1)
        assert b"event: delta" in other.hear(b"event: delta")


def test_a_body_that_follows_the_head_begins_no_stream(short: Short, path: str) -> None:
    with short.raw() as raw:
        raw.send(head(path, content_length="5"))
        assert raw.answer()[0] == 400


def test_a_head_that_is_too_large_is_refused_without_a_look_at_its_origin(short: Short, path: str) -> None:
    """A page learns nothing of it: whose page it is stands in a head that was never read to its end."""
    for fields in ({"origin": "http://a.example"}, {"origin": "http://a.example", "x_long": "a" * HEADERS_BYTES_MAX}):
        with short.raw() as raw:
            raw.send(head(path, **fields))
            reply = raw.hear(b"\r\n\r\n")
            assert (b"access-control-allow-origin: *" in reply) == (b" 200 " in reply) == ("x_long" not in fields)


def test_head_has_no_body_and_takes_no_place(short: Short, api: httpx.Client, path: str) -> None:
    for _ in range(LIVE_LIMITS.address_sockets_max + 1):
        with short.raw() as raw:
            raw.send(head(path, "HEAD"))
            fields, _, body = raw.end().partition(b"\r\n\r\n")
            assert (fields.split(b" ")[1], body) == (b"200", b"")
            assert b"content-type: text/event-stream" in fields
            assert b"connection: close" in fields.lower()
    assert streams(api) == 0


def test_a_flood_without_keys_has_a_share_of_its_address_and_keys_have_theirs(
    short: Short, api: httpx.Client, path: str
) -> None:
    """Refused ones are told when to come back, and cost their connection nothing."""
    with ExitStack() as resources:
        for _ in range(LIVE_LIMITS.address_sockets_max):
            resources.enter_context(begun(short, path))
        with short.raw() as raw:
            for _ in range(50):
                raw.send(head(path))
                status, body = raw.answer()
                assert (status, b"at most 8 sockets are taken from one address without a key" in body) == (429, True)
            raw.send(head("/healthz"))
            assert raw.answer()[0] == 200
        refused = httpx.get(f"http://127.0.0.1:{short.port}{path}")
        assert (refused.json()["code"], int(refused.headers["retry-after"]) > 0) == ("rate_limited", True)
        for _ in range(LIVE_LIMITS.key_sockets_max):
            resources.enter_context(begun(short, path, short.key))
        with closing(opened(short, path, key=short.key)) as raw:
            assert (raw.answer()[0], streams(api)) == (429, 20)
        began = time.monotonic()
        assert api.get(path.replace("/events", "")).status_code == 200
        assert time.monotonic() - began < 1


def test_who_does_not_take_its_last_event_is_dropped(short: Short, api: httpx.Client, path: str) -> None:
    """The namespace goes while the client is late."""
    with closing(opened(short, path, receive_bytes=4_096)) as deaf:
        peer = deaf.socket.getsockname()[1]

        def is_late() -> bool:
            give(api, space_of(path), 1)
            return any(size > 16 * 1024 for _, size in server_sockets(short.port, {peer}).values())

        until(is_late, "the client takes all", 10)
        api.delete(f"/v1/namespaces/{space_of(path)}", params={"confirm": space_of(path)}).raise_for_status()
        until(lambda: not server_sockets(short.port, {peer}), "it stays", LIMITS.goodbye_s_max + SLACK_S)

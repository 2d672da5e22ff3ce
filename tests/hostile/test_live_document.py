"""Real frames of both directions, and ends, beside /asyncapi.json: all of it is seen, and nothing else."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.hostile.conftest import Short, serving_short
from tests.support.event_streams import EventReader, events
from tests.support.live_document import LiveDocument
from tests.support.raw_clients import close_code, frame, say, upgrade

SUBPROTOCOLS = {"live": "leaderboard.v1", "livePacked": "leaderboard.v1.msgpack"}
#: Members of `subscribe`: each view, and each kind of board.
SUBSCRIPTIONS: list[dict[str, Any]] = [
    {},
    {"view": {"kind": "top", "limit": 2}, "window": "week"},
    {"view": {"kind": "around", "user": "otter", "radius": 1}, "category": "river"},
    {"view": {"kind": "users", "users": ["otter", "nobody"]}, "category": None},
    {"view": {"kind": "stats"}, "window": "week"},
]
QUERIES = ["", "limit=2", "around=otter&radius=1&category=river", "user=otter&user=nobody", "stats=true"]


class Talk:
    """A WebSocket whose every message is checked."""

    def __init__(self, document: LiveDocument, channel: str, socket: ClientConnection) -> None:
        self.document, self.channel, self.socket = document, channel, socket

    def say(self, **message: Any) -> None:
        self.document.check("receive", self.channel, message)
        self.socket.send(json.dumps(message) if self.channel == "live" else msgspec.msgpack.encode(message))

    def hear(self) -> dict[str, Any]:
        """What comes next but pings, which come whenever it was silent."""
        while (body := self.hear_any())["type"] == "ping":
            pass
        return body

    def hear_any(self) -> dict[str, Any]:
        data = self.socket.recv(timeout=5)
        if isinstance(data, bytes):
            packed: dict[str, Any] = self.document.check_packed("send", self.channel, data)
            return packed
        body: dict[str, Any] = json.loads(data)
        self.document.check("send", self.channel, body)
        return body

    def wait_for(self, kind: str) -> None:
        while self.hear_any()["type"] != kind:
            pass

    def closed(self) -> int:
        with pytest.raises(ConnectionClosed) as end:
            self.socket.recv(timeout=10)
        assert end.value.rcvd is not None
        return int(end.value.rcvd.code)


class Watch:
    """An event stream whose request and events are checked."""

    def __init__(self, document: LiveDocument, reader: EventReader) -> None:
        self.document, self.reader = document, reader

    def hear(self) -> str:
        """The kind of the next event but pings."""
        while (kind := self.hear_any()) == "ping":
            pass
        return kind

    def hear_any(self) -> str:
        event = self.reader.next()
        self.document.check_event(event)
        return event.kind

    def wait_for(self, kind: str) -> None:
        while self.hear_any() != kind:
            pass


@contextmanager
def watch(document: LiveDocument, short: Short, space: str, query: str = "", event_id: str = "") -> Iterator[Watch]:
    fields = {"Authorization": f"Bearer {short.key}"} | ({"Last-Event-ID": event_id} if event_id else {})
    document.check_request(query, fields)
    path = document.channels["events"]["address"].removeprefix("/v1/namespaces/").format(namespace=space, window="week")
    with events(short.port, f"{path}?{query}", **fields) as reader:
        yield Watch(document, reader)


@contextmanager
def talk(document: LiveDocument, short: Short, channel: str) -> Iterator[Talk]:
    url = f"ws://127.0.0.1:{short.port}{document.channels[channel]['address']}"
    with connect(url, subprotocols=[SUBPROTOCOLS[channel]]) as socket:  # type: ignore[list-item]
        yield Talk(document, channel, socket)


def document_of(api: httpx.Client) -> LiveDocument:
    return LiveDocument(api.get("/asyncapi.json").raise_for_status().json())


def grant(api: httpx.Client, space: str, user: str, amount: float) -> None:
    body = {"grant_id": f"{user}-{amount}", "user_id": user, "amount": amount, "category": "river"}
    api.post(f"/v1/namespaces/{space}/grants", json=body).raise_for_status()


def begin(one: Talk, short: Short, space: str) -> None:
    """Every message of a client, and what answers it."""
    one.say(type="auth", token=short.key)
    assert one.hear()["type"] == "ready"
    one.say(type="ping")
    assert one.hear()["type"] == "pong"
    for number, more in enumerate(SUBSCRIPTIONS):
        one.say(type="subscribe", id=number, namespace=space, **more)
        state = one.hear()
        assert (state["type"], state["id"], "stats" in state) == ("snapshot", number, number == 4)
    stand = {"epoch": state["epoch"], "version": state["version"], "resume_window": state["window"]}
    one.say(type="subscribe", id=90, namespace=space, window="week", **stand)
    assert one.hear()["type"] == "uptodate"
    one.say(type="unsubscribe", id=90)
    for number, window, code in ((91, "fortnight", "board_not_found"), (0, "all", "invalid")):
        one.say(type="subscribe", id=number, namespace=space, window=window)
        assert one.hear()["code"] == code


def test_every_message_is_as_the_document_tells(live_server: Any, tmp_path: Any, space: str) -> None:
    with (
        serving_short(live_server, tmp_path, SILENCE_S="1") as short,
        short.client() as api,
        ExitStack() as resources,
    ):
        document, other = document_of(api), f"{space}-other"
        for name in (space, other):
            api.put(f"/v1/namespaces/{name}", json={"category_boards": True, "scale": 1}).raise_for_status()
            for number, user in enumerate(("otter", "mink", "heron")):
                grant(api, name, user, number + 0.5)
        talks = []
        for channel in SUBPROTOCOLS:
            talks.append(resources.enter_context(talk(document, short, channel)))
            begin(talks[-1], short, space)
        streams = [resources.enter_context(watch(document, short, space, query)) for query in QUERIES]
        assert {stream.hear() for stream in streams} == {"snapshot"}
        back = resources.enter_context(watch(document, short, space, "limit=2", streams[1].reader.event_id))
        assert back.hear() == "uptodate"

        api.post(f"/v1/namespaces/{space}/users/heron/hide").raise_for_status()
        grant(api, space, "otter", 7)
        for one in talks:
            one.wait_for("delta")
            one.wait_for("ping")
        for stream in streams:
            stream.wait_for("delta")
            stream.wait_for("ping")

        api.delete(f"/v1/namespaces/{space}", params={"confirm": space}).raise_for_status()
        for one in talks:
            one.wait_for("error")
        for stream in streams:
            stream.wait_for("error")

        last = resources.enter_context(watch(document, short, other))
        os.kill(short.pid, signal.SIGTERM)
        for one in talks:
            one.wait_for("drain")
            assert one.closed() == 4200
        last.wait_for("drain")
        with pytest.raises(EOFError):
            last.hear()
        assert document.messages - document.seen == set()


def test_every_close_code_is_one_of_the_document(live_server: Any, tmp_path: Any, space: str) -> None:
    with (
        serving_short(live_server, tmp_path, GOODBYE_S="20") as short,
        short.client() as api,
        ExitStack() as resources,
    ):
        document, codes = document_of(api), [4200]  # 4200 is seen above.
        api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).raise_for_status()
        users = [{"grant_id": f"g{i}", "user_id": f"{i:0128}", "amount": 1} for i in range(100)]
        api.post(f"/v1/namespaces/{space}/grants", json=users).raise_for_status()

        deaf = resources.enter_context(short.raw(4_096))
        upgrade(deaf)
        for number in range(40):
            say(deaf, type="subscribe", id=number, namespace=space, view={"kind": "top", "limit": 60 + number})
        for channel in SUBPROTOCOLS:
            key = live_server.new_key(f"read:{space}")
            with talk(document, short, channel) as one:
                one.say(type="auth", token=key)
                assert one.hear()["type"] == "ready"
                live_server.revoke(key)
                codes.append(one.closed())
            with talk(document, short, channel) as one:
                one.say(type="auth", token="lb_x_wrongwrongwrong1")
                codes.append(one.closed())
            with talk(document, short, channel) as one:
                one.socket.send("{" if channel == "live" else b"\xc1")
                codes.append(one.closed())
            with talk(document, short, channel) as one:
                one.say(type="auth", token=short.key)
                assert one.hear()["type"] == "ready"
                one.say(type="auth", token=short.key)
                codes.append(one.closed())
            with talk(document, short, channel) as one:
                for number in range(51):
                    one.say(type="subscribe", id=number, namespace=space)
                codes.append(one.closed())
            assert codes[-5:] == [4101, 4001, 4400, 4400, 4013]

        flood, silent = (resources.enter_context(short.raw()) for _ in range(2))
        upgrade(flood)
        upgrade(silent)
        flood.send(frame(9) * 150)
        # The deaf one has been late for longer than the silent one has been silent, and may be for as long.
        ends = [close_code(flood.end()), close_code(silent.end()), close_code(deaf.end())]
        assert ends == [4129, 4102, 4108]
        for channel in SUBPROTOCOLS:
            described = document.channels[channel]["x-close-codes"]
            assert {one["code"] for one in described} == {*codes, *ends}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(3), 1002),
        (frame(1, b"\xff"), 1007),
        (frame(1, b" " * 20_000), 4400),
        (frame(1, '{{"type":"subscribe","id":1,"namespace":"{}"}}'.format("é" * 9_000).encode()), 4400),
        (b"\x81\xff" + (70_000).to_bytes(8, "big") + bytes(70_004), 1009),
    ],
    ids=["no opcode", "no text", "a large message", "a large one in few characters", "a larger one"],
)
def test_what_is_no_message_is_closed_as_the_document_tells(short: Short, data: bytes, code: int) -> None:
    with short.client() as api, short.raw() as raw:
        document = document_of(api)
        upgrade(raw)
        raw.send(data)
        assert close_code(raw.end()) == code
    assert str(code) in document.channels["live"]["description"]

"""One WebSocket: what its client takes at once is written at once, what it does not take waits in turn, and nothing of
it stays in the process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.frames import Frame as WireFrame
from websockets.streams import StreamReader

from app.live.client_quota import ClientQuota
from app.live.close_codes import CloseCode
from app.live.connection_sweep import SILENCE_S, LiveSweep
from app.live.frames import UpToDate
from app.live.protocol import Frame, websocket_bytes
from app.live.subscriber import Viewer
from app.live.websocket import LiveConnection, LiveLimits
from app.model.errors import NamespaceNotFound
from tests.support.hub_store import Store, within
from tests.support.virtual_time import VirtualTime


def parsed(data: bytes) -> list[tuple[int, bytes]]:
    """The frames in these bytes as the library `websockets` reads them: opcode and data."""
    reader, frames = StreamReader(), []
    reader.feed_data(data)
    reader.feed_eof()
    while reader.buffer:
        parser = WireFrame.parse(reader.read_exact, mask=False)
        try:
            while True:
                next(parser)
        except StopIteration as end:
            frames.append((int(end.value.opcode), bytes(end.value.data)))
    return frames


class Socket:
    """A client that takes what it is sent while it reads."""

    def __init__(self) -> None:
        self.is_clear = self.reads = True
        self.on_clear: Callable[[], None] | None = None
        self.sent: list[dict[str, Any]] = []
        self.codes: list[CloseCode] = []
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()

    def push(self, data: bytes) -> None:
        assert self.is_clear, "only where the client takes it"
        self.is_clear = self.reads
        self.sent += [json.loads(text) for _, text in parsed(data)]

    def end(self, code: CloseCode, reason: str) -> None:
        assert reason
        self.codes.append(code)
        self.leave()

    def leave(self) -> None:
        self.inbox.put_nowait({"type": "websocket.disconnect"})

    async def receive(self) -> Any:
        return await self.inbox.get()

    def say(self, **message: Any) -> None:
        self.inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def watch(self, number: int, limit: int = 10) -> None:
        self.say(type="subscribe", id=number, namespace="race", window="all", view={"kind": "top", "limit": limit})

    def read(self) -> None:
        """Takes one frame more."""
        self.is_clear = True
        if self.on_clear is not None:
            self.on_clear()

    def taken(self) -> list[tuple[str, Any, Any]]:
        """Type, id and version of each message since asked last."""
        sent, self.sent = self.sent, []
        return [(one["type"], one.get("id"), one.get("version")) for one in sent]


class Served:
    """A client's connection while it is served."""

    def __init__(self, store: Store) -> None:
        self.socket, self.viewer, self.sweep = Socket(), Viewer(store.keyring, "10.0.0.1"), LiveSweep()
        self.quota = ClientQuota("sockets", key_max=1, user_max=1, address_max=1)
        self._store = store
        self.connection = LiveConnection(
            self.socket, False, store.hub, self.viewer, LiveLimits(), self.quota, self.sweep
        )
        self.sweep.open.add(self.connection)
        self.task = asyncio.create_task(self.connection.serve())

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def news(self, version: int) -> None:
        """A new version of the board, delivered."""
        self._store.boards["all"] = (version, ["otter"])
        await self._store.tick()

    async def end(self) -> None:
        """It ends, and leaves no task, and its place to others."""
        async with asyncio.timeout(5):
            await asyncio.wait({self.task})
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not self._store.hub.viewers
        assert not self._store.hub._boards
        assert not self.sweep.waiting
        self.quota.take(self.viewer.owner)


@asynccontextmanager
async def watching(store: Store, *limits: int) -> AsyncIterator[Served]:
    """A client that watches the first rows, once for each limit, which is the subscription's number, too. The sweep
    runs."""
    served = Served(store)
    sweep = asyncio.create_task(served.sweep.run())
    for limit in limits:
        served.socket.watch(limit, limit)
    await served.settle()
    try:
        yield served
    finally:
        served.socket.leave()
        sweep.cancel()
        await asyncio.wait({sweep})
    await served.end()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("packed", [False, True])
def test_a_frame_is_one_whole_message_of_a_websocket(size: int, packed: bool) -> None:
    assert parsed(websocket_bytes(b"x" * size, packed)) == [(2 if packed else 1, b"x" * size)]


def test_subscriptions_of_one_id_share_a_frame_and_each_other_has_its_own() -> None:
    frame = Frame(UpToDate("all", 7))
    assert frame.wire(1, False) is frame.wire(1, False)
    for number in range(100):
        for packed, decode in ((False, json.loads), (True, msgspec.msgpack.decode)):
            [(_, data)] = parsed(frame.wire(number, packed))
            assert decode(data) == {"id": number, "type": "uptodate", "window": "all", "version": 7}
    assert len(frame._wire) < 20, "hostile ids take no memory"


def test_what_a_client_takes_is_written_at_once_and_by_nobody_else() -> None:
    async def act(store: Store) -> None:
        async with watching(store, 1) as served:
            tasks = asyncio.all_tasks()
            for version in (1, 2, 3):
                await served.news(version)
                assert served.socket.taken() == [("snapshot" if version == 1 else "delta", 1, version)]
            assert asyncio.all_tasks() == tasks

    within(act)


def test_subscriptions_of_a_late_client_take_turns_and_skip_states() -> None:
    async def act(store: Store) -> None:
        async with watching(store, 1, 2, 3) as served:
            await served.news(1)
            assert sorted(served.socket.taken()) == [("snapshot", number, 1) for number in (1, 2, 3)]
            served.socket.reads = False
            order = []
            for version in range(2, 8):
                await served.news(version)
                order += served.socket.taken()
                served.socket.read()
                order += served.socket.taken()
        numbers = [number for _, number, _ in order]
        assert all(set(numbers[at : at + 3]) == {1, 2, 3} for at in range(0, len(numbers) - 2, 3)), order
        assert [version for _, _, version in order] == sorted(version for _, _, version in order)
        versions: dict[int, int] = {}
        for kind, number, version in order:
            assert kind == "snapshot" or versions.get(number, 1) == version - 1
            versions[number] = version

    within(act)


def test_a_frame_that_cannot_be_encoded_for_a_late_client_ends_its_own_subscription(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = Frame.wire

    def broken(frame: Frame, number: int, packed: bool) -> bytes:
        if (number, frame.body.version) == (1, 3):
            raise TypeError("a row that no encoder knows")
        return wire(frame, number, packed)

    async def act(store: Store) -> None:
        async with watching(store, 1, 2) as served:
            await served.news(1)
            served.socket.reads = False
            for version in (2, 3):
                await served.news(version)
            served.socket.taken()
            served.socket.reads = True
            served.socket.read()
            assert sorted(served.socket.taken()) == [("error", 1, None), ("snapshot", 2, 3)]
            await served.news(4)
            assert served.socket.taken() == [("delta", 2, 4)]

    monkeypatch.setattr(Frame, "wire", broken)
    within(act)


def test_who_does_not_take_a_frame_in_time_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualTime(monkeypatch)

    async def act(store: Store) -> None:
        async with watching(store, 1) as served:
            served.socket.reads = False
            await served.news(1)
            await asyncio.sleep(9)
            served.socket.read()
            await served.news(2)
            await asyncio.sleep(9)
            assert not served.socket.codes, "each frame has its own time"
            await asyncio.sleep(2)
            assert served.socket.codes[0] is CloseCode.TOO_SLOW

    within(act, clock.run)


def test_a_client_has_its_time_to_begin_while_the_server_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualTime(monkeypatch)

    async def act(store: Store) -> None:
        async with watching(store) as served:
            await asyncio.sleep(4)
            for _ in range(3):
                served.socket.say(type="ping")
                await asyncio.sleep(1.5)
            assert not served.socket.codes
            await asyncio.sleep(3)
            assert served.socket.codes[0] is CloseCode.NO_AUTH

    within(act, clock.run)


def test_silence_is_broken_by_a_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualTime(monkeypatch)

    async def act(store: Store) -> None:
        async with watching(store, 1) as served:
            await served.news(1)
            served.socket.taken()
            await asyncio.sleep(SILENCE_S - 2)
            assert served.socket.taken() == []
            await served.news(2)
            await asyncio.sleep(SILENCE_S - 2)
            assert served.socket.taken() == [("delta", 1, 2)]
            await asyncio.sleep(5)
            assert served.socket.taken() == [("ping", None, None)]

    within(act, clock.run)


def test_who_is_closed_while_a_subscription_is_on_its_way_watches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(store: Store) -> None:
        answer = asyncio.Event()

        async def find(*_: Any) -> Any:
            await answer.wait()
            return store.spaces["race"]

        monkeypatch.setattr(Viewer, "find", find)
        async with watching(store, 1) as served:
            served.connection.drain(500)
            assert served.socket.codes[0] is CloseCode.DRAIN
            answer.set()

    within(act)


def test_a_subscription_that_ends_says_why_and_its_id_is_free() -> None:
    async def act(store: Store) -> None:
        async with watching(store, 1) as served:
            await served.news(1)
            served.socket.taken()
            store.hub._end(list(store.hub._watched), NamespaceNotFound("gone"))
            assert served.socket.taken() == [("error", 1, None)]
            served.socket.watch(1)
            await served.settle()
            await served.news(2)
            assert served.socket.taken() == [("snapshot", 1, 2)]

    within(act)


def test_a_second_end_ends_nothing_twice() -> None:
    async def act(store: Store) -> None:
        async with watching(store, 1) as served:
            served.task.cancel()
            served.connection.drain(500)
            served.connection.revoke()
            assert served.socket.codes[0] is CloseCode.DRAIN

    within(act)

"""The end of one WebSocket: nothing of it stays in the process."""

import asyncio
from typing import Any, cast

import pytest

from app import task_end
from app.live.client_quota import ClientQuota
from app.live.subscriber import Viewer
from app.live.websocket import LiveConnection, LiveLimits
from tests.support.hub_store import Store, within

TEXTS = '{"type":"subscribe","id":1,"namespace":"race","window":"all","view":{"kind":"top"}}', '{"type":"ping"}'
#: Rounds of the loop between a client's leaving and the end of what is sent to it. In one of them, `asyncio.wait_for`
#: before Python 3.12 loses the word to end.
ROUNDS = range(10)


class Client:
    """Watches a board, and leaves while it takes the reply to a ping."""

    def __init__(self, rounds: int) -> None:
        self._rounds, self.is_sending, self.leaves = rounds, asyncio.Event(), asyncio.Event()
        self._texts = list(TEXTS)

    async def receive(self) -> dict[str, Any]:
        if self._texts:
            return {"type": "websocket.receive", "text": self._texts.pop(0)}
        await self.leaves.wait()
        return {"type": "websocket.disconnect"}

    async def send_text(self, _text: str) -> None:
        self.is_sending.set()
        await self.leaves.wait()
        for _ in range(self._rounds):
            await asyncio.sleep(0)


class Served:
    """A client's connection while it is served."""

    def __init__(self, store: Store, rounds: int) -> None:
        self.client, self.viewer = Client(rounds), Viewer(store.keyring, "10.0.0.1")
        self.quota = ClientQuota("sockets", key_max=1, address_max=1)
        self._hub = store.hub
        websocket = cast(Any, self.client)
        connection = LiveConnection(websocket, False, store.hub, self.viewer, LiveLimits(), self.quota)
        self.task = asyncio.create_task(connection.serve())

    async def begin(self) -> None:
        await self.client.is_sending.wait()
        assert self._hub.viewers == {self.viewer}
        assert self._hub._boards

    async def end(self) -> None:
        """It ends soon, and leaves no task, and its place to others."""
        try:
            async with asyncio.timeout(1):
                await asyncio.wait({self.task})
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task(), self.task}
            await task_end.end_all([self.task, *left])
        assert not left
        assert not self._hub.viewers
        assert not self._hub._boards
        self.quota.take(self.viewer.owner)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_end, "AGAIN_S", 0.01)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_client_that_leaves_is_gone_though_its_sender_misses_the_word_to_end(rounds: int) -> None:
    async def act(store: Store) -> None:
        served = Served(store, rounds)
        await served.begin()
        served.client.leaves.set()
        await served.end()

    within(act)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_client_is_gone_where_the_server_is_told_to_end_twice(rounds: int) -> None:
    async def act(store: Store) -> None:
        served = Served(store, rounds)
        await served.begin()
        for _ in range(2):
            served.task.cancel()
            await asyncio.sleep(0)
        served.client.leaves.set()
        await served.end()
        assert served.task.cancelled()

    within(act)

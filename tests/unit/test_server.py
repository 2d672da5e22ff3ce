"""The loops of a server that has nothing to do."""

import asyncio
from typing import Any

import pytest

from app.live.hub import TICK_S
from app.server import FOLLOW_S, Server
from app.services import build_services
from app.settings import Settings
from tests.support.virtual_time import VirtualTime


def test_an_idle_server_hears_of_a_revoked_key_in_time_whatever_else_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that it watches is told by the hub's next tick: 1 s in all is promised."""
    assert FOLLOW_S + TICK_S <= 0.6
    time, looks = VirtualTime(monkeypatch), list[float]()

    async def act() -> None:
        server = Server(build_services(Settings(), 1))
        for reader in (server.services.batcher, server.services.namespace_cache):
            monkeypatch.setattr(reader, "call", call)
        loops = [asyncio.create_task(loop()) for loop in (server._follow, server._keep_time)]
        await asyncio.sleep(10 * FOLLOW_S + 0.01)
        for loop in loops:
            loop.cancel()

    async def call(call: Any) -> Any:
        if call[0] == "TIME":
            await asyncio.Event().wait()
        looks.append(round(time.passed_s, 3))

    time.run(act())
    assert looks == [round(FOLLOW_S * number, 3) for number in range(1, 11)]

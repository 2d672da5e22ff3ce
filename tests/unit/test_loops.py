"""Loops that go on for as long as the process does, and then end."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app import task_end
from app.server import Server


async def _nothing(*_: object) -> Any:
    return None


def test_a_loop_that_misses_the_word_to_end_keeps_no_server_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncio.wait_for` before Python 3.12 may lose a cancellation: a server waited for that loop for ever."""
    monkeypatch.setattr(task_end, "AGAIN_S", 0.05)
    missed: list[str] = []

    async def loop() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if missed:
                raise
            missed.append("the first word")

    async def idle() -> None:
        await asyncio.sleep(60)

    services = SimpleNamespace(
        committer=SimpleNamespace(run=idle),
        batcher=SimpleNamespace(run=loop, call=_nothing),
        hub=SimpleNamespace(run=idle),
        connections=SimpleNamespace(run=idle),
        marks=SimpleNamespace(renew_all=_nothing),
        clock=SimpleNamespace(elapsed=lambda: 0, learn=lambda *_: None),
        live=SimpleNamespace(drain=_nothing),
        settings=SimpleNamespace(trusted_proxies="127.0.0.1"),
        close=_nothing,
    )
    server = cast(Any, object.__new__(Server))
    server.services = services
    server._check = server._follow = server._measure = idle

    async def serve() -> None:
        async with asyncio.timeout(10), server.lifespan(None):
            await asyncio.sleep(0.01)

    asyncio.run(serve())
    assert missed

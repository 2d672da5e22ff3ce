"""Loops that go on for as long as the process does, and then end."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app import task_end
from app.loops import NamedLoops
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
        live=SimpleNamespace(drain=_nothing, sweep=SimpleNamespace(run=idle)),
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


class DeafLoop:
    """Misses some words to end. Whoever waits for it alone waits for ever."""

    def __init__(self, misses: int) -> None:
        self.misses, self.has_begun, self.is_over = misses, asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        self.has_begun.set()
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                self.misses -= 1
                if self.misses < 0:
                    self.is_over.set()
                    raise


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> DeafLoop:
    monkeypatch.setattr(task_end, "AGAIN_S", 0.01)
    return DeafLoop(3)


def test_a_loop_that_misses_the_word_to_end_ends_while_the_others_go_on(deaf: DeafLoop) -> None:
    """The loop of a node that is gone would go on for ever, beside the one that has its partitions now."""
    other = DeafLoop(0)

    async def act() -> None:
        loops = NamedLoops()
        loops.begin("node", deaf.run)
        running = asyncio.ensure_future(loops.run())
        await deaf.has_begun.wait()
        loops.end("node")
        loops.begin("other", other.run)
        await other.has_begun.wait()
        assert not deaf.is_over.is_set()  # The next one waits for nobody.
        await asyncio.wait_for(deaf.is_over.wait(), 1)
        assert not other.is_over.is_set()
        await task_end.cancel_and_wait(running)
        assert other.is_over.is_set()

    _run(act())


def test_loops_that_all_end_wait_for_one_that_was_told_before(deaf: DeafLoop) -> None:
    async def act() -> None:
        loops = NamedLoops()
        loops.begin("node", deaf.run)
        running = asyncio.ensure_future(loops.run())
        await deaf.has_begun.wait()
        loops.end("node")
        await asyncio.sleep(0)
        await task_end.cancel_and_wait(running)
        assert deaf.is_over.is_set()

    _run(act())


def _run(act: Coroutine[Any, Any, None]) -> None:
    """Runs it, and leaves no task behind that would miss the one cancellation of asyncio."""

    async def all_of_it() -> None:
        try:
            await asyncio.wait_for(act, 5)
        finally:
            await task_end.end_all(asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(all_of_it())

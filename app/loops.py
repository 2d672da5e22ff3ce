"""Loops that go on for as long as the process does."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from .task_end import cancel_and_wait, complete, end_all

log = structlog.get_logger()

#: Seconds before a loop that failed goes on: a defect must not take the processor.
LOOP_PAUSE_S = 0.1


async def forever(loop: Callable[[], Awaitable[None]]) -> None:
    """Runs a loop again and again. A failure is a defect: it is logged, and the loop goes on."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("loop failed", loop=getattr(loop, "__qualname__", str(loop)))
            await asyncio.sleep(LOOP_PAUSE_S)


class NamedLoops:
    """Loops that begin and end while others run."""

    def __init__(self) -> None:
        self._loops: dict[str, Callable[[], Awaitable[None]]] = {}
        self._has_changed = asyncio.Event()

    def begin(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Has a loop run, now or as soon as `run` does."""
        self._loops[name] = loop
        self._has_changed.set()

    def end(self, name: str) -> None:
        """Ends a loop."""
        self._loops.pop(name, None)
        self._has_changed.set()

    async def run(self) -> None:
        """Runs them, for ever."""
        running: dict[str, Callable[[], Awaitable[None]]] = {}
        tasks: dict[str, asyncio.Task[None]] = {}
        ends: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._has_changed.clear()
                for name in [name for name, loop in running.items() if self._loops.get(name) != loop]:
                    del running[name]
                    end = asyncio.create_task(cancel_and_wait(tasks.pop(name)))
                    ends.add(end)
                    end.add_done_callback(ends.discard)
                for name in self._loops.keys() - running.keys():
                    running[name] = self._loops[name]
                    tasks[name] = asyncio.create_task(forever(running[name]))
                await self._has_changed.wait()
        finally:
            await complete(_end(tasks.values(), ends))


async def _end(tasks: Iterable[asyncio.Task[None]], ends: Iterable[asyncio.Task[None]]) -> None:
    """Ends tasks, and waits for the ends of others that are under way."""
    await asyncio.gather(end_all(tasks), *ends)

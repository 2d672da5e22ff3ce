"""Loops that go on for as long as the process does."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

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

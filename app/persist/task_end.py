"""Ends a task that waits inside other libraries most of the time."""

import asyncio
from typing import Any

#: Seconds to wait for a task before it is cancelled again: it may have missed the cancellation.
AGAIN_S = 1.0


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancels a task until it is done. One cancellation may be lost if an answer arrives at the same moment
    (`asyncio.wait_for` before Python 3.12), so it is repeated."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_S)

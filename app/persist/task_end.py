"""How a task is ended that asks other libraries all the time."""

import asyncio
from typing import Any

#: Seconds that a task is waited for before it is cancelled once more: it may have missed the cancellation.
AGAIN_S = 1.0


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancels a task until it is done. Who waits for an answer may be given it in the very moment of the cancellation,
    and never hears of that (`asyncio.wait_for` before Python 3.12 does so): it is said again."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_S)

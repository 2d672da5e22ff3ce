"""Ends tasks that wait inside other libraries most of the time."""

import asyncio
from collections.abc import Coroutine, Iterable
from time import monotonic
from typing import Any

#: Seconds to wait for a task before it is cancelled again: it may have missed the cancellation.
AGAIN_S = 1.0
#: Seconds that the work of an end may take: closing connections, and tasks that miss a cancellation or two.
END_S_MAX = 10.0


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancels a task until it is done. One cancellation may be lost if an answer arrives at the same moment
    (`asyncio.wait_for` before Python 3.12), so it is repeated."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_S)


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Ends tasks, each as `cancel_and_wait` does. Nobody asks for their results any more, nor for their errors."""
    ends = list(tasks)
    await asyncio.gather(*map(cancel_and_wait, ends))
    await asyncio.gather(*ends, return_exceptions=True)


async def complete(work: Coroutine[Any, Any, None]) -> None:
    """Does the work of an end, in END_S_MAX at most, also if the caller is cancelled meanwhile: tasks that a broken end
    leaves behind may miss the one cancellation that they get from asyncio, and the process would never exit."""
    task, until = asyncio.ensure_future(work), monotonic() + END_S_MAX
    is_cancelled = False
    while not task.done() and monotonic() < until:
        try:
            await asyncio.wait({task}, timeout=until - monotonic())
        except asyncio.CancelledError:
            is_cancelled = True
    if task.done():
        task.result()
    else:
        task.cancel()
    if is_cancelled:
        raise asyncio.CancelledError

"""The batcher for asyncio: the same queue and thread, so what waits outlives the loop and is sent at the exit."""

import asyncio
from types import TracebackType
from typing import Any, Self

from ..batcher import Batcher, QueueFull
from ..blocking.transport import Transport
from ..grant import Grant
from .transport import AsyncTransport


class AsyncBatcher:
    """Sends grants in the background. See Batcher."""

    def __init__(self, transport: AsyncTransport, **options: Any) -> None:
        """transport: its server and its key; the batcher has connections of its own. ValueError for a transport with a
        token provider: tokens write nothing."""
        if transport.can_renew:
            raise ValueError("a batcher needs a key: client tokens write nothing")
        self._transport = Transport(transport.url, key=transport.key, deadline_s=transport.deadline_s)
        self._batcher = Batcher(self._transport, **options)

    def __len__(self) -> int:
        return len(self._batcher)

    def add_nowait(self, grant: Grant, *, namespace: str | None = None) -> None:
        """Takes a grant, or raises QueueFull at once."""
        self._batcher.add(grant, namespace=namespace, timeout_s=0)

    async def add(self, grant: Grant, *, namespace: str | None = None, timeout_s: float | None = None) -> None:
        """Takes a grant; waits while the queue is full."""
        try:
            self.add_nowait(grant, namespace=namespace)
        except QueueFull:
            await asyncio.to_thread(self._batcher.add, grant, namespace=namespace, timeout_s=timeout_s)

    async def flush(self, timeout_s: float | None = None) -> bool:
        """Waits until all that was added is answered for."""
        return await asyncio.to_thread(self._batcher.flush, timeout_s)

    async def aclose(self) -> None:
        """Sends what is left, within the deadline of the exit."""
        await asyncio.to_thread(self._batcher.close)
        self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

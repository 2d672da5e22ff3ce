"""The client: all calls on one transport."""

from types import TracebackType
from typing import Any, Self, TypeVar

from ..calls import Call
from ..live.connection import LiveConnection
from ..live.options import LiveOptions
from .admin import AsyncAdmin
from .batcher import AsyncBatcher
from .boards import AsyncBoards
from .grants import AsyncGrants
from .transport import AsyncTransport
from .users import AsyncUsers

T = TypeVar("T")


class AsyncLeaderboard(AsyncGrants, AsyncBoards, AsyncUsers, AsyncAdmin):
    """A leaderboard server, for a program that writes and reads."""

    def __init__(self, url: str, **options: Any) -> None:
        """options: those of the transport: `key` or `token`, `deadline_s`, `http`."""
        self._transport = AsyncTransport(url, **options)
        self._batchers: list[AsyncBatcher] = []

    async def request(self, call: Call[T]) -> T:
        """Any call of the REST API."""
        return await self._transport.send(call)

    def batcher(self, **options: Any) -> AsyncBatcher:
        """Sends grants in the background. options: those of the batcher. It ends with the client, or before."""
        batcher = AsyncBatcher(self._transport, **options)
        self._batchers.append(batcher)
        return batcher

    def live(self, options: LiveOptions | None = None) -> LiveConnection:
        """A connection for live boards; it opens with its first board."""
        return LiveConnection(self._transport, options)

    async def aclose(self) -> None:
        """Sends what batchers still have, within their deadline, and closes the connections."""
        for batcher in self._batchers:
            await batcher.aclose()
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

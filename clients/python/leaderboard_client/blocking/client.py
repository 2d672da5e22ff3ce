"""The client: all calls on one transport."""

from types import TracebackType
from typing import Any, Self, TypeVar

from ..batcher import Batcher
from ..calls import Call
from ..live.blocking import BlockingLive
from ..live.options import LiveOptions
from .admin import Admin
from .boards import Boards
from .grants import Grants
from .transport import Transport
from .users import Users

T = TypeVar("T")


class Leaderboard(Grants, Boards, Users, Admin):
    """A leaderboard server, for a program that writes and reads. It may be used by many threads."""

    def __init__(self, url: str, **options: Any) -> None:
        """options: those of the transport: `key` or `token`, `deadline_s`, `http`."""
        self._transport = Transport(url, **options)
        self._batchers: list[Batcher] = []

    def request(self, call: Call[T]) -> T:
        """Any call of the REST API."""
        return self._transport.send(call)

    def batcher(self, **options: Any) -> Batcher:
        """Sends grants in the background. options: those of the batcher. It ends with the client, or before."""
        batcher = Batcher(self._transport, **options)
        self._batchers.append(batcher)
        return batcher

    def live(self, options: LiveOptions | None = None) -> BlockingLive:
        """A connection for live boards, in a thread of its own; it opens with its first board."""
        return BlockingLive(self._transport, options)

    def close(self) -> None:
        """Sends what batchers still have, within their deadline, and closes the connections."""
        for batcher in self._batchers:
            batcher.close()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

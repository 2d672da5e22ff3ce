"""Live boards for programs that block: the connection of asyncio in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from ..errors import Closed
from .board_copy import LiveBoard
from .connection import LiveConnection
from .options import LiveOptions, Login
from .subscription import OnState, Subscription
from .views import View

T = TypeVar("T")


class BlockingSubscription:
    """`for board in subscription` gives each state of the board. Who is slow skips states."""

    def __init__(self, live: "BlockingLive", subscription: Subscription) -> None:
        self._live = live
        self._subscription = subscription

    @property
    def board(self) -> LiveBoard | None:
        """The newest state; None before the first, and while there is no such board."""
        return self._subscription.board

    def next(self, timeout_s: float | None = None) -> LiveBoard | None:
        """The next state; None after its end. TimeoutError, and the problem that ends it for good."""
        return self._live.run(self._next(timeout_s))

    def leave(self) -> None:
        """Watches no more."""
        self._live.call(self._subscription.leave)

    def __iter__(self) -> Iterator[LiveBoard]:
        while (board := self.next()) is not None:
            yield board

    async def _next(self, timeout_s: float | None) -> LiveBoard | None:
        async with asyncio.timeout(timeout_s):
            return await anext(self._subscription, None)


class BlockingLive:
    """A live connection, its loop and its thread. It may be used by many threads."""

    def __init__(self, login: Login, options: LiveOptions | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="leaderboard-live", daemon=True)
        self._thread.start()
        self._connection = self.run(self._make(login, options))

    def watch(
        self,
        namespace: str,
        window: str = "all",
        *,
        view: View | None = None,
        category: str | None = None,
        on_state: OnState | None = None,
    ) -> BlockingSubscription:
        """Watches a board. on_state is called in the thread."""

        async def begin() -> Subscription:
            return self._connection.watch(namespace, window, view=view, category=category, on_state=on_state)

        return BlockingSubscription(self, self.run(begin()))

    def close(self) -> None:
        """Ends it and all its subscriptions, for good."""
        if self._loop.is_closed():
            return
        self.run(self._connection.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs something in the thread, and waits for it. Closed."""
        if self._loop.is_closed():
            work.close()
            raise Closed("closed", "this connection is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, act: Any) -> None:
        """Has something called in the thread."""
        self._loop.call_soon_threadsafe(act)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    async def _make(login: Login, options: LiveOptions | None) -> LiveConnection:
        return LiveConnection(login, options)

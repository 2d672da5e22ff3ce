"""One watched board of a live connection, as an async iterator of its states."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal, Self

from ..errors import Problem
from .board_copy import BoardCopy, LiveBoard
from .views import View

State = Literal["connecting", "live", "waiting", "closed"]
OnState = Callable[[State, Problem | None], None]
#: Seconds after which a subscription counts as one that works: the next try comes soon.
STABLE_S = 5.0


class Subscription:
    """`async for board in subscription` gives each state of the board. Who is slow skips states, and never sees an
    older one later. It ends when it is left or the connection is closed, and raises the problem that ends it for good.

    state: `live` while `board` is what the server has; problem: why it is not.
    """

    def __init__(
        self,
        *,
        namespace: str,
        window: str,
        category: str | None,
        view: View,
        leave: Callable[["Subscription"], None],
        on_state: OnState | None,
    ) -> None:
        self.state: State = "connecting"
        self.problem: Problem | None = None
        self.copy = BoardCopy()
        #: The id at the server; 0: the server does not know of it.
        self.number = 0
        #: When the server is to be told of it, by the loop's clock; None: it knows.
        self.due_at: float | None = 0.0
        self._request = {"namespace": namespace, "window": window, "category": category, "view": view.body()}
        self._leave = leave
        self._on_state = on_state
        self._tries = 0
        self._live_since = float("inf")
        self._has_news = False
        self._news = asyncio.Event()

    @property
    def board(self) -> LiveBoard | None:
        """The newest state; None before the first, and while there is no such board."""
        return self.copy.board

    def leave(self) -> None:
        """Watches no more."""
        self._leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LiveBoard:
        while True:
            if self._has_news and self.board is not None:
                self._has_news = False
                return self.board
            if self.state == "closed":
                if self.problem is not None:
                    raise self.problem
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    # For the connection.

    def message(self, number: int) -> dict[str, Any]:
        """The message that begins it."""
        return {"type": "subscribe", "id": number, **self._request, **self.copy.resume}

    def begin(self, number: int) -> None:
        """The server was told of it."""
        self.number = number
        self.due_at = None

    def rest(self, due_at: float = 0.0) -> None:
        """The server does not know of it from now on, until it is due again."""
        self.number = 0
        self.due_at = due_at

    def change(self, frame: dict[str, Any]) -> bool:
        """Applies a frame. False: it does not lead on."""
        before = self.board
        if not self.copy.apply(frame):
            self.copy.forget()
            return False
        self.tell("live")
        if self.board is not before:
            self._has_news = True
            self._news.set()
        return True

    def tell(self, state: State, problem: Problem | None = None) -> None:
        """Tells a change of state, once."""
        code, code_before = (one.code if one else None for one in (problem, self.problem))
        if self.state == "closed" or (state == self.state and code == code_before):
            return
        if state == "live":
            self._live_since = time.monotonic()
        self.state = state
        self.problem = problem
        if state == "closed":
            self._news.set()
        if self._on_state is not None:
            self._on_state(state, problem)

    def next_try(self) -> int:
        """How often in a row it could not begin; 0 after it has been live for a while. Counts one more."""
        if time.monotonic() - self._live_since >= STABLE_S:
            self._tries = 0
        self._live_since = float("inf")
        self._tries += 1
        return self._tries - 1

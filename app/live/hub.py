"""The hub: once a tick it reads the watched boards that changed, diffs, encodes once, and fills every outbox.

A tick costs what the boards watched and changed cost, not what grants or readers do. Nobody waits for a client: a
subscriber whose outbox is still full gets the newest state next, as a snapshot.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from ..model.errors import Problem
from ..model.namespace import Namespace
from ..model.windows import Window, from_micros
from ..store.boards import board_call, read_board
from ..store.directory import Directory
from ..store.gather import Gatherer
from . import protocol
from .protocol import Frame, State

log = structlog.get_logger()

TICK_S = 0.1

ViewKey = tuple[str, str, int]


class Subscriber:
    """One subscription's one-slot outbox. `held`: the state the client has once the slot is sent."""

    def __init__(self, number: int, wake: asyncio.Event) -> None:
        self.number = number
        self.slot: Frame | None = None
        self.held: State | None = None
        self._wake = wake

    def offer(self, old: State | None, whole: Frame, change: Frame | None, state: State) -> None:
        """Puts the change in the slot; where the slot is full or the client holds another state, the whole."""
        self.slot = change if change is not None and self.slot is None and self.held is old else whole
        self.held = state
        self._wake.set()


class Watch:
    """One view that somebody watches."""

    def __init__(self, namespace: str, window: str, limit: int) -> None:
        self.namespace = namespace
        self.window = window
        self.limit = limit
        self.state: State | None = None
        self.subscribers: set[Subscriber] = set()


class Hub:
    """Every watched view of a process."""

    def __init__(self, gatherer: Gatherer, directory: Directory, clock: Callable[[], int]) -> None:
        self._gatherer = gatherer
        self._directory = directory
        self._clock = clock
        self._watches: dict[ViewKey, Watch] = {}
        self._wake = asyncio.Event()

    async def subscribe(self, subscriber: Subscriber, namespace: Namespace, window: str, limit: int) -> State:
        """Adds a subscriber and returns the state it starts from. The problems of a board read."""
        key = (namespace.name, window, limit)
        state = await self._read(namespace, window, limit)
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(*key)
            watch.state = state
        elif watch.state is None or state.version > watch.state.version or state.epoch > watch.state.epoch:
            self._publish(watch, state)
        else:
            state = watch.state
        subscriber.held = state
        watch.subscribers.add(subscriber)
        self._wake.set()
        return state

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forgets a subscriber, and the view that nobody else watches."""
        for key, watch in list(self._watches.items()):
            watch.subscribers.discard(subscriber)
            if not watch.subscribers:
                del self._watches[key]

    async def run(self) -> None:
        """Ticks, for ever; sleeps while nobody watches."""
        while True:
            if not self._watches:
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(TICK_S)
            try:
                await asyncio.gather(*(self._tick(watch) for watch in list(self._watches.values())))
            except Problem as problem:
                log.warning("tick failed", code=problem.code, detail=problem.detail)

    async def _tick(self, watch: Watch) -> None:
        namespace = await self._directory.namespace(watch.namespace)
        state = await self._read(namespace, watch.window, watch.limit)
        held = watch.state
        if held is None or (state.epoch, state.window) != (held.epoch, held.window) or state.version != held.version:
            self._publish(watch, state)

    def _publish(self, watch: Watch, state: State) -> None:
        """One diff and one encoding, however many watch."""
        held, watch.state = watch.state, state
        same = held is not None and (held.epoch, held.window) == (state.epoch, state.window)
        whole = Frame(protocol.snapshot(state))
        change = Frame(protocol.delta(held, state)) if same and held is not None else None
        for subscriber in watch.subscribers:
            subscriber.offer(held, whole, change, state)

    async def _read(self, namespace: Namespace, window: str, limit: int) -> State:
        from_name = namespace.calendar.find(window, self._clock())
        assert from_name is not None
        board = read_board(await self._gatherer.call(board_call(namespace, from_name.name, ("page", 0, limit))))
        entries = tuple(
            protocol.Entry(place.position, place.better + 1, place.user, namespace.number(place.units))
            for place in board.places
        )
        starts, ends = _moments(from_name)
        return State(from_name.name, starts, ends, board.epoch, board.version, board.total, entries)


def _moments(window: Window) -> tuple[Any, Any]:
    return tuple(None if at is None else from_micros(at) for at in (window.starts, window.ends))  # type: ignore[return-value]

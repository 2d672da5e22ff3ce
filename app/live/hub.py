"""The hub: once a tick it reads the watched boards that changed, diffs, encodes once, and delivers.

The cost of a tick depends on the watched boards that changed, not on the number of grants or subscribers. Nobody waits
for a client: a subscriber whose slot is still full gets the newest state next, as a snapshot.

When namespaces or keys change, the hub checks again who may watch. It reads a board, then checks, then publishes: so
nobody gets a state that is newer than their right.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import Any, NamedTuple

import structlog

from ..model.board_ref import find_board
from ..model.errors import Internal, NamespaceNotFound, Overloaded, Problem
from ..model.namespace import Namespace
from ..model.stats import Statistics
from ..store.board_reader import BoardReader
from ..store.boards import BoardPage
from ..store.changes import NOTHING, Changed
from ..store.namespace_cache import NamespaceCache
from ..store.profile_cache import DisplayProfile, ProfileCache, ProfilesVersion
from ..store.read_batcher import ReadBatcher
from ..store.stats_reader import StatsReader
from .fair_round import fair_round
from .subscriber import Subscriber, Viewer
from .views import LiveView, StatsView
from .watched_board import BoardRead, WatchedBoard, publish, publish_stats
from .watched_boards import WatchedBoards

log = structlog.get_logger()

#: Seconds between two checks for changes: more than 10 frames a second nobody can follow.
TICK_S = 0.1
#: Seconds between two checks for changed names.
NAMES_S = 0.5
#: Reads of one round: with diffs and encoding 20 ms, the longest that a newcomer waits.
READS_A_ROUND_MAX = 200
#: Boards that are published before other tasks run: 2 ms of the event loop.
_PUBLISHED_MAX = 20
#: Frames that are delivered before other tasks run: 2 ms of the event loop.
_DELIVERED_MAX = 250
#: The part of a tick in which the hub rests at least.
_REST_FRACTION_MIN = 0.25
#: Boards that are checked for changed names before other tasks run: 1 ms of the event loop.
_NAMED_MAX = 100
#: Boards whose versions one call asks for.
BOARDS_A_CALL_MAX = 1_000
#: The hub's calls that wait at a time: REST's reads find room beside them, however many boards are watched.
CALLS_MAX = 256
#: Where a message `subscribe` names window and category.
FIELDS = "$.window", "$.category"
#: Seconds that a subscription waits for its turn and its look-ups, each of which takes at most 2 s.
FIND_S_MAX = 6.0


class NamedPage(NamedTuple):
    """A page of a board, with the profiles of those of its users who have one."""

    page: BoardPage
    names: Mapping[str, DisplayProfile]


class Hub:
    """Every watched board of a process. viewers: those of all open connections, which add and remove them."""

    def __init__(
        self,
        batcher: ReadBatcher,
        boards: BoardReader,
        stats: StatsReader,
        namespace_cache: NamespaceCache,
        names: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._batcher = batcher
        self._board_reader = boards
        self._stats_reader = stats
        self._namespace_cache = namespace_cache
        self._names = names
        self._names_changes = 0
        self._names_due_s = 0.0
        self._own_due_s = 0.0
        self._clock = clock
        self._register = WatchedBoards()
        self._boards, self._watched = self._register.boards, self._register.watched
        self._lap = 1
        self._lap_began_s = 0.0
        self._is_behind = False
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._wake = asyncio.Event()
        self._stale = NOTHING
        self._in_trouble = False
        self._delivered = 0
        self.viewers: set[Viewer] = set()
        namespace_cache.subscribe(self._note_change)

    async def subscribe(
        self,
        subscriber: Subscriber,
        name: str,
        window_name: str,
        view: LiveView,
        *,
        category: str | None = None,
        fields: tuple[str, str] = FIELDS,
    ) -> None:
        """Adds a subscriber; its first frame comes with the next tick. fields: where its request names window and
        category. The problems of a board read; Overloaded."""
        try:
            async with asyncio.timeout(FIND_S_MAX), self._calls:
                await subscriber.viewer.renew()
                namespace = await subscriber.viewer.find(self._namespace_cache, name)
        except TimeoutError:
            raise Overloaded("the subscriptions before this one take too long") from None
        find_board(namespace, window_name, category, 0, fields)
        # The board's users are read after this line, so earlier changes of names do not matter.
        names = ProfilesVersion(self._names.changes, 0)
        self._register.add(
            subscriber,
            namespace=namespace,
            window_name=window_name,
            category=category,
            view=view,
            names_version=names,
        )
        self._wake.set()

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Removes a subscriber, and its view and board if nobody else watches them. O(1)."""
        self._register.remove(subscriber)

    def deliver(self, subscriber: Subscriber) -> None:
        """Sends what a subscription has, if its client takes it now. What cannot be encoded is the fault of its board:
        it ends that subscription and nothing else."""
        try:
            subscriber.deliver()
        except Exception:
            log.exception("a frame cannot be sent")
            self._end([subscriber], Internal("it is logged"))

    async def run(self) -> None:
        """Ticks for ever. Sleeps while nobody watches and nothing changes."""
        clock = asyncio.get_running_loop().time
        while True:
            if not self._boards and not self._stale:
                self._wake.clear()
                await self._wake.wait()
            began = clock()
            trouble = await self._tick()
            if trouble is not None and not self._in_trouble:
                log.warning("watched boards cannot be read", code=trouble.code, detail=trouble.detail)
            self._in_trouble = trouble is not None
            rest = max(began + TICK_S - clock(), TICK_S * _REST_FRACTION_MIN)
            await asyncio.sleep(0 if self._is_behind else rest)

    async def _tick(self) -> Problem | None:
        """Asks for the versions of all watched boards and does one round of reads. Returns one of the problems, if any.

        If more reads are due than a round takes, the next round follows at once. All rounds that follow each other so
        are one lap: each view is read once in it.

        A passing problem ends the subscriptions of newcomers only: the others keep their state until it is over.
        """
        now = monotonic()
        if not self._is_behind or now - self._lap_began_s >= TICK_S:
            self._lap, self._lap_began_s = self._lap + 1, now
        due, trouble = await self._look()
        readings = fair_round(due, READS_A_ROUND_MAX)
        self._is_behind = len(readings) < len(due)
        for reading in readings:
            for watched, _ in reading.served:
                watched.lap = self._lap
        results = await self._gather(map(self._read, readings))
        if self._stale:
            try:
                await self._review()
            except Problem as problem:
                self._end((newcomer for reading in readings for newcomer in reading.arrived()), problem)
                return problem
        for count, (reading, result) in enumerate(zip(readings, results, strict=True), 1):
            news: list[Subscriber] = []
            trouble = self._publish(reading, result, news) or trouble
            await self._deliver(news)
            if count % _PUBLISHED_MAX == 0:
                await asyncio.sleep(0)
        return trouble

    async def _deliver(self, news: list[Subscriber]) -> None:
        """Sends each what its slot holds. Who unsubscribes meanwhile gets nothing. O(news)."""
        for first in range(0, len(news), _DELIVERED_MAX):
            if self._delivered >= _DELIVERED_MAX:
                self._delivered = 0
                await asyncio.sleep(0)
            for subscriber in news[first : first + _DELIVERED_MAX]:
                self.deliver(subscriber)
            self._delivered += min(_DELIVERED_MAX, len(news) - first)

    async def _look(self) -> tuple[list[BoardRead], Problem | None]:
        """The reads that are due: of boards that changed, and of views with newcomers."""
        now, trouble = self._clock(), None
        readings: list[BoardRead] = []
        groups = self._register.groups(BOARDS_A_CALL_MAX)
        replies = await self._gather(self._batcher.call(group.call(now)) for group in groups)
        await self._note_names()
        for group, reply in zip(groups, replies, strict=True):
            try:
                readings += group.readings(_raised(reply), self._lap)
            except Problem as problem:
                trouble = problem
                self._end((newcomer for board in group.boards for newcomer in board.newcomers()), problem)
        return readings, trouble

    async def _note_names(self) -> None:
        """Marks the boards on which a user's name has changed, at most twice a second; they are read again. As often it
        asks watched namespaces for changes of their own names. If that fails, nothing is marked."""
        now, is_due = monotonic(), False
        if self._names.changes != self._names_changes and now >= self._names_due_s:
            self._names_changes, self._names_due_s, is_due = self._names.changes, now + NAMES_S, True
        if not is_due and now < self._own_due_s:
            return
        self._own_due_s = now + NAMES_S
        spaces = list({board.namespace.id: board.namespace for board in self._boards.values()}.values())
        versions = await self._gather(self._names.version_in(namespace) for namespace in spaces)
        by_namespace = dict(zip((namespace.id for namespace in spaces), versions, strict=True))
        for count, board in enumerate(list(self._boards.values()), 1):
            version = by_namespace.get(board.namespace.id)
            if isinstance(version, ProfilesVersion):
                board.note_names(self._names, version)
            if count % _NAMED_MAX == 0:
                await asyncio.sleep(0)

    async def _read(self, reading: BoardRead) -> Statistics | NamedPage:
        """A board's page with the names of its users, or its statistics. The problems of a board read."""
        name = reading.board.name_in(reading.window)
        if isinstance(reading.view, StatsView):
            return await self._stats_reader.read(reading.namespace, name)
        page = await self._board_reader.read(reading.namespace, name, reading.view)
        return NamedPage(page, await self._names.display_profiles(reading.namespace, [row.user for row in page.rows]))

    def _publish(self, reading: BoardRead, result: Any, news: list[Subscriber]) -> Problem | None:
        """Gives the result of a read, or its exception, to the views that it serves; adds to `news` who has some. A
        fault of one board ends the subscriptions of that board only."""
        board = reading.board
        if self._boards.get(board.key) is not board or board.namespace is not reading.namespace:
            return None  # It ended, or has other rules now, by which the next tick reads it.
        try:
            if isinstance(_raised(result), Statistics):
                news += publish_stats(reading, result)
            else:
                news += publish(reading, result.page, result.names)
        except Problem as problem:
            self._end(reading.arrived(), problem)
            return problem
        except Exception:
            log.exception(
                "a watched board failed",
                namespace=board.namespace.name,
                window=board.window_name,
                category=board.category,
            )
            self._end(board.everyone(), Internal("it is logged"))
        return None

    async def _review(self) -> None:
        """Checks again who may watch which namespaces, and whether these still exist. While a store is away nothing
        ends: its problem is raised.

        O(tokens + namespaces that changed) look-ups; O(subscribers) checks, only of those boards unless a key changed.
        """
        stale, self._stale = self._stale, NOTHING
        boards = list(self._boards.values())
        names = list({board.namespace.name for board in boards if stale.has_namespace(board.namespace.name)})
        viewers = [viewer for viewer in self.viewers if viewer.is_known and stale.has_key(viewer.key_id)]
        renewed = await self._gather(viewer.renew() for viewer in viewers)
        namespaces = await self._gather(self._namespace_cache.namespace(name) for name in names)
        for answer in (*renewed, *namespaces):
            if isinstance(answer, BaseException) and not isinstance(answer, NamespaceNotFound):
                self._stale = self._stale.joined(stale)
                raise answer
        by_name = dict(zip(names, namespaces, strict=True))
        for board in boards:
            if viewers or board.namespace.name in by_name:
                self._admit(board, by_name.get(board.namespace.name, board.namespace))

    def _admit(self, board: WatchedBoard, current: Namespace | NamespaceNotFound) -> None:
        """Ends the subscriptions that are not allowed any more. current: the namespace that has the name now."""
        try:
            if isinstance(current, NamespaceNotFound):
                raise current
            if current.id != board.namespace.id:
                raise NamespaceNotFound(f"{current.name!r} was deleted and made anew")
            find_board(current, board.window_name, board.category, 0, FIELDS)
        except Problem as problem:
            self._end(board.everyone(), problem)
            return
        self._register.adopt(board, current)
        for subscriber in board.everyone():
            try:
                subscriber.viewer.check(current)
            except Problem as problem:
                self._end([subscriber], problem)

    def _end(self, subscribers: Iterable[Subscriber], problem: Problem) -> None:
        for subscriber in list(subscribers):
            if subscriber in self._watched:
                self.unsubscribe(subscriber)
                subscriber.fail(problem)

    async def _gather(self, work: Iterable[Awaitable[Any]]) -> list[Any]:
        """The result of each awaitable, or its exception, in order."""

        async def bounded(one: Awaitable[Any]) -> Any:
            async with self._calls:
                return await one

        return await asyncio.gather(*map(bounded, work), return_exceptions=True)

    def _note_change(self, changed: Changed) -> None:
        self._stale = self._stale.joined(changed)
        self._wake.set()


def _raised(reply: Any) -> Any:
    """A reply, unless it is an exception."""
    if isinstance(reply, BaseException):
        raise reply
    return reply

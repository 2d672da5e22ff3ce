"""Rank events: the top of a board, compared with the one that was told last.

Nothing is queued: while a receiver is slow or away, what would be told is worked out anew from the board as it is then.
So states in between may be skipped, and the last one never is.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

from ..drivers.postgres import Fetch
from ..model.errors import Problem
from ..model.namespace import Namespace
from ..model.rank_change import RankChange, TopRow, rank_changes
from ..model.views import Top
from ..model.visibility import is_erased
from ..model.webhook import RANK_TYPES, WatchedTop, WebhookSettings
from ..model.webhook_message import Message, message_of
from ..store.board_reader import BoardReader
from ..store.boards import BoardPage
from ..store.namespace_cache import namespace_from_row
from .delivery_session import DelivererSession
from .stream import Head

#: Seconds between two looks at a board.
LOOK_BOARD_S = 1.0
#: Seconds for which a namespace's rules are remembered: they say which board the current window has.
RULES_S = 5.0


class WatchedBoard(NamedTuple):
    """A board at one moment. name: as in the ledger; window: as a client reads it."""

    namespace: Namespace
    name: str
    window: str
    category: str | None
    epoch: int
    version: int
    rows: Sequence[TopRow]


class RankServices(NamedTuple):
    """What all rank streams share. clock: µs."""

    boards: BoardReader
    clock: Callable[[], int]


class RankStream:
    """The rank events of one webhook's board."""

    name = "rank"
    failing_state = "failing"

    def __init__(
        self,
        session: DelivererSession,
        number: int,
        settings: WebhookSettings,
        services: Callable[[], RankServices],
        top: str | None,
    ) -> None:
        self._session = session
        self._number = number
        self._settings = settings
        self._types = frozenset(settings.types) & set(RANK_TYPES)
        self._services = services
        state = {} if top is None else json.loads(top)
        self._board: str | None = state.get("board")
        self._ranks: dict[int, int] = {int(user): rank for user, rank in state.get("ranks", {}).items()}
        self._looked_s = float("-inf")
        self._namespace: Namespace | None = None
        self._rules_until_s = float("-inf")
        self._page: tuple[str, BoardPage] | None = None
        self._waiting: deque[Head] = deque()

    async def head(self) -> Head | None:
        """See Stream. Another message than before where the board has changed since. O(log n + rows)."""
        if self._settings.board is not None and monotonic() - self._looked_s >= LOOK_BOARD_S:
            self._looked_s = monotonic()
            try:
                board = await self._read(self._settings.board)
            except Problem:
                board = None  # A store is away, or the partition is not served: what it shows is no state of the board.
            if board is not None:
                self._compare(board)
        return self._waiting[0] if self._waiting else None

    async def _read(self, watched: WatchedTop) -> WatchedBoard | None:
        """The board; None where there is none, where it is as before, or where Postgres does not know all of its users
        yet."""
        namespace, services = await self._find_namespace(), self._services()
        if namespace is None:
            return None
        window = namespace.calendar.find(watched.window, services.clock())
        if window is None or (watched.category is not None and not namespace.rules.category_boards):
            return None
        name = window.name if watched.category is None else f"{window.name}:{watched.category}"
        page = await services.boards.read(namespace, name, Top(watched.limit))
        if self._page == (name, page):
            return None
        names = [row.user for row in page.rows]
        numbers = {row["name"]: row["number"] for row in await self._session.fetch("get_user_numbers", names)}
        if not numbers.keys() >= set(names):
            return None
        self._page = name, page
        rows = [TopRow(numbers[row.user], row.rank0 + 1, row.units) for row in page.rows]
        return WatchedBoard(namespace, name, window.name, watched.category, page.epoch, page.version, rows)

    async def _find_namespace(self) -> Namespace | None:
        if monotonic() >= self._rules_until_s:
            rows = await self._session.fetch("get_namespace", self._settings.namespaces)
            self._namespace = namespace_from_row(rows[0]) if rows else None
            self._rules_until_s = monotonic() + RULES_S
        return self._namespace

    def _compare(self, board: WatchedBoard) -> None:
        """Works out anew what waits. A new window begins with nobody on its board."""
        if board.name != self._board:
            self._board, self._ranks = board.name, {}
        first = self._waiting[0] if self._waiting else None
        self._waiting.clear()
        for change in rank_changes(self._ranks, board.rows):
            if change.type not in self._types:
                self._apply(change.user, change.rank)
                continue
            head = self._head(board, change)
            # What is still true keeps its id: it is the same message, which failed before.
            is_same = first is not None and _subject(first) == _subject(head)
            self._waiting.append(first if first is not None and is_same else head)

    def _head(self, board: WatchedBoard, change: RankChange) -> Head:
        place: dict[str, Any] = {
            "stream": self.name,
            "namespace_id": board.namespace.id,
            "namespace": board.namespace.name,
            "board": board.name,
            "window": board.window,
            "category": board.category,
            "user": change.user,
            "rank": change.rank,
            "previous_rank": change.previous_rank,
            "score": board.namespace.number_or_none(change.units),
            "epoch": board.epoch,
            "version": board.version,
            "at": datetime.now(UTC).isoformat(),
        }
        message_id = f"msg_r{self._number}-{board.epoch}-{board.version}-{change.type[0]}{change.user}"
        return Head(message_id, change.type, place)

    async def render(self, head: Head) -> Message | None:
        """See Stream. None for a user who is hidden or erased, or for a namespace that is not the webhook's now."""
        place = head.place
        if place["namespace"] != self._settings.namespaces:
            return None
        rows = await self._session.fetch("get_webhook_user", place["user"], place["namespace_id"])
        if not rows or rows[0]["is_hidden"] or is_erased(rows[0]["name"]):
            return None
        data = {
            **{name: place[name] for name in ("namespace", "window", "category")},
            "user_id": rows[0]["name"],
            **{name: place[name] for name in ("rank", "previous_rank", "score", "epoch", "version")},
        }
        return message_of(head.message_id, head.type, datetime.fromisoformat(place["at"]), data)

    async def settle(self, head: Head, fetch: Fetch) -> None:
        """See Stream."""
        self._waiting.popleft()
        self._apply(head.place["user"], head.place["rank"])
        state = json.dumps({"board": self._board, "ranks": self._ranks})
        await fetch("put_webhook_top", self._number, state, head.place["version"])

    def _apply(self, user: int, rank: int | None) -> None:
        if rank is None:
            self._ranks.pop(user, None)
        else:
            self._ranks[user] = rank


def _subject(head: Head) -> tuple[Any, ...]:
    """What a message is about, whichever version it was seen at."""
    place = head.place
    return head.type, place["board"], place["user"], place["rank"], place["previous_rank"], place["score"]

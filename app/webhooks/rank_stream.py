"""Rank events: the top of a board, compared with the one that was told last.

Nothing is queued: while a receiver is slow or away, what would be told is worked out anew from the board as it is then.
So states in between may be skipped, and the last one never is.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
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
from .newest_entries import LedgerPlace
from .stream import Head, StreamState
from .watched_namespaces import WatchedNamespaces

#: Seconds between two looks at a board.
LOOK_BOARD_S = 1.0
#: The same where the ledger of its partition has nothing new: whatever moved the board moves that soon after.
LOOK_IDLE_BOARD_S = 30.0


class WatchedBoard(NamedTuple):
    """A board at one moment. name: as in the ledger; window: as a client reads it."""

    namespace: Namespace
    name: str
    window: str
    category: str | None
    epoch: int
    version: int
    rows: Sequence[TopRow]

    def state(self) -> "BoardState":
        """What says whether the board is as before."""
        return BoardState(self.namespace.id, self.name, self.epoch, self.version)


class BoardState(NamedTuple):
    """A state of a board: the same one has the same rows. A namespace that was made anew has another id, and may have
    an older epoch and version."""

    namespace_id: int = 0
    board: str | None = None
    epoch: int = 0
    version: int = 0


class RankServices(NamedTuple):
    """What all rank streams share. boards: makes connections at its first call; ends: how far the ledger of each
    partition is; clock: µs."""

    boards: Callable[[], BoardReader]
    namespaces: WatchedNamespaces
    ends: Mapping[int, LedgerPlace]
    clock: Callable[[], int]


class RankStream:
    """The rank events of one webhook's board."""

    name = "rank"
    failing_state = "failing"

    def __init__(
        self, fetch: Fetch, number: int, settings: WebhookSettings, services: RankServices, top: str | None
    ) -> None:
        self._fetch = fetch
        self._number = number
        self._settings = settings
        self._types = frozenset(settings.types) & set(RANK_TYPES)
        self._services = services
        state = {} if top is None else json.loads(top)
        self._board: str | None = state.get("board")
        self._ranks: Mapping[int, int] = {int(user): rank for user, rank in state.get("ranks", {}).items()}
        self._last_version: tuple[int, int] = (state.get("epoch", 0), state.get("version", 0))
        self._last_state = BoardState(*state.get("state", ()))
        self._looked_s = float("-inf")
        self._sight: tuple[Any, ...] | None = None
        self._sight_s = float("-inf")
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
        namespace = await self._services.namespaces.find(self._settings.namespaces)
        if namespace is None:
            return None
        window = namespace.calendar.find(watched.window, self._services.clock())
        if window is None or (watched.category is not None and not namespace.rules.category_boards):
            return None
        name = window.name if watched.category is None else f"{window.name}:{watched.category}"
        sight = namespace.id, namespace.version, name, self._services.ends.get(namespace.partition)
        if sight == self._sight and monotonic() - self._sight_s < LOOK_IDLE_BOARD_S:
            return None
        page = await self._services.boards().read(namespace, name, Top(watched.limit))
        if self._page != (name, page):
            names = [row.user for row in page.rows]
            numbers = {row["name"]: row["number"] for row in await self._fetch("get_user_numbers", names)}
            if not numbers.keys() >= set(names):
                return None
            rows = [TopRow(numbers[row.user], row.rank0 + 1, row.units) for row in page.rows]
            board = WatchedBoard(namespace, name, window.name, watched.category, page.epoch, page.version, rows)
        else:
            board = None
        self._page, self._sight, self._sight_s = (name, page), sight, monotonic()
        return board

    def _compare(self, board: WatchedBoard) -> None:
        """Works out anew what waits. A new window begins with nobody on its board."""
        if board.name != self._board:
            self._board, self._ranks = board.name, {}
        first = self._waiting[0] if self._waiting else None
        self._waiting.clear()
        version = self._next_version(board)
        for change in rank_changes(self._ranks, board.rows):
            if change.type not in self._types:
                self._ranks = _with_rank(self._ranks, change.user, change.rank)
                continue
            head = self._head(board, change, *version)
            # What is still true keeps its id: it is the same message, which failed before.
            is_same = first is not None and _subject(first) == _subject(head)
            self._waiting.append(first if first is not None and is_same else head)

    def _next_version(self, board: WatchedBoard) -> tuple[int, int]:
        """The epoch and version under which a board is told: its own, unless a later one was told before. So who keeps
        what has the highest one is right also behind a namespace that was made anew."""
        if board.state() == self._last_state:
            return self._last_version
        epoch, version = self._last_version
        return max((board.epoch, board.version), (epoch, version + 1))

    def _head(self, board: WatchedBoard, change: RankChange, epoch: int, version: int) -> Head:
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
            "epoch": epoch,
            "version": version,
            "state": board.state(),
            "at": datetime.now(UTC).isoformat(),
        }
        message_id = f"msg_r{self._number}-{epoch}-{version}-{change.type[0]}{change.user}"
        return Head(message_id, change.type, place)

    async def render(self, head: Head) -> Message | None:
        """See Stream. None for a user who was erased, or for a namespace that is not the webhook's now. A user who is
        hidden has only left."""
        place = head.place
        if place["namespace"] != self._settings.namespaces:
            return None
        rows = await self._fetch("get_webhook_user", place["user"], place["namespace_id"])
        if not rows or is_erased(rows[0]["name"]) or (rows[0]["is_hidden"] and head.type != "left"):
            return None
        data = {
            **{name: place[name] for name in ("namespace", "window", "category")},
            "user_id": rows[0]["name"],
            **{name: place[name] for name in ("rank", "previous_rank", "score", "epoch", "version")},
        }
        return message_of(head.message_id, head.type, datetime.fromisoformat(place["at"]), data)

    def state_behind(self, head: Head, *, is_dropped: bool) -> StreamState:
        """See Stream."""
        top = {"board": self._board, "ranks": self._ranks_behind(head, is_dropped)}
        versions = {name: head.place[name] for name in ("epoch", "version", "state")}
        return StreamState(top=json.dumps(top | versions), top_version=head.place["version"])

    def pass_head(self, head: Head, *, is_dropped: bool) -> None:
        """See Stream."""
        self._waiting.popleft()
        self._ranks = self._ranks_behind(head, is_dropped)
        self._last_version = head.place["epoch"], head.place["version"]
        self._last_state = head.place["state"]

    def _ranks_behind(self, head: Head, is_dropped: bool) -> Mapping[int, int]:
        """The ranks as they were told. Of what was dropped nobody knows, but that the user is there no more."""
        user, rank = head.place["user"], head.place["rank"]
        return self._ranks if is_dropped and rank is not None else _with_rank(self._ranks, user, rank)


def _with_rank(ranks: Mapping[int, int], user: int, rank: int | None) -> dict[int, int]:
    """Ranks by number of user after a change. rank: None for a user who left."""
    others = {number: place for number, place in ranks.items() if number != user}
    return others if rank is None else others | {user: rank}


def _subject(head: Head) -> tuple[Any, ...]:
    """What a message is about, whichever version it was seen at."""
    place = head.place
    return head.type, place["board"], place["user"], place["rank"], place["previous_rank"], place["score"]

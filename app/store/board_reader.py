"""Boards of closed windows: as `lua/read_board.lua` reads an open one, out of Postgres."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from ..drivers.postgres import Postgres
from ..model.errors import Invalid, StoreUnavailable
from ..model.hidden_adjustment import ArchivedPosition, HiddenAdjustment, HiddenEntry
from ..model.namespace import Namespace
from ..model.percentile import position_of
from ..model.sample import draw_sample
from ..model.stats import ranks_within
from ..model.tie_break import DIGITS, member_of, place_from_digits
from . import fields, keys
from .boards import BoardPage, BoardRow, ScoreRank, board_call, is_archived, read_board, read_score
from .read_batcher import ReadBatcher

#: Reads of an archive while new revisions come in between; after them the answer is that the store is unavailable.
READS_MAX = 4
BoardView = Sequence[str | int | bytes | float]


class BoardReader:
    """Boards, wherever they stand: in Redis while their window is open, in Postgres when it is closed."""

    def __init__(self, batcher: ReadBatcher, postgres: Postgres) -> None:
        self._batcher = batcher
        self._postgres = postgres

    async def read(self, namespace: Namespace, board: str, view: BoardView, ranking: str | None = None) -> BoardPage:
        """A stretch of a board. O(log n + entries); StoreUnavailable, Recovering."""
        reply = await self._batcher.call(board_call(namespace, board, view, ranking))
        return await self.resolve(namespace, board, view, ranking, reply)

    async def resolve(
        self, namespace: Namespace, board: str, view: BoardView, ranking: str | None, reply: Any
    ) -> BoardPage:
        """What a board call's reply tells, or the archive where it tells that the board stands there."""
        if not is_archived(reply):
            return read_board(reply, namespace.sign)
        view, first, behind = await self._located(namespace, board, view)
        rows, closing = await self._closed_up(namespace, board, view)
        total = rows[0]["total"] - len(closing) if rows else 0
        behind = total if behind is None else behind
        rows = [row for row in rows if row["position"] is not None and not row["is_hidden"]]
        if view[0] == "after":
            rows = [row for row in rows if closing.shown(ArchivedPosition(row["position"], 0, 0, 0)).position <= behind]
            rows = rows[: int(view[3])]
        held = [
            (closing.shown(ArchivedPosition(*(row[name] for name in ArchivedPosition._fields))), row["name"])
            for row in rows
        ]
        how = ranking or namespace.rules.ranking
        places = [BoardRow(at.position, name, namespace.sign * at.sort_key, _before(at, how)) for at, name in held]
        is_page = view[0] in ("page", "after") and places and places[-1].position < behind
        last = (rows[-1]["sort_key"], _member_of(namespace, rows[-1])) if is_page else None
        return BoardPage(int(reply[1]), 0, int(reply[2]), total, places, last, behind - first)

    async def _closed_up(
        self, namespace: Namespace, board: str, view: BoardView
    ) -> tuple[list[asyncpg.Record], HiddenAdjustment]:
        """The rows that serve a view, and how they close up, of one revision: a new one may come in between."""
        for _ in range(READS_MAX):
            rows = await self._rows(namespace, board, view)
            if not rows or not rows[0]["has_hidden"]:
                return rows, HiddenAdjustment(())
            gone = await self._postgres.fetch("get_hidden_archive_rows", namespace.id, board)
            closing = HiddenAdjustment(HiddenEntry(row["position"], row["sort_key"], row["peers"]) for row in gone)
            rows = await self._behind(namespace, board, view, closing, rows)
            if not gone or not rows or gone[0]["revision"] == rows[0]["revision"]:
                return rows, closing
        raise StoreUnavailable("the archive of this board keeps changing")

    async def score_of(self, namespace: Namespace, board: str, user: str) -> int | None:
        """A user's score on a board, whether the user is shown there or not. O(log n)."""
        shown = await self.read(namespace, board, ["users", user])
        if shown.places:
            return shown.places[0].units
        kept = keys.balances(namespace.partition, namespace.id) + user
        held = await self._batcher.call(("HGET", kept, fields.HIDDEN_SCORE + board))
        if held is not None:
            return int(held)
        rows = await self._postgres.fetch("get_archive_rows_by_name", namespace.id, board, [user])
        return next((namespace.sign * row["sort_key"] for row in rows if row["sort_key"] is not None), None)

    async def resolve_score(
        self, namespace: Namespace, board: str, units: int, ranking: str | None, reply: Any
    ) -> ScoreRank:
        """What a score call's reply tells, or the archive where it tells that the board stands there."""
        if not is_archived(reply):
            return read_score(reply)
        key = namespace.sign * units
        total, (at, below) = await self._above(namespace, board, [key, key - 1])
        before = _before(at._replace(position=at.better_users + 1), ranking or namespace.rules.ranking)
        return ScoreRank(
            int(reply[1]), int(reply[2]), total, at.better_users, below.better_users - at.better_users, before
        )

    async def _above(self, namespace: Namespace, board: str, wanted: list[int]) -> tuple[int, list[ArchivedPosition]]:
        """How many are shown, and how many users and scores of them stand above each key. O(log n) a key."""
        rows = await self._postgres.fetch("count_archive_rows_above", namespace.id, board, wanted)
        if not rows:
            return 0, [ArchivedPosition(1, key, 0, 0) for key in wanted]
        closing = await self._closing(namespace, board) if rows[0]["has_hidden"] else HiddenAdjustment(())
        held = [
            closing.shown(ArchivedPosition(1, row["sort_key"], row["better_users"], row["better_scores"]))
            for row in rows
        ]
        return rows[0]["total"] - len(closing), held

    async def _located(self, namespace: Namespace, board: str, view: BoardView) -> tuple[BoardView, int, int | None]:
        """A view by places where bounds or the board's size tell which; the first place and the one behind the last
        that it may show, counted from 0, None: the board's."""
        match list(view):
            case ["page", int(offset), int(limit), int(low), int(high)]:
                first, behind = await self._within(namespace, board, low, high)
                return ["page", first + offset, max(0, min(limit, behind - first - offset))], first, behind
            case ["after", int(key), _, int(limit), int(low), int(high)] if key > high:
                return await self._located(namespace, board, ["page", 0, limit, low, high])
            case ["after", int(key), member, int(limit), int(low), int(high)]:
                return ["after", key, member, limit], *await self._within(namespace, board, low, high)
            case ["percentile", int(share)]:
                total, _ = await self._above(namespace, board, [0])
                return ["places", *([position_of(share, total)] if total else [])], 0, None
            case ["random", *fractions]:
                total, _ = await self._above(namespace, board, [0])
                return ["places", *draw_sample(map(float, fractions), total)], 0, None
            case ["bands", *shares]:
                return ["places", *await self._edges(namespace, board, [float(share) for share in shares])], 0, None
        return view, 0, None

    async def _edges(self, namespace: Namespace, board: str, shares: list[float]) -> list[int]:
        """The first and the last place of each band up to a share. O(shares × log n)."""
        total, _ = await self._above(namespace, board, [0])
        inside = [ranks_within(share, total) for share in shares if total]
        rows, closing = await self._closed_up(namespace, board, ["places", *inside])
        wanted = {closing.counted(place) for place in inside}
        keys = sorted({row["sort_key"] for row in rows if row["position"] in wanted}, reverse=True)
        _, behind = await self._above(namespace, board, [key - 1 for key in keys])
        last = [at.better_users for at in behind]
        return sorted({*last, *(before + 1 for before in (0, *last[:-1]))} if last else ())

    async def _within(self, namespace: Namespace, board: str, low: int, high: int) -> tuple[int, int]:
        """The first place within bounds and the one behind the last, counted from 0. O(log n)."""
        _, (above, behind) = await self._above(namespace, board, [high, low - 1])
        return above.better_users, max(above.better_users, behind.better_users)

    async def _closing(self, namespace: Namespace, board: str) -> HiddenAdjustment:
        """How a board closes up behind its users who are not shown. O(those)."""
        rows = await self._postgres.fetch("get_hidden_archive_rows", namespace.id, board)
        return HiddenAdjustment(HiddenEntry(row["position"], row["sort_key"], row["peers"]) for row in rows)

    async def _behind(
        self, namespace: Namespace, board: str, view: BoardView, closing: HiddenAdjustment, rows: list[asyncpg.Record]
    ) -> list[asyncpg.Record]:
        """The rows that serve a view of a board that closes up."""
        at = namespace.id, board
        match view[0]:
            case "page":
                first, last = int(view[1]) + 1, int(view[1]) + int(view[2])
            case "after":
                since, name = _member(view[2], namespace.rules.tie_break)
                most = int(view[3]) + len(closing)
                return await self._postgres.fetch("get_archive_rows_after", *at, int(view[1]), since, name, most)
            case "around":
                own = next((row["position"] for row in rows if row["name"] == view[1]), None)
                if own is None or closing.hides(own):
                    return [row for row in rows if row["position"] is None] or await self._page(at, 0, 0)
                shown = closing.shown(ArchivedPosition(own, 0, 0, 0)).position
                first, last = max(1, shown - int(view[2])), shown + int(view[2])
            case "places":
                places = [closing.counted(int(shown)) for shown in view[1:]]
                return await self._postgres.fetch("get_archive_rows_at", *at, places)
            case _:
                return rows
        return await self._page(at, closing.counted(first), closing.counted(last))

    async def _page(self, at: tuple[int, str], first: int, last: int) -> list[asyncpg.Record]:
        return await self._postgres.fetch("get_archive_page", *at, first, last)

    async def _rows(self, namespace: Namespace, board: str, view: BoardView) -> list[asyncpg.Record]:
        """The archive's rows that serve a view, in one question."""
        kind, *args = view
        at = namespace.id, board
        match kind:
            case "page":
                return await self._page(at, int(args[0]) + 1, int(args[0]) + int(args[1]))
            case "after":
                since, name = _member(args[1], namespace.rules.tie_break)
                return await self._postgres.fetch(
                    "get_archive_rows_after", *at, int(args[0]), since, name, int(args[2])
                )
            case "around":
                return await self._postgres.fetch("get_archive_neighbours", *at, args[0], int(args[1]))
            case "places":
                return await self._postgres.fetch("get_archive_rows_at", *at, list(args))
            case _:
                return await self._postgres.fetch("get_archive_rows_by_name", *at, [str(user) for user in args])


def _before(at: ArchivedPosition, ranking: str) -> int:
    """One less than the rank."""
    return {"competition": at.better_users, "dense": at.better_scores, "ordinal": at.position - 1}[ranking]


def _member_of(namespace: Namespace, row: asyncpg.Record) -> bytes:
    """The member that a row would be on a board."""
    return member_of(row["name"].encode(), int(row["tie_place"]), namespace.rules.tie_break)


def _member(held: Any, tie_break: str) -> tuple[int, str]:
    """since and name of a cursor's member. Invalid."""
    since = place_from_digits(held, tie_break)
    try:
        if since is not None:
            return since, held[DIGITS[tie_break] :].decode()
    except ValueError:
        pass
    raise Invalid("is not a cursor of a board", field="?cursor")

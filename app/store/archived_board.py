"""A board of an archived window. It answers each view from Postgres as the scripts answer it from Redis."""

from typing import NamedTuple, assert_never

import asyncpg

from ..drivers.postgres import Postgres
from ..model.cursor_problem import cursor_problem
from ..model.errors import StoreUnavailable
from ..model.hidden_adjustment import ArchivedPosition, HiddenAdjustment, HiddenRow
from ..model.namespace import Namespace
from ..model.percentile import position_of
from ..model.sample import draw_sample
from ..model.stats import ranks_within
from ..model.tie_break import DIGITS, member_of, tie_place_from_digits
from ..model.views import After, Around, BandEdges, BoardView, KeyBounds, Page, Percentile, Sample, Top, Users
from .boards import BoardPage, BoardRow, ScoreRank

#: Reads of an archive if new revisions come in between; after them the answer is StoreUnavailable.
READS_MAX = 4
_NOBODY = HiddenAdjustment(())


class Positions(NamedTuple):
    """The rows at some positions, counted from 1."""

    positions: tuple[int, ...]


ArchiveView = Page | After | Around | Users | Positions


class ArchiveQuery(NamedTuple):
    """A view in terms of the archive: the rows after the first `begin`, up to the first `end` of the board; None: to
    its end."""

    view: ArchiveView
    begin: int = 0
    end: int | None = None


class ArchivedBoard:
    """One board in Postgres. Its positions include hidden users; the results here are without them."""

    def __init__(self, postgres: Postgres, namespace: Namespace, board: str) -> None:
        self._postgres = postgres
        self._namespace = namespace
        self._key = namespace.id, board

    async def read(self, view: BoardView, ranking: str, epoch: int, version: int) -> BoardPage:
        """The page of a view. O(log n + rows); Invalid for a cursor of another board, StoreUnavailable."""
        query = await self._query(view)
        rows, hidden = await self._rows(query.view)
        board_size = rows[0]["board_size"] - len(hidden) if rows else 0
        end = board_size if query.end is None else query.end
        rows = [row for row in rows if row["position"] is not None and not row["is_hidden"]]
        if isinstance(query.view, After):
            rows = [row for row in rows if hidden.adjust(_position_in(row)).position <= end][: query.view.limit]
        board_rows = [self._board_row(row, hidden, ranking) for row in rows]
        is_page = isinstance(query.view, Page | After) and board_rows and board_rows[-1].position < end
        last = (rows[-1]["sort_key"], self._member_in(rows[-1])) if is_page else None
        return BoardPage(epoch, 0, version, board_size, board_rows, last, end - query.begin, is_archived=True)

    async def rank_score(self, units: int, *, ranking: str, epoch: int, version: int) -> ScoreRank:
        """The rank that a score has, or would have. O(log n); StoreUnavailable."""
        key = self._namespace.sign * units
        board_size, (at, below) = await self._above([key, key - 1])
        rank0 = _rank0(at._replace(position=at.better_users + 1), ranking)
        return ScoreRank(epoch, version, board_size, at.better_users, below.better_users - at.better_users, rank0)

    async def score_of(self, user: str) -> int | None:
        """A user's score, also a hidden user's. O(log n); StoreUnavailable."""
        rows = await self._fetch(Users((user,)), _NOBODY)
        return next((self._namespace.sign * row["sort_key"] for row in rows if row["sort_key"] is not None), None)

    async def _query(self, view: BoardView) -> ArchiveQuery:
        """The query of a view. Finds positions that depend on bounds or on the board's size. O(log n), with bands
        O(bands × log n)."""
        match view:
            case Around() | Users():
                return ArchiveQuery(view)
            case Top():
                return ArchiveQuery(Page(0, view.limit))
            case Page():
                if view.bounds is None:
                    return ArchiveQuery(view)
                begin, end = await self._stretch(view.bounds)
                limit = max(0, min(view.limit, end - begin - view.offset))
                return ArchiveQuery(Page(begin + view.offset, limit), begin, end)
            case After():
                if view.bounds is None:
                    return ArchiveQuery(view)
                if view.sort_key > view.bounds.high:
                    return await self._query(Page(0, view.limit, view.bounds))
                return ArchiveQuery(view, *await self._stretch(view.bounds))
            case Percentile():
                board_size = await self._board_size()
                return ArchiveQuery(Positions((position_of(view.millionths, board_size),) if board_size else ()))
            case Sample():
                return ArchiveQuery(Positions(tuple(draw_sample(view.numbers, await self._board_size()))))
            case BandEdges():
                return ArchiveQuery(Positions(await self._edges(view.fractions)))
            case _:
                assert_never(view)

    async def _fetch(self, view: ArchiveView, hidden: HiddenAdjustment) -> list[asyncpg.Record]:
        """The archive's rows for a view, in one query, with those of hidden users."""
        match view:
            case Page():
                return await self._page(view.offset + 1, view.offset + view.limit, hidden)
            case After():
                tie_place, name = _parse_member(view.member, self._namespace.rules.tie_break)
                limit = view.limit + len(hidden)
                return await self._postgres.fetch(
                    "get_archive_rows_after", *self._key, view.sort_key, tie_place, name, limit
                )
            case Around():
                return await self._postgres.fetch("get_archive_neighbours", *self._key, view.user, view.radius)
            case Users():
                return await self._postgres.fetch("get_archive_rows_by_name", *self._key, list(view.users))
            case Positions():
                positions = [hidden.archived_position(position) for position in view.positions]
                return await self._postgres.fetch("get_archive_rows_at", *self._key, positions)
            case _:
                assert_never(view)

    async def _rows(self, view: ArchiveView) -> tuple[list[asyncpg.Record], HiddenAdjustment]:
        """The rows for a view, and the board's hidden users, both of one revision."""
        for _ in range(READS_MAX):
            rows = await self._fetch(view, _NOBODY)
            if not rows or not rows[0]["has_hidden"]:
                return rows, _NOBODY
            hidden_rows = await self._hidden_rows()
            hidden = _adjustment(hidden_rows)
            if isinstance(view, Around):
                rows = await self._neighbours(view, rows, hidden)
            elif not isinstance(view, Users):
                rows = await self._fetch(view, hidden)
            if not hidden_rows or not rows or hidden_rows[0]["revision"] == rows[0]["revision"]:
                return rows, hidden
        raise StoreUnavailable("the archive of this board keeps changing")

    async def _neighbours(
        self, view: Around, rows: list[asyncpg.Record], hidden: HiddenAdjustment
    ) -> list[asyncpg.Record]:
        """The rows around a user of a board with hidden users. rows: those around the user with the hidden ones."""
        row = next((row for row in rows if row["name"] == view.user and row["position"] is not None), None)
        if row is None or hidden.hides(row["position"]):
            return [row for row in rows if row["position"] is None] or await self._page(0, 0, _NOBODY)
        position = hidden.adjust(_position_in(row)).position
        return await self._page(max(1, position - view.radius), position + view.radius, hidden)

    async def _page(self, first: int, last: int, hidden: HiddenAdjustment) -> list[asyncpg.Record]:
        """The rows from one position to another, both included."""
        positions = hidden.archived_position(first), hidden.archived_position(last)
        return await self._postgres.fetch("get_archive_page", *self._key, *positions)

    async def _hidden_rows(self) -> list[asyncpg.Record]:
        return await self._postgres.fetch("get_hidden_archive_rows", *self._key)

    async def _board_size(self) -> int:
        board_size, _ = await self._above([0])
        return board_size

    async def _above(self, keys: list[int]) -> tuple[int, list[ArchivedPosition]]:
        """The number of users on the board, and the numbers of users and scores above each key. O(log n) a key."""
        rows = await self._postgres.fetch("count_archive_rows_above", *self._key, keys)
        if not rows:
            return 0, [ArchivedPosition(1, key, 0, 0) for key in keys]
        hidden = _adjustment(await self._hidden_rows()) if rows[0]["has_hidden"] else _NOBODY
        above = [
            hidden.adjust(ArchivedPosition(1, row["sort_key"], row["better_users"], row["better_scores"]))
            for row in rows
        ]
        return rows[0]["board_size"] - len(hidden), above

    async def _stretch(self, bounds: KeyBounds) -> tuple[int, int]:
        """The number of rows before the first one within bounds, and before the first one after them. O(log n)."""
        _, (above, behind) = await self._above([bounds.high, bounds.low - 1])
        return above.better_users, max(above.better_users, behind.better_users)

    async def _edges(self, fractions: tuple[float, ...]) -> tuple[int, ...]:
        """The first and the last position of each band up to a fraction. O(fractions × log n)."""
        board_size = await self._board_size()
        inside = [ranks_within(fraction, board_size) for fraction in fractions if board_size]
        rows, hidden = await self._rows(Positions(tuple(inside)))
        archived = {hidden.archived_position(position) for position in inside}
        keys = sorted({row["sort_key"] for row in rows if row["position"] in archived}, reverse=True)
        _, behind = await self._above([key - 1 for key in keys])
        last = [at.better_users for at in behind]
        return tuple(sorted({*last, *(end + 1 for end in (0, *last[:-1]))} if last else ()))

    def _board_row(self, row: asyncpg.Record, hidden: HiddenAdjustment, ranking: str) -> BoardRow:
        at = hidden.adjust(_position_in(row))
        return BoardRow(at.position, row["name"], self._namespace.sign * at.sort_key, _rank0(at, ranking))

    def _member_in(self, row: asyncpg.Record) -> bytes:
        """The member that the row had in the sorted set."""
        return member_of(row["name"].encode(), int(row["tie_place"]), self._namespace.rules.tie_break)


def _adjustment(rows: list[asyncpg.Record]) -> HiddenAdjustment:
    return HiddenAdjustment(HiddenRow(row["position"], row["sort_key"], row["peers"]) for row in rows)


def _position_in(row: asyncpg.Record) -> ArchivedPosition:
    return ArchivedPosition(row["position"], row["sort_key"], row["better_users"], row["better_scores"])


def _rank0(at: ArchivedPosition, ranking: str) -> int:
    """One less than the rank."""
    return {"competition": at.better_users, "dense": at.better_scores, "ordinal": at.position - 1}[ranking]


def _parse_member(member: bytes, tie_break: str) -> tuple[int, str]:
    """A member's tie place, and its user. Invalid."""
    tie_place = tie_place_from_digits(member, tie_break)
    try:
        if tie_place is not None:
            return tie_place, member[DIGITS[tie_break] :].decode()
    except ValueError:
        pass
    raise cursor_problem(None, "this board")

"""Boards as they were at any moment, computed from the ledger's entries up to then."""

import asyncio
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import asyncpg

from ..drivers.postgres import Postgres
from ..model.board_ref import BoardRef
from ..model.cursor_problem import cursor_problem
from ..model.errors import Invalid, Overloaded
from ..model.micros import EARLIEST, LATEST, from_micros
from ..model.namespace import Namespace
from ..model.tie_break_replay import TieBreakReplay
from ..model.views import Page, Users
from ..store.boards import BoardRow
from ..store.log import lag_behind
from ..store.read_batcher import ReadBatcher

#: Boards of the past that a process reads at the same time: each takes at most a second of one core of Postgres.
AT_ONCE_MAX = 2
#: Live grants of such a board: 300,000 take 2 s, and the deadline is 3 s.
GRANTS_MAX = 300_000
#: Users with equal scores whose order is replayed from their entries. A page of more equals is not useful.
TIES_MAX = 2_000
#: Entries of all windows that are replayed for that order: to read and replay so many takes half a second.
EVENTS_MAX = 50_000
#: Entries of one query, unless one user has more.
EVENTS_A_STEP_MAX = 5_000
#: Entries that are replayed without a pause: 2 ms of the event loop, which other requests need too.
_YIELD_EVERY = 500
#: Grants of other windows that are scanned in the time that one of the window takes.
SCANNED_A_GRANT = 10


class HistoricalBoard(NamedTuple):
    """Rows of a board. lag_seq: entries that the ledger lacked; some may belong to it."""

    board_size: int
    rows: list[BoardRow]
    lag_seq: int


class HistoricalBoards:
    """Reads boards of the past. StoreUnavailable."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._gate = asyncio.Semaphore(AT_ONCE_MAX)

    async def read(self, board: BoardRef, view: Page | Users, at: datetime, ranking: str) -> HistoricalBoard:
        """A view of a board as of a moment; board_size is that of the whole board. O(the namespace's grants) for any
        view. Invalid for a board of too many grants. Overloaded while AT_ONCE_MAX are being read: others need the
        ledger's connections, too."""
        if self._gate.locked():
            raise Overloaded("too many boards of the past are read at once")
        async with self._gate:
            namespace = board.namespace
            await self._check_size(board)
            offset = await self._postgres.fetch_one("get_offset", namespace.partition)
            rows = await self._rows(board, view, at)
            if namespace.rules.tie_break == "earliest":
                board_rows = [row for row in await self._in_line(board, rows, ranking) if _shows(view, row)]
            else:
                board_rows = [_board_row(row, row["position"], ranking) for row in rows if row["position"] is not None]
            lag = await lag_behind(self._batcher, namespace.partition, offset)
            return HistoricalBoard(rows[0]["board_size"], board_rows, lag)

    async def _rows(self, board: BoardRef, view: Page | Users, at: datetime) -> list[asyncpg.Record]:
        """The ledger's rows for a view; with the tie break `earliest`, also all equals of its rows."""
        namespace, rules = board.namespace, board.namespace.rules
        users = list(view.users) if isinstance(view, Users) else None
        first, last = (view.offset + 1, view.offset + view.limit) if isinstance(view, Page) else (1, 0)
        return await self._postgres.fetch(
            "get_historical_board",
            *(namespace.id, board.window.name, board.category, at, namespace.aggregation.name, namespace.sign),
            *(first, last, users, namespace.by_moment, rules.tie_break == "earliest"),
        )

    async def _in_line(self, board: BoardRef, rows: list[asyncpg.Record], ranking: str) -> list[BoardRow]:
        """The rows, equals in the order in which they reached their scores. O(the entries of users who tie)."""
        rows = [row for row in rows if row["position"] is not None]
        groups = [list(group) for _, group in groupby(rows, key=lambda row: int(row["competition"]))]
        numbers = [row["number"] for group in groups if len(group) > 1 for row in group]
        if len(numbers) > TIES_MAX:
            raise Invalid(
                f"{len(numbers):,} users share the scores of these entries, and who came first is found for at most "
                f"{TIES_MAX:,}: ask for fewer entries",
                field="?as_of",
            )
        seqs = await self._seqs_of_scores(board, numbers, rows[0]["last_seq"] if rows else 0)
        board_rows = []
        for group in groups:
            group.sort(key=lambda row: seqs.get(row["number"], 0))
            board_rows += [_board_row(row, row["competition"] + i, ranking) for i, row in enumerate(group)]
        return board_rows

    async def _seqs_of_scores(self, board: BoardRef, numbers: list[int], last_seq: int) -> dict[int, int]:
        """By user, the seq of the entry that made the score, as of `last_seq`."""
        if not numbers:
            return {}
        namespace = board.namespace
        replay = TieBreakReplay(namespace.aggregation, namespace.rules.category_boards)
        for some in await self._steps(namespace, numbers):
            args = namespace.id, some, [last_seq] * len(some), board.window.name, False
            rows = await self._postgres.fetch("get_score_events", *args)
            for count, row in enumerate(rows, 1):
                replay.add(row)
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        return {number: seq for (number, name), (_, seq) in replay.since.items() if name == board.name}

    async def _steps(self, namespace: Namespace, numbers: list[int]) -> list[list[int]]:
        """The users in groups of EVENTS_A_STEP_MAX entries. Invalid if they have too many together."""
        steps: list[list[int]] = []
        count = size = 0
        for row in await self._postgres.fetch("count_user_rows", namespace.id, numbers, EVENTS_MAX + 1):
            count += row["rows"]
            if count > EVENTS_MAX:
                detail = f"the {len(numbers):,} users who share the scores of these entries have too many grants"
                raise Invalid(
                    f"{detail}: who came first is found from at most {EVENTS_MAX:,} grants and corrections of theirs; "
                    "ask for fewer entries",
                    field="?as_of",
                )
            if not steps or size + row["rows"] > EVENTS_A_STEP_MAX:
                steps.append([])
                size = 0
            steps[-1].append(row["number"])
            size += row["rows"]
        return steps

    async def _check_size(self, board: BoardRef) -> None:
        """Invalid if the read would take longer than the deadline. O(days with grants)."""
        window = board.window
        starts = EARLIEST if window.starts is None else from_micros(window.starts)
        ends = LATEST if window.ends is None else from_micros(window.ends)
        (size,) = await self._postgres.fetch(
            "count_live_grants", board.namespace.id, starts, ends, window.starts is None
        )
        if size["grants_within"] + size["grants"] // SCANNED_A_GRANT > GRANTS_MAX:
            raise Invalid(
                f"a board of the past is made of {GRANTS_MAX:,} grants at most; {window.name} has "
                f"{size['grants_within']:,} of {size['grants']:,} in its namespace",
                field="{window}",
            )


def _shows(view: Page | Users, row: BoardRow) -> bool:
    if isinstance(view, Users):
        return row.user in view.users
    return view.offset < row.position <= view.offset + view.limit


def _board_row(row: asyncpg.Record, position: int, ranking: str) -> BoardRow:
    rank = {"competition": row["competition"], "dense": row["dense"], "ordinal": position}[ranking]
    return BoardRow(position, row["name"], row["score"], rank - 1)


def history_cursor(position: int) -> str:
    """The end of a page of the past. The past does not change, so a position is enough."""
    return urlsafe_b64encode(b"past %d" % position).decode().rstrip("=")


def parse_history_cursor(text: str) -> int:
    """The number of rows before the next page. Invalid."""
    try:
        kind, _, position = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).partition(b" ")
        if kind != b"past" or not 0 < int(position) < 2**31:
            raise ValueError
        return int(position)
    except ValueError:
        raise cursor_problem(text, "a board as_of a moment") from None

"""Boards as they were: out of the ledger, for any moment of the past. A prefix of the log, by the time of recording."""

import asyncio
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import asyncpg

from ..drivers.postgres import Postgres
from ..model.errors import Invalid, Overloaded
from ..model.micros import EARLIEST, LATEST, from_micros
from ..model.namespace import COUNTED, Namespace
from ..model.tie_break_replay import TieBreakReplay
from ..model.windows import Window
from ..store.boards import BoardRow
from ..store.log import lag_behind
from ..store.read_batcher import ReadBatcher

#: Boards of the past that a process works out at once: each is a second of a core of Postgres at worst.
AT_ONCE_MAX = 2
#: Live grants that such a board may be made of: 300,000 take 2 s, and the deadline is 3.
GRANTS_MAX = 300_000
#: Users who share scores and whose order is replayed out of their entries: a page of so many equals is of no use.
TIES_MAX = 2_000
#: Entries of all windows that are replayed for that order: reading and replaying so many takes half a second.
EVENTS_MAX = 50_000
#: Entries that are read at once, unless one user has more.
EVENTS_A_STEP_MAX = 5_000
#: Entries that are replayed without a pause: 2 ms of the event loop, which is others' too.
_YIELD_EVERY = 500
#: Grants of other windows that are looked at in the time that one of the window takes.
SCANNED_A_GRANT = 10


class HistoricalBoard(NamedTuple):
    """A stretch of a board. lag_seq: entries that the ledger lacked, which may belong to it."""

    total: int
    places: list[BoardRow]
    lag_seq: int


class HistoricalBoards:
    """Questions to the ledger about what boards were. StoreUnavailable."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._gate = asyncio.Semaphore(AT_ONCE_MAX)

    async def board(
        self,
        namespace: Namespace,
        window: Window,
        category: str | None,
        at: datetime,
        ranking: str,
        *,
        offset: int = 0,
        limit: int = 0,
        users: list[str] | None = None,
    ) -> HistoricalBoard:
        """A page, or some users' places, as of `at`; the total is the board's in any case. O(the namespace's grants),
        whatever the page: Invalid for a board that is made of too many. Overloaded where as many are asked already as
        may be: the others who read the ledger need its connections."""
        if self._gate.locked():
            raise Overloaded("too many ask about the past at once")
        async with self._gate:
            rules = namespace.rules
            await self._weigh(namespace, window)
            flushed = await self._postgres.fetch_one("get_offset", namespace.partition)
            rows = await self._postgres.fetch(
                "get_historical_board",
                *(namespace.id, window.name, category, at, COUNTED[rules.aggregation, rules.order], namespace.sign),
                *(offset + 1, offset + limit, users, namespace.by_moment, rules.tie_break == "earliest"),
            )
            held = [row for row in rows if row["position"] is not None]
            places = [_place(row, row["position"], ranking) for row in held]
            if rules.tie_break == "earliest":
                places = await self._in_line(namespace, window, category, rows, ranking)
                asked = None if users is None else set(users)
                inside = range(offset + 1, offset + limit + 1)
                places = [at for at in places if (at.position in inside if asked is None else at.user in asked)]
            lag = await lag_behind(self._batcher, namespace.partition, flushed)
            return HistoricalBoard(rows[0]["total"], places, lag)

    async def _in_line(
        self, namespace: Namespace, window: Window, category: str | None, rows: list[asyncpg.Record], ranking: str
    ) -> list[BoardRow]:
        """Those found, equals in the order in which they came to their scores. O(the entries of those who tie)."""
        held = [row for row in rows if row["position"] is not None]
        groups = [list(group) for _, group in groupby(held, key=lambda row: int(row["competition"]))]
        numbers = [row["number"] for group in groups if len(group) > 1 for row in group]
        if len(numbers) > TIES_MAX:
            raise Invalid(
                f"more than {TIES_MAX:,} share the scores asked for: who came first is not told", field="?as_of"
            )
        since = await self._since(
            namespace, board_name_of(window.name, category), numbers, held[0]["last_seq"] if held else 0
        )
        found = []
        for group in groups:
            group.sort(key=lambda row: since.get(row["number"], 0))
            found += [_place(row, row["competition"] + i, ranking) for i, row in enumerate(group)]
        return found

    async def _since(self, namespace: Namespace, board: str, numbers: list[int], seq: int) -> dict[int, int]:
        """By user the seq of the entry that made the score, as of a seq."""
        if not numbers:
            return {}
        rules = namespace.rules
        replay = TieBreakReplay(COUNTED[rules.aggregation, rules.order], rules.category_boards)
        for some in await self._steps(namespace, numbers):
            rows = await self._postgres.fetch("get_score_events", namespace.id, some, [seq] * len(some))
            for count, row in enumerate(rows, 1):
                replay.add(row)
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        return {number: seq for (number, name), (_, seq) in replay.since.items() if name == board}

    async def _steps(self, namespace: Namespace, numbers: list[int]) -> list[list[int]]:
        """The users in steps of so many entries. Invalid where they have too many together."""
        steps: list[list[int]] = []
        total = size = 0
        for row in await self._postgres.fetch("count_user_rows", namespace.id, numbers, EVENTS_MAX + 1):
            total += row["rows"]
            if total > EVENTS_MAX:
                detail = f"those who share the scores asked for have more than {EVENTS_MAX:,} grants and corrections"
                raise Invalid(f"{detail}: who came first is not told", field="?as_of")
            if not steps or size + row["rows"] > EVENTS_A_STEP_MAX:
                steps.append([])
                size = 0
            steps[-1].append(row["number"])
            size += row["rows"]
        return steps

    async def _weigh(self, namespace: Namespace, window: Window) -> None:
        """Invalid where it would take longer than anybody may be asked to wait. O(days with grants)."""
        starts = EARLIEST if window.starts is None else from_micros(window.starts)
        ends = LATEST if window.ends is None else from_micros(window.ends)
        (size,) = await self._postgres.fetch("count_live_grants", namespace.id, starts, ends)
        if size["grants_within"] + size["grants"] // SCANNED_A_GRANT > GRANTS_MAX:
            raise Invalid(f"boards of the past are made of {GRANTS_MAX:,} grants at most", field="{window}")


def board_name_of(window: str, category: str | None) -> str:
    """A board's name."""
    return window if category is None else f"{window}:{category}"


def _place(row: asyncpg.Record, position: int, ranking: str) -> BoardRow:
    rank = {"competition": row["competition"], "dense": row["dense"], "ordinal": position}[ranking]
    return BoardRow(position, row["name"], row["score"], rank - 1)


def history_cursor(position: int) -> str:
    """Where a page of the past ended. The past does not move: a place says all."""
    return urlsafe_b64encode(b"past %d" % position).decode().rstrip("=")


def parse_history_cursor(text: str) -> int:
    """How many places lie before the next page. Invalid."""
    try:
        kind, _, position = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).partition(b" ")
        if kind != b"past" or not 0 < int(position) < 2**31:
            raise ValueError
        return int(position)
    except ValueError:
        raise Invalid("is not a cursor of a board as_of a moment", field="?cursor") from None

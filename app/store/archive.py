"""Boards of closed windows: as `lua/board.lua` reads an open one, out of Postgres."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from ..model.errors import Invalid
from ..model.namespace import Namespace
from . import keys
from .boards import SINCE_DIGITS, Board, Place, base_of, board_call, is_archived, member_of, read_board, since_of
from .gather import Gatherer
from .postgres import Postgres

View = Sequence[str | int | bytes]


class BoardReader:
    """Boards, wherever they stand: in Redis while their window is open, in Postgres when it is closed."""

    def __init__(self, gatherer: Gatherer, postgres: Postgres) -> None:
        self._gatherer = gatherer
        self._postgres = postgres

    async def read(self, namespace: Namespace, board: str, view: View, ranking: str | None = None) -> Board:
        """A stretch of a board. O(log n + entries); StoreUnavailable, Recovering."""
        reply = await self._gatherer.call(board_call(namespace, board, view, ranking))
        return await self.resolve(namespace, board, view, ranking, reply)

    async def resolve(self, namespace: Namespace, board: str, view: View, ranking: str | None, reply: Any) -> Board:
        """What a board call's reply tells, or the archive where it tells that the board stands there."""
        if not is_archived(reply):
            return read_board(reply, namespace.sign)
        rows = await self._rows(namespace, board, view)
        total = rows[0]["total"] if rows else 0
        rows = [row for row in rows if row["position"] is not None]
        rank_by = {"competition": "better", "dense": "levels"}.get(ranking or namespace.rules.ranking)
        places = [
            Place(
                *(row["position"], row["name"], namespace.sign * row["key"]),
                row["position"] - 1 if rank_by is None else row[rank_by],
            )
            for row in rows
        ]
        is_page = view[0] in ("page", "after") and rows and rows[-1]["position"] < total
        last = (rows[-1]["key"], member_of(rows[-1]["name"].encode(), rows[-1]["since"])) if is_page else None
        return Board(int(reply[1]), 0, int(reply[2]), total, places, last)

    async def better(self, namespace: Namespace, board: str, score: int) -> int:
        """How many users stand above a score. O(log n); in an archive O(those users)."""
        p, ns, key = namespace.partition, namespace.id, namespace.sign * score
        closed = await self._gatherer.call(("HGET", keys.space(p, ns), f"x:{base_of(board)}"))
        if closed == b"a":
            row = await self._postgres.fetch_one("archived_better", ns, board, key)
            return 0 if row is None else int(row["better"])
        return int(await self._gatherer.call(("ZCOUNT", keys.board(p, ns, board), f"({key}", "+inf")))

    async def _rows(self, namespace: Namespace, board: str, view: View) -> list[asyncpg.Record]:
        """The archive's rows that serve a view, in one question."""
        kind, *args = view
        at = namespace.id, board
        match kind:
            case "page":
                first = int(args[0]) + 1
                return await self._postgres.fetch("archived_page", *at, first, first + int(args[1]) - 1)
            case "after":
                since, name = _member(args[1], namespace.rules.tie_break == "earliest")
                return await self._postgres.fetch("archived_after", *at, int(args[0]), since, name, int(args[2]))
            case "around":
                return await self._postgres.fetch("archived_around", *at, args[0], int(args[1]))
            case _:
                return await self._postgres.fetch("archived_users", *at, [str(user) for user in args])


def _member(held: Any, earliest: bool) -> tuple[int, str]:
    """since and name of a cursor's member. Invalid."""
    try:
        return (since_of(held), held[SINCE_DIGITS:].decode()) if earliest else (0, held.decode())
    except ValueError:
        raise Invalid("is not a cursor of a board", field="?cursor") from None

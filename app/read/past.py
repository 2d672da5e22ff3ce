"""Boards as they were: out of the ledger, for any moment of the past. A prefix of the log, by the time of recording."""

import asyncio
from datetime import datetime
from typing import NamedTuple

from ..model.errors import Overloaded
from ..model.namespace import COUNTED, Namespace
from ..store.boards import Place
from ..store.gather import Gatherer
from ..store.log import lag_behind
from ..store.postgres import Postgres

#: Boards of the past that a process works out at a time: each reads the ledger for long, and other reads need
#: Postgres, too.
AT_ONCE = 2


class PastBoard(NamedTuple):
    """A stretch of a board. lag_seq: entries that the ledger lacked, which may belong to it."""

    total: int
    places: list[Place]
    lag_seq: int


class Past:
    """Questions to the ledger about what boards were. StoreUnavailable."""

    def __init__(self, postgres: Postgres, gatherer: Gatherer) -> None:
        self._postgres = postgres
        self._gatherer = gatherer
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def board(
        self,
        namespace: Namespace,
        window: str,
        category: str | None,
        at: datetime,
        ranking: str,
        *,
        offset: int = 0,
        limit: int = 0,
        users: list[str] | None = None,
    ) -> PastBoard:
        """A page, or some users' places, as of `at`. O(the namespace's grants), whatever the page. Overloaded where as
        many are asked already as may be: the others who read the ledger need its connections."""
        if self._gate.locked():
            raise Overloaded("too many ask about the past at once")
        async with self._gate:
            rules = namespace.rules
            flushed = await self._postgres.fetch_one("offset", namespace.partition)
            rows = await self._postgres.fetch(
                "past_board",
                *(namespace.id, window, category, at, COUNTED[rules.aggregation, rules.order], namespace.sign),
                *(offset + 1, offset + limit, users, namespace.by_moment),
            )
            rank = {"competition": "competition", "dense": "dense", "ordinal": "position"}[ranking]
            places = [Place(row["position"], row["name"], row["score"], row[rank] - 1) for row in rows]
            lag = await lag_behind(self._gatherer, namespace.partition, flushed)
            return PastBoard(rows[0]["total"] if rows else 0, places, lag)

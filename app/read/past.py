"""Boards as they were: out of the ledger, for any moment of the past. A prefix of the log, by the time of recording."""

from datetime import datetime
from typing import NamedTuple

from ..model.namespace import Namespace
from ..store.boards import Place
from ..store.gather import Gatherer
from ..store.log import lag_behind
from ..store.postgres import Postgres
from .history import COUNTED


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
        """A page, or some users' places, as of `at`. O(the namespace's grants), whatever the page."""
        rules = namespace.rules
        flushed = await self._postgres.fetch_one("offset", namespace.partition)
        rows = await self._postgres.fetch(
            "past_board",
            *(namespace.id, window, category, at, COUNTED[rules.aggregation, rules.order], namespace.sign),
            *(offset + 1, offset + limit, users),
        )
        rank = {"competition": "competition", "dense": "dense", "ordinal": "position"}[ranking]
        places = [Place(row["position"], row["name"], row["score"], row[rank] - 1) for row in rows]
        lag = await lag_behind(self._gatherer, namespace.partition, flushed)
        return PastBoard(rows[0]["total"] if rows else 0, places, lag)

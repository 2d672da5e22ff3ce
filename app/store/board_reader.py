"""Reads of boards, in Redis or in the archive."""

from typing import Any

from ..drivers.postgres import Postgres
from ..model.namespace import Namespace
from ..model.views import BoardView, Users
from . import fields, keys
from .archived_board import ArchivedBoard
from .boards import BoardPage, ScoreRank, board_call, is_archived, read_board, read_score, score_call, version_of
from .read_batcher import ReadBatcher


class BoardReader:
    """Reads boards: from Redis until their window is archived, then from Postgres."""

    def __init__(self, batcher: ReadBatcher, postgres: Postgres) -> None:
        self._batcher = batcher
        self._postgres = postgres

    async def read(self, namespace: Namespace, board: str, view: BoardView, ranking: str | None = None) -> BoardPage:
        """The page of a view of a board. ranking: if another than the namespace's. O(log n + rows);
        StoreUnavailable, Recovering."""
        reply = await self._batcher.call(board_call(namespace, board, view, ranking))
        return await self.resolve(namespace, board, view, ranking, reply)

    async def resolve(
        self, namespace: Namespace, board: str, view: BoardView, ranking: str | None, reply: Any
    ) -> BoardPage:
        """The page in the reply of a board call, or from the archive if the reply says that the board is there."""
        if not is_archived(reply):
            return read_board(reply, namespace.sign)
        archived = ArchivedBoard(self._postgres, namespace, board)
        return await archived.read(view, ranking or namespace.rules.ranking, *version_of(reply))

    async def rank_score(self, namespace: Namespace, board: str, units: int, ranking: str | None = None) -> ScoreRank:
        """The rank that a score has on a board, or would have. O(log n); StoreUnavailable, Recovering."""
        reply = await self._batcher.call(score_call(namespace, board, units, ranking))
        return await self.resolve_score(namespace, board, units, ranking, reply)

    async def resolve_score(
        self, namespace: Namespace, board: str, units: int, ranking: str | None, reply: Any
    ) -> ScoreRank:
        """The rank in the reply of a score call, or from the archive if the reply says that the board is there."""
        if not is_archived(reply):
            return read_score(reply)
        archived = ArchivedBoard(self._postgres, namespace, board)
        epoch, version = version_of(reply)
        return await archived.rank_score(
            units, ranking=ranking or namespace.rules.ranking, epoch=epoch, version=version
        )

    async def score_of(self, namespace: Namespace, board: str, user: str) -> int | None:
        """A user's score on a board, also a hidden user's. O(log n); StoreUnavailable, Recovering."""
        page = await self.read(namespace, board, Users((user,)))
        if page.rows:
            return page.rows[0].units
        balances = keys.balances(namespace.partition, namespace.id) + user
        hidden_score = await self._batcher.call(("HGET", balances, fields.HIDDEN_SCORE + board))
        if hidden_score is not None:
            return int(hidden_score)
        return await ArchivedBoard(self._postgres, namespace, board).score_of(user)

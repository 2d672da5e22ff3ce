"""A dry run: the ranks that a user would have after a correction. Nothing changes."""

import asyncio
from typing import Any

from ..model.cell_ops import CellPlan
from ..model.namespace import Namespace
from ..model.ops import AddToCell, CellOp, DeleteCell, SetCell
from ..model.tie_break import LAST_AMONG_EQUALS, tie_digits
from ..model.views import After, Users
from ..store.board_reader import BoardReader
from ..store.boards import BoardRow, ScoreRank, base_of
from ..store.read_batcher import ReadBatcher
from ..store.visibility import is_hidden


class RankProjection:
    """Computes a user's ranks on boards, also on those of closed windows."""

    def __init__(self, batcher: ReadBatcher, boards: BoardReader) -> None:
        self._batcher = batcher
        self._boards = boards

    async def of(self, namespace: Namespace, user: str, plan: CellPlan, *, ranks: bool) -> list[dict[str, Any]]:
        """The user's scores and ranks, before and after, on each board that a correction moves. O(log n) each, at a
        moment of its own.

        ranks: whether the caller may read the boards; else ranks are None.
        """
        hidden = not ranks or await is_hidden(self._batcher.call, namespace, user)
        return await asyncio.gather(
            *(self._on_board(namespace, user, plan.boards[op.cell - 1], op, hidden) for op in plan.ops.boards)
        )

    async def _on_board(self, namespace: Namespace, user: str, board: str, op: CellOp, hidden: bool) -> dict[str, Any]:
        previous = await self._boards.score_of(namespace, board, user)
        score = _score_after(op, previous)
        own = None if hidden else await self._row(namespace, board, user)
        rank = None
        if score is not None and not hidden:
            rank = await self._rank(namespace, board, _member_after(namespace, op, user), score, own)
        window, category = _parts_of(board)
        return {
            "window": window,
            "category": category,
            "user_id": user,
            "previous_score": namespace.number_or_none(previous),
            "score": namespace.number_or_none(score),
            "previous_rank": None if own is None else own.rank0 + 1,
            "rank": rank,
        }

    async def _row(self, namespace: Namespace, board: str, user: str) -> BoardRow | None:
        return next(iter((await self._boards.read(namespace, board, Users((user,)))).rows), None)

    async def _rank(self, namespace: Namespace, board: str, member: bytes, score: int, own: BoardRow | None) -> int:
        """The rank of a score among all others, by the namespace's ranking. With the tie break `earliest`, a user who
        reaches a score is ranked after those who have it."""
        if namespace.by_moment and namespace.rules.ranking == "ordinal":
            above = await self._above(namespace, board, member, score)
            return above + 1 - (own is not None and own.position <= above)
        if own is not None and own.units == score:
            return own.rank0 + 1
        leaves = own if own is not None and namespace.sign * own.units > namespace.sign * score else None
        if namespace.rules.ranking == "ordinal":
            return await self._above(namespace, board, member, score) + 1 - (leaves is not None)
        before = await self._before(namespace, board, score)
        if leaves is not None and namespace.rules.ranking == "dense":
            # The old score still counts for dense ranks if somebody else has it too.
            return before + 1 - (await self._alone(namespace, board, leaves.units))
        return before + 1 - (leaves is not None)

    async def _above(self, namespace: Namespace, board: str, member: bytes, score: int) -> int:
        """How many users are above a member that has just reached a score, including the user's own old entry."""
        below = await self._boards.read(namespace, board, After(namespace.sign * score, member, 1))
        return below.rows[0].position - 1 if below.rows else below.board_size

    async def _before(self, namespace: Namespace, board: str, score: int) -> int:
        return (await self._scored(namespace, board, score)).rank0

    async def _alone(self, namespace: Namespace, board: str, score: int) -> bool:
        return (await self._scored(namespace, board, score)).equal == 1

    async def _scored(self, namespace: Namespace, board: str, score: int) -> ScoreRank:
        return await self._boards.rank_score(namespace, board, score)


def _score_after(op: CellOp, score: int | None) -> int | None:
    match op:
        case AddToCell(_, by):
            return (score or 0) + by
        case SetCell(_, number):
            return number
        case DeleteCell():
            return None


def _member_after(namespace: Namespace, op: CellOp, user: str) -> bytes:
    """The board's member after the op: a user who reaches a score comes last among equals."""
    if namespace.rules.tie_break == "earliest":
        return LAST_AMONG_EQUALS + user.encode()
    if isinstance(op, DeleteCell) or op.tie_place is None:
        return user.encode()
    return tie_digits(op.tie_place).encode() + user.encode()


def _parts_of(board: str) -> tuple[str, str | None]:
    """Window and category of a board's name."""
    window = base_of(board)
    return window, board[len(window) + 1 :] or None

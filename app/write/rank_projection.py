"""What a correction would do to a user's ranks: a dry run tells it, and nothing changes."""

import asyncio
import re
from typing import Any

from ..model.cell_ops import CellOps
from ..model.namespace import Namespace
from ..model.tie_break import LAST_AMONG_EQUALS
from ..store.board_reader import BoardReader
from ..store.boards import BoardRow, ScoreRank, base_of, score_call
from ..store.read_batcher import ReadBatcher
from ..store.visibility import is_hidden

_SCORE_MOVE = re.compile(r"w(\d+)([=+x])(-?\d*)(?:@-?\d+)?(?:~(\d+))?")


class RankProjection:
    """Asks the boards where a user would stand; boards of closed windows, too."""

    def __init__(self, batcher: ReadBatcher, boards: BoardReader) -> None:
        self._batcher = batcher
        self._boards = boards

    async def of(self, namespace: Namespace, user: str, ops: CellOps, *, ranks: bool) -> list[dict[str, Any]]:
        """What becomes of the user on each board that a correction moves: O(log n) each, at a moment of its own.

        ranks: whether the caller may read the boards; else ranks are None.
        """
        hidden = not ranks or await is_hidden(self._batcher.call, namespace, user)
        found = _SCORE_MOVE.findall(ops.text)
        return await asyncio.gather(
            *(
                self._on_board(namespace, user, ops.boards[int(place) - 1], how, number, digits.encode(), hidden)
                for place, how, number, digits in found
            )
        )

    async def _on_board(
        self, namespace: Namespace, user: str, board: str, how: str, number: str, digits: bytes, hidden: bool
    ) -> dict[str, Any]:
        previous = await self._boards.score_of(namespace, board, user)
        score = None if how == "x" else int(number) + (previous or 0 if how == "+" else 0)
        own = None if hidden else await self._place(namespace, board, user)
        member = (LAST_AMONG_EQUALS if namespace.rules.tie_break == "earliest" else digits) + user.encode()
        window, category = _parts_of(board)
        return {
            "window": window,
            "category": category,
            "user_id": user,
            "previous_score": namespace.number_or_none(previous),
            "score": namespace.number_or_none(score),
            "previous_rank": None if own is None else own.rank0 + 1,
            "rank": None if hidden or score is None else await self._rank(namespace, board, member, score, own),
        }

    async def _place(self, namespace: Namespace, board: str, user: str) -> BoardRow | None:
        return next(iter((await self._boards.read(namespace, board, ["users", user])).places), None)

    async def _rank(self, namespace: Namespace, board: str, member: bytes, score: int, own: BoardRow | None) -> int:
        """The rank of a score among all others, by the namespace's ranking. Where the earliest stands first, whoever
        comes to a score stands behind those who have it."""
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
            # The score that is left counts on where somebody else has it, too.
            return before + 1 - (await self._alone(namespace, board, leaves.units))
        return before + 1 - (leaves is not None)

    async def _above(self, namespace: Namespace, board: str, member: bytes, score: int) -> int:
        """How many stand above a member who has come to a score, the user's own place among them."""
        view: list[str | int | bytes | float] = ["after", namespace.sign * score, member, 1]
        below = await self._boards.read(namespace, board, view)
        return below.places[0].position - 1 if below.places else below.total

    async def _before(self, namespace: Namespace, board: str, score: int) -> int:
        return (await self._scored(namespace, board, score)).rank0

    async def _alone(self, namespace: Namespace, board: str, score: int) -> bool:
        return (await self._scored(namespace, board, score)).equal == 1

    async def _scored(self, namespace: Namespace, board: str, score: int) -> ScoreRank:
        reply = await self._batcher.call(score_call(namespace, board, score))
        return await self._boards.resolve_score(namespace, board, score, None, reply)


def _parts_of(board: str) -> tuple[str, str | None]:
    """Window and category of a board's name."""
    window = base_of(board)
    return window, board[len(window) + 1 :] or None

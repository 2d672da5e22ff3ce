"""`?rank=true`: receipts with the ranks of their scores on the `all` board."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ..access.keys import Principal
from ..model.entry import PlannedEntry
from ..model.errors import NamespaceNotFound
from ..model.namespace import Namespace
from ..model.score import to_units
from ..model.views import Users
from ..store.boards import BoardRow, board_call, project_ranks_call, read_board, read_projected_ranks
from ..store.namespace_cache import NamespaceCache
from ..store.read_batcher import ReadBatcher
from ..store.visibility import is_hidden
from .receipts import RankedReceipt, Receipt

RanksBefore = dict[tuple[str, str], BoardRow]  # namespace and user → where the user stood on the `all` board


class ReceiptRanks:
    """Reads the ranks of each receipt right after its entries counted, in shared rounds. Only if ties depend on when a
    score was reached, the earlier rank is read before the grant."""

    def __init__(self, batcher: ReadBatcher, namespace_cache: NamespaceCache) -> None:
        self._batcher = batcher
        self._namespace_cache = namespace_cache

    async def before(self, entries: Sequence[PlannedEntry]) -> RanksBefore:
        """The ranks of users for whom they cannot be read later, because the next change replaces their tie digits.
        StoreUnavailable, Recovering; O(log n) a user."""
        users: dict[str, tuple[Namespace, set[str]]] = {}
        for entry in entries:
            rules = entry.namespace.rules
            if rules.ranking == "ordinal" and rules.tie_break != "none":
                users.setdefault(entry.namespace.name, (entry.namespace, set()))[1].add(entry.body.user)
        ranks_before: RanksBefore = {}
        for name, (namespace, named) in users.items():
            reply = await self._batcher.call(board_call(namespace, "all", Users(tuple(sorted(named)))))
            ranks_before |= {(name, row.user): row for row in read_board(reply, namespace.sign).rows}
        return ranks_before

    async def added_to(self, answer: Any, principal: Principal, ranks_before: RanksBefore) -> Any:
        """Adds ranks to a receipt, or to a batch's answer. StoreUnavailable, Recovering: the grants counted all the
        same, and the same request answers them as duplicates. O(log n) a receipt."""
        if isinstance(answer, Receipt):
            return await self._ranked(answer, principal, ranks_before)
        results = answer["results"]
        receipts = [i for i, result in enumerate(results) if isinstance(result, Receipt)]
        ranked = await asyncio.gather(*(self._ranked(results[i], principal, ranks_before) for i in receipts))
        for i, receipt in zip(receipts, ranked, strict=True):
            results[i] = receipt
        return answer

    async def _ranked(self, receipt: Receipt, principal: Principal, ranks_before: RanksBefore) -> RankedReceipt:
        fields = {name: getattr(receipt, name) for name in Receipt.__struct_fields__}
        rank, previous = await self._ranks(receipt, principal)
        row = ranks_before.get((receipt.namespace, receipt.user_id))
        # A later entry of the same user in a batch starts from another score, so the earlier rank does not apply.
        if previous is not None and row is not None and receipt.status != "duplicate":
            namespace = await self._namespace_cache.namespace(receipt.namespace)
            if receipt.previous_score == namespace.number(row.units):
                previous = row.rank0 + 1
        return RankedReceipt(**fields, rank=rank, previous_rank=previous)

    async def _ranks(self, receipt: Receipt, principal: Principal) -> list[int | None]:
        """The ranks of the score and of the previous one. None without a score, if the caller may not read the board,
        or if the user is not shown on it."""
        scores = [receipt.score, receipt.previous_score]
        try:
            namespace = await self._namespace_cache.namespace(receipt.namespace)
        except NamespaceNotFound:
            return [None, None]
        if namespace.rules.mode == "shadow" and not principal.may("admin", namespace.name):
            return [None, None]
        units = {score: to_units(repr(score), namespace.rules.scale) for score in scores if score is not None}
        if not units or await is_hidden(self._batcher.call, namespace, receipt.user_id):
            return [None, None]
        reply = await self._batcher.call(project_ranks_call(namespace, receipt.user_id, list(units.values())))
        ranks = dict(zip(units, read_projected_ranks(reply), strict=True))
        return [None if score is None else ranks[score] for score in scores]

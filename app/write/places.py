"""`?rank=true`: receipts with the places that their scores have on the `all` board."""

import asyncio
from typing import Any

from ..access.keys import Principal
from ..model.errors import NamespaceNotFound
from ..model.score import to_units
from ..store.boards import place_call, read_places
from ..store.directory import Directory
from ..store.gather import Gatherer
from ..store.veil import is_hidden
from .receipts import RankedReceipt, Receipt


class Places:
    """Asks once a receipt, right after its entries counted; the questions travel together."""

    def __init__(self, gatherer: Gatherer, directory: Directory) -> None:
        self._gatherer = gatherer
        self._directory = directory

    async def added_to(self, answer: Any, principal: Principal) -> Any:
        """A receipt, or a batch's answer, with ranks. StoreUnavailable, Recovering: what counted has counted, and the
        same request tells it as a duplicate. O(log n) a receipt."""
        if isinstance(answer, Receipt):
            return await self._ranked(answer, principal)
        results = answer["results"]
        receipts = [i for i, result in enumerate(results) if isinstance(result, Receipt)]
        ranked = await asyncio.gather(*(self._ranked(results[i], principal) for i in receipts))
        for i, receipt in zip(receipts, ranked, strict=True):
            results[i] = receipt
        return answer

    async def _ranked(self, receipt: Receipt, principal: Principal) -> RankedReceipt:
        fields = {name: getattr(receipt, name) for name in Receipt.__struct_fields__}
        rank, previous = await self._ranks(receipt, principal)
        return RankedReceipt(**fields, rank=rank, previous_rank=previous)

    async def _ranks(self, receipt: Receipt, principal: Principal) -> list[int | None]:
        """The ranks of the score and of the previous one; None where there is none, where the board
        is not to be read, or the user is not to be on it."""
        scores = [receipt.score, receipt.previous_score]
        try:
            namespace = await self._directory.namespace(receipt.namespace)
        except NamespaceNotFound:
            return [None, None]
        if namespace.rules.mode == "shadow" and not principal.may("admin", namespace.name):
            return [None, None]
        units = {score: to_units(repr(score), namespace.rules.scale) for score in scores if score is not None}
        if not units or await is_hidden(self._gatherer.call, namespace, receipt.user_id):
            return [None, None]
        reply = await self._gatherer.call(place_call(namespace, receipt.user_id, list(units.values())))
        ranks = dict(zip(units, read_places(reply), strict=True))
        return [None if score is None else ranks[score] for score in scores]

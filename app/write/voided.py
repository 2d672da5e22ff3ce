"""Whether grants that were sent again have been voided: else a duplicate's receipt could not explain its score."""

from collections.abc import Sequence

from ..model.entry import CORRECTION, Entry, entry_id
from ..model.errors import Unavailable
from ..store.gather import Gatherer
from ..store.ledger import Ledger
from ..store.log import are_counted
from .catchup import Catchup, Patience


class VoidedGrants:
    """Asks the ledger of those duplicates alone that Redis has seen a correction of."""

    def __init__(self, gatherer: Gatherer, ledger: Ledger) -> None:
        self._gatherer = gatherer
        self._catchup = Catchup(gatherer, ledger)

    async def among(self, duplicates: Sequence[Entry]) -> set[bytes]:
        """The ids of those entries of one partition whose grants are voided by now. O(duplicates) in Redis, and
        O(log n) in Postgres for each corrected one. Nothing is told of those whose corrections the ledger lacks,
        nor while a store is away: the receipt must leave."""
        if not duplicates:
            return set()
        try:
            return await self._among(duplicates)
        except Unavailable:
            return set()

    async def _among(self, duplicates: Sequence[Entry]) -> set[bytes]:
        names = [entry_id(CORRECTION, entry.namespace.id, entry.body.grant_id, 2) for entry in duplicates]
        counted = await are_counted(self._gatherer, duplicates[0].namespace.partition, names)
        # A grant that only the ledger remembers may have a correction that only the ledger remembers.
        corrected = [
            entry
            for entry, is_corrected in zip(duplicates, counted, strict=True)
            if is_corrected or entry.verdict.startswith("duplicate")
        ]
        voided: set[bytes] = set()
        waiting = Patience()
        for namespace in {entry.namespace.id: entry.namespace for entry in corrected}.values():
            entries = [entry for entry in corrected if entry.namespace.id == namespace.id]
            known = await self._catchup.known(namespace, {entry.body.grant_id for entry in entries}, waiting)
            voided |= {
                e.id for e in entries if (grant := known.grants.get(e.body.grant_id)) is not None and grant.voided
            }
        return voided

"""Finds out whether grants that were sent again are voided or in quarantine, so that a duplicate's receipt can explain
its score."""

from collections.abc import Sequence
from typing import NamedTuple

from ..model.correction import GrantState
from ..model.entry import PlannedEntry
from ..model.entry_kinds import CORRECTION
from ..model.entry_names import entry_id, is_duplicate_verdict
from ..model.errors import Unavailable
from ..store.ledger import Ledger
from ..store.log import are_counted
from ..store.read_batcher import ReadBatcher
from .ledger_wait import Deadline, LedgerWait
from .receipts import Receipt


class UncountedGrants(NamedTuple):
    """The ids of entries whose grants are not part of a score now: voided, or in quarantine."""

    voided: frozenset[bytes] = frozenset()
    quarantined: frozenset[bytes] = frozenset()

    def mark(self, receipt: Receipt, entry: PlannedEntry) -> None:
        """Notes in a duplicate's receipt whether its grant counts."""
        receipt.voided, receipt.quarantined = entry.id in self.voided, entry.id in self.quarantined


class UncountedLookup:
    """Looks up only those duplicates of which Redis counted a correction, or whose namespace has a quarantine."""

    def __init__(self, batcher: ReadBatcher, ledger: Ledger) -> None:
        self._batcher = batcher
        self._ledger = ledger
        self._ledger_wait = LedgerWait(batcher, ledger)

    async def among(self, duplicates: Sequence[PlannedEntry]) -> UncountedGrants:
        """Those entries of one partition whose grants do not count now. O(duplicates) in Redis, and O(log n) in
        Postgres for each look-up. It leaves out grants whose corrections the ledger lacks, and all while a store is
        away, because the receipt must not wait. A retry without a correction does not wait for the ledger either: a
        grant in quarantine is named once the ledger has it."""
        if not duplicates:
            return UncountedGrants()
        try:
            return await self._among(duplicates)
        except Unavailable:
            return UncountedGrants()

    async def _among(self, duplicates: Sequence[PlannedEntry]) -> UncountedGrants:
        names = [entry_id(CORRECTION, entry.namespace.id, entry.body.grant_id, 2) for entry in duplicates]
        counted = await are_counted(self._batcher, duplicates[0].namespace.partition, names)
        voided, quarantined = set[bytes](), set[bytes]()
        waiting = Deadline()
        for namespace in {entry.namespace.id: entry.namespace for entry in duplicates}.values():
            pairs = [pair for pair in zip(duplicates, counted, strict=True) if pair[0].namespace.id == namespace.id]
            # A grant that only the ledger knows may have a correction that only the ledger knows.
            corrected = {
                entry.body.grant_id
                for entry, is_corrected in pairs
                if is_corrected or is_duplicate_verdict(entry.verdict)
            }
            grants: dict[str, GrantState] = {}
            if corrected:
                grants |= (await self._ledger_wait.wait_for_grants(namespace, corrected, waiting)).grants
            others = {entry.body.grant_id for entry, _ in pairs} - corrected
            if others and namespace.rules.suspicious == "quarantine":
                grants |= await self._ledger.get_grants(namespace, list(others))
            for entry, _ in pairs:
                grant = grants.get(entry.body.grant_id)
                if grant is not None and grant.voided:
                    (quarantined if grant.quarantined else voided).add(entry.id)
        return UncountedGrants(frozenset(voided), frozenset(quarantined))

"""Recognises grants that the dedup generations no longer have: such a grant is looked up in the ledger before it
counts."""

from ..drivers.postgres import Postgres
from ..model.entry import PlannedEntry
from ..model.entry_names import duplicate_verdict
from ..model.errors import Unavailable
from ..store.apply import PartitionHead
from .committer import Committer


class LedgerDedup:
    """Looks up grants in Postgres that may have come before the oldest generation."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def is_in_generations(self, entries: list[PlannedEntry], committer: Committer) -> bool:
        """Whether Redis remembers far enough back to recognise every repeat of these entries, so that no look-up is
        needed. Notes in each entry the generations to look in."""
        for entry in entries:
            head = committer.head(entry.namespace.partition)
            if head is None:
                return False
            entry.generations = head.generations
            if head.oldest_starts and (entry.known_since is None or entry.known_since < head.oldest_starts):
                return False
        return True

    async def check(self, entries: list[PlannedEntry], committer: Committer) -> None:
        """Sets the verdict of entries that the ledger already has. StoreUnavailable if that cannot be found out."""
        old_entries: dict[int, list[PlannedEntry]] = {}
        for entry in entries:
            head = committer.head(entry.namespace.partition)
            if head is None:
                head = await contact_head(committer, entry.namespace.partition)
            if head is None:
                continue
            entry.generations = head.generations
            if head.oldest_starts and (entry.known_since is None or entry.known_since < head.oldest_starts):
                old_entries.setdefault(entry.namespace.id, []).append(entry)
        for namespace_id, old in old_entries.items():
            ids = [entry.body.grant_id for entry in old]
            rows = await self._postgres.fetch("find_recorded_grants", namespace_id, ids)
            recorded = {row["grant_id"]: row for row in rows}
            for entry in old:
                row = recorded.get(entry.body.grant_id)
                if row is not None:
                    same = bytes(row["digest"]) == entry.content
                    entry.verdict = duplicate_verdict(row["epoch"], row["seq"]) if same else "grant_conflict"


async def contact_head(committer: Committer, p: int) -> PartitionHead | None:
    """A partition's head, also if it takes no new grant, because it still recognises what counted. StoreUnavailable,
    Recovering."""
    try:
        await committer.contact(p)
    except Unavailable:
        if committer.head(p) is None:
            raise
    return committer.head(p)

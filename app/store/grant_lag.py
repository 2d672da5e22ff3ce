"""Grants that Redis has counted and the ledger lacks: a request looks for them again and again while it waits."""

from collections.abc import Mapping
from typing import NamedTuple

from ..model.entry_kinds import CORRECTION, GRANT
from ..model.entry_names import entry_id
from ..model.namespace import Namespace
from .ledger import Ledger
from .log import entry_places
from .read_batcher import ReadBatcher


class LaggingGrants(NamedTuple):
    """What one look found, by grant_id.

    behind: the ledger lacks an entry and may have it later. dead: it could not record one, and nobody has decided about
    it. is_settled: of those behind some entry is a dead letter about which was decided by now, so that the ledger is to
    be read again without a pause.
    """

    behind: list[str]
    dead: list[str]
    is_settled: bool


class GrantLag:
    """The looks of one request at grants of one namespace."""

    def __init__(self, batcher: ReadBatcher, ledger: Ledger, namespace: Namespace) -> None:
        self._batcher = batcher
        self._ledger = ledger
        self._namespace = namespace
        self._settled: set[tuple[int, int]] = set()
        self._is_first = True

    async def look(self, revisions: Mapping[str, int]) -> LaggingGrants:
        """What the ledger lacks of some grants. revisions: the last one that was read there just before, 0 for none.
        Recovering, StoreUnavailable; O(log n) each."""
        p = self._namespace.partition
        names = [self._next_entry(grant_id, revision) for grant_id, revision in revisions.items()]
        places = await entry_places(self._batcher, p, names)
        counted = {grant_id: place for grant_id, place in zip(revisions, places, strict=True) if place is not None}
        behind = {grant_id: place for grant_id, place in counted.items() if place not in self._settled}
        # Nearly all that is behind is only fresh. What is settled is read again: it may have been recorded since.
        letters = {} if self._is_first else await self._ledger.letters(p, list(behind.values()))
        self._is_first = False
        settled = {place for place, is_settled in letters.items() if is_settled}
        self._settled |= settled
        dead = [grant_id for grant_id, place in behind.items() if not letters.get(place, True)]
        return LaggingGrants([grant_id for grant_id in behind if grant_id not in dead], dead, bool(settled))

    def _next_entry(self, grant_id: str, revision: int) -> bytes:
        """The id of the entry that the ledger lacks if Redis has counted it."""
        kind = CORRECTION if revision else GRANT
        return entry_id(kind, self._namespace.id, grant_id, revision + 1)

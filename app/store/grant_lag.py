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

    behind: the ledger lacks an entry and may have it later; one that it lost is not among them. dead: it could not
    record one, and nobody has decided about it: what it has of the grant is not what the boards show. is_settled: of
    those behind some entry is a dead letter about which was decided by now, or is lost, so that the ledger is to be
    read again without a pause.
    """

    behind: list[str]
    dead: list[str]
    is_settled: bool


class RecordedRevision(NamedTuple):
    """What the ledger has of a grant: its last revision, 0 for none, and whether a correction of it, before or behind
    that one, is an open dead letter."""

    revision: int = 0
    has_open_letter: bool = False


class GrantLag:
    """The looks of one request at grants of one namespace."""

    def __init__(self, batcher: ReadBatcher, ledger: Ledger, namespace: Namespace) -> None:
        self._batcher = batcher
        self._ledger = ledger
        self._namespace = namespace
        self._settled: set[tuple[int, int]] = set()
        self._is_first = True

    async def look(self, recorded: Mapping[str, RecordedRevision]) -> LaggingGrants:
        """What the ledger lacks of some grants. recorded: what was read there just before. Recovering,
        StoreUnavailable; O(log n) each."""
        p = self._namespace.partition
        # Redis knows the next entry of a grant. A letter behind that one is known to the ledger alone: the next one may
        # be dropped by now, and Redis forgets entries after some days.
        with_letters = [grant_id for grant_id, one in recorded.items() if one.has_open_letter]
        names = {grant_id: self._next_entry(grant_id, one.revision) for grant_id, one in recorded.items()}
        places = await entry_places(self._batcher, p, list(names.values()))
        counted = {
            grant_id: place
            for grant_id, place in zip(names, places, strict=True)
            if place is not None and not recorded[grant_id].has_open_letter
        }
        behind = {grant_id: place for grant_id, place in counted.items() if place not in self._settled}
        # Nearly all that is behind is only fresh. What is settled is read again: it may have been recorded since.
        letters = {} if self._is_first else await self._ledger.letters(p, list(behind.values()))
        self._is_first = False
        settled = {place for place, is_settled in letters.items() if is_settled}
        self._settled |= settled
        dead = [grant_id for grant_id, place in behind.items() if not letters.get(place, True)]
        lagging = [grant_id for grant_id in behind if grant_id not in dead]
        return LaggingGrants(lagging, with_letters + dead, bool(settled))

    def _next_entry(self, grant_id: str, revision: int) -> bytes:
        """The id of the entry that the ledger lacks if Redis has counted it."""
        kind = CORRECTION if revision else GRANT
        return entry_id(kind, self._namespace.id, grant_id, revision + 1)

"""Waits until the ledger has what Redis has counted."""

from collections.abc import Collection
from time import monotonic
from typing import NamedTuple

from ..drivers.pauses import Pauses
from ..model.correction import GrantState
from ..model.errors import StoreUnavailable, not_recorded
from ..model.namespace import Namespace
from ..store.grant_lag import GrantLag, RecordedRevision
from ..store.ledger import Ledger
from ..store.read_batcher import ReadBatcher
from ..store.user_balances import last_changes_call

#: Seconds that a correction waits for the ledger to know the grant; after them it answers `503 store_unavailable`.
WAIT_S_MAX = 2.0
NOT_CAUGHT_UP = "the ledger has not caught up with this grant or its user; try again"


class Deadline:
    """How long a request waits for the ledger to catch up, or for others to leave a grant alone."""

    def __init__(self, wait_s: float = WAIT_S_MAX, detail: str = NOT_CAUGHT_UP) -> None:
        """detail: of the problem when time is up."""
        self._detail = detail
        self._began = monotonic()
        self._pauses = Pauses(wait_s)

    @property
    def spent_s(self) -> float:
        """Seconds that it has waited."""
        return monotonic() - self._began

    async def pause(self) -> None:
        """Waits a little, each time longer. StoreUnavailable when time is up."""
        self.check()
        await self._pauses.next()

    def check(self) -> None:
        """StoreUnavailable when time is up."""
        if self._pauses.are_over:
            raise StoreUnavailable(self._detail)


class GrantLookup(NamedTuple):
    """Grants from the ledger, and the problems of others, whose entries it lacks or could not record. A grant that is
    in neither does not exist."""

    grants: dict[str, GrantState]
    problems: dict[str, StoreUnavailable]


class LedgerWait:
    """Reads the ledger after it has what was counted when the read began. Each method may raise StoreUnavailable,
    Recovering."""

    def __init__(self, batcher: ReadBatcher, ledger: Ledger) -> None:
        self._batcher = batcher
        self._ledger = ledger

    async def wait_for_grants(self, namespace: Namespace, grant_ids: Collection[str], waiting: Deadline) -> GrantLookup:
        """Those of some grants that exist, with every revision that Redis has counted. A grant that the ledger lacks
        gets a problem of its own, and delays the others no longer than `waiting`. O(log n) each."""
        known, lag = GrantLookup({}, {}), GrantLag(self._batcher, self._ledger, namespace)
        due = list(grant_ids)
        while due:
            read = await self._ledger.get_grants(namespace, due)
            lacking = await lag.look({grant_id: _recorded(read.get(grant_id)) for grant_id in due})
            unknown = {*lacking.behind, *lacking.dead}
            known.grants.update((grant_id, grant) for grant_id, grant in read.items() if grant_id not in unknown)
            known.problems.update((grant_id, not_recorded()) for grant_id in lacking.dead)
            due = lacking.behind
            if due and not lacking.is_settled:
                try:
                    await waiting.pause()
                except StoreUnavailable as problem:
                    known.problems.update(dict.fromkeys(due, problem))
                    break
        return known

    async def wait_until_flushed(self, namespace: Namespace, user: str, waiting: Deadline) -> None:
        """Waits until the ledger has the user's changes that Redis had counted at the call."""
        await self._flushed(namespace, (await self._changes(namespace, user)).last, waiting)

    async def wait_until_unchanged(self, namespace: Namespace, user: str, waiting: Deadline) -> int:
        """Waits until the ledger has the user's last change; returns its seq. For a user who changes all the time that
        is seldom so."""
        while True:
            last = (await self._changes(namespace, user)).last
            if await self._ledger.seq(namespace.partition) >= last:
                return last
            await waiting.pause()

    async def wait_until_corrected(self, namespace: Namespace, user: str, waiting: Deadline) -> tuple[int, int]:
        """Waits until the ledger has all changes of the user, except grants, that were counted at the call. Returns the
        seq of the user's last change, and the ledger's."""
        changes = await self._changes(namespace, user)
        return changes.last, await self._flushed(namespace, changes.corrected, waiting)

    async def _changes(self, namespace: Namespace, user: str) -> "_Changes":
        last, corrected = await self._batcher.call(last_changes_call(namespace, user))
        return _Changes(int(last or 0), int(corrected or 0))

    async def _flushed(self, namespace: Namespace, seq: int, waiting: Deadline) -> int:
        """Waits until the ledger is at least at `seq`; returns its seq."""
        while (flushed := await self._ledger.seq(namespace.partition)) < seq:
            await waiting.pause()
        return flushed


def _recorded(grant: GrantState | None) -> RecordedRevision:
    return RecordedRevision() if grant is None else RecordedRevision(grant.revision, grant.has_open_letter)


class _Changes(NamedTuple):
    """The seqs of a user's last change and of the last one that was no grant; 0: none."""

    last: int
    corrected: int

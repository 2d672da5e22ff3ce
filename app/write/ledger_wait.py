"""Waiting until the ledger has caught up with what Redis has counted."""

from collections.abc import Collection
from time import monotonic
from typing import NamedTuple

from ..drivers.pauses import Pauses
from ..model.correction import GrantState
from ..model.errors import StoreUnavailable, not_recorded
from ..model.namespace import Namespace
from ..store.grant_lag import GrantLag
from ..store.ledger import Ledger
from ..store.read_batcher import ReadBatcher
from ..store.user_balances import last_changes_call

#: Seconds that a correction waits for the ledger to know the grant; after them it answers `503 store_unavailable`.
WAIT_S_MAX = 2.0
LEDGER_BEHIND = "the ledger has not caught up with this grant or its user; try again"


class Deadline:
    """How long a request waits for the ledger to catch up, or for others to leave a grant alone."""

    def __init__(self, wait_s: float = WAIT_S_MAX, detail: str = LEDGER_BEHIND) -> None:
        """detail: what the client is told once that was enough."""
        self._detail = detail
        self._began = monotonic()
        self._pauses = Pauses(wait_s)

    @property
    def spent_s(self) -> float:
        """For how long it has waited."""
        return monotonic() - self._began

    async def pause(self) -> None:
        """Waits a little, each time longer. StoreUnavailable once that was enough."""
        self.check()
        await self._pauses.next()

    def check(self) -> None:
        """StoreUnavailable once that was enough."""
        if self._pauses.are_over:
            raise StoreUnavailable(self._detail)


class GrantLookup(NamedTuple):
    """Grants as the ledger holds them, and why some are not known: it lacks their entries, or could not record them.
    One that is in neither does not exist."""

    grants: dict[str, GrantState]
    problems: dict[str, StoreUnavailable]


class LedgerWait:
    """The ledger, once it holds what was counted when it was asked. Each may raise StoreUnavailable, Recovering."""

    def __init__(self, batcher: ReadBatcher, ledger: Ledger) -> None:
        self._batcher = batcher
        self._ledger = ledger

    async def wait_for_grants(self, namespace: Namespace, grant_ids: Collection[str], waiting: Deadline) -> GrantLookup:
        """Some grants, those that there are, with every revision that Redis has counted. One that the ledger lacks has
        a problem of its own and holds up none of the others longer than `waiting`. O(log n) each."""
        known, lag = GrantLookup({}, {}), GrantLag(self._batcher, self._ledger, namespace)
        due = list(grant_ids)
        while due:
            read = await self._ledger.get_grants(namespace, due)
            lacking = await lag.look({grant_id: read[grant_id].revision if grant_id in read else 0 for grant_id in due})
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
        """Returns once the ledger holds the user's changes that Redis had counted when it was asked."""
        await self._flushed(namespace, (await self._changes(namespace, user)).last, waiting)

    async def wait_until_unchanged(self, namespace: Namespace, user: str, waiting: Deadline) -> int:
        """The seq of the user's last change, once the ledger holds it. A user who changes all the time is seldom so."""
        while True:
            last = (await self._changes(namespace, user)).last
            if await self._ledger.seq(namespace.partition) >= last:
                return last
            await waiting.pause()

    async def wait_until_corrected(self, namespace: Namespace, user: str, waiting: Deadline) -> tuple[int, int]:
        """The seq of the user's last change, and the one up to which the ledger holds the log, once it holds all
        changes of the user's but grants that were counted when it was asked."""
        changes = await self._changes(namespace, user)
        return changes.last, await self._flushed(namespace, changes.corrected, waiting)

    async def _changes(self, namespace: Namespace, user: str) -> "_Changes":
        last, corrected = await self._batcher.call(last_changes_call(namespace, user))
        return _Changes(int(last or 0), int(corrected or 0))

    async def _flushed(self, namespace: Namespace, seq: int, waiting: Deadline) -> int:
        """Up to where the ledger holds the log, once that is at least `seq`."""
        while (flushed := await self._ledger.seq(namespace.partition)) < seq:
            await waiting.pause()
        return flushed


class _Changes(NamedTuple):
    """The seqs of a user's last change and of the last one that was no grant; 0: none."""

    last: int
    corrected: int

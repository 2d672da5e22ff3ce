"""Planning again what the script refuses because its rules, its user or the generations changed under the plan.

Grants and corrections share it: one bound, one place for pauses, one place that has the rules read again.
"""

import asyncio
from collections.abc import Collection

from ..store.changes import Changed
from ..store.namespace_cache import NamespaceCache
from ..store.rules_lock import RulesLock
from .ledger_wait import Deadline

#: Seconds for which a request plans again without getting anywhere; after them it answers `503 store_unavailable`.
PLANS_S_MAX = 2.0
#: Seconds after which a change of rules that shuts the partition counts as broken off: it takes some ms.
LOCK_STALE_S = 0.15


class RulesReader:
    """Has rules read again that were stale."""

    def __init__(self, namespace_cache: NamespaceCache, rules_lock: RulesLock) -> None:
        self._namespace_cache = namespace_cache
        self._rules_lock = rules_lock

    async def read_again(self, names: Collection[str], waited_s: float) -> None:
        """Forgets the rules of some namespaces. waited_s: for how long they have been stale; a change of rules that was
        broken off is ended."""
        if waited_s > LOCK_STALE_S:
            await asyncio.gather(*map(self._rules_lock.release_stale, names))
        self._namespace_cache.forget(Changed(frozenset(names)))


class PlanAttempts:
    """The plans of one request, one after another, until one is taken.

    waiting: the time since the request last got somewhere; whatever its plans wait for counts.
    """

    def __init__(self, rules: RulesReader, detail: str, whole_s: float = PLANS_S_MAX) -> None:
        """detail: what the client is told when time is up. whole_s: for all attempts, those that get somewhere too."""
        self._rules = rules
        self._detail = detail
        self._whole = Deadline(whole_s, detail)
        self.waiting = Deadline(PLANS_S_MAX, detail)

    async def again(self, stale: Collection[str] = (), *, progress: bool = False) -> None:
        """Returns when the next plan is due. stale: namespaces whose rules had changed; progress: whether a part of the
        request is done since the last plan. StoreUnavailable once time is up."""
        self._whole.check()
        if progress:
            self.waiting = Deadline(PLANS_S_MAX, self._detail)
        else:
            await self.waiting.pause()
        if stale:
            await self._rules.read_again(stale, self.waiting.spent_s)

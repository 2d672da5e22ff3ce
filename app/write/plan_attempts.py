"""Plans again what the script refuses because the rules, the user or the generations changed since the plan.

Grants and corrections share the bound, the pauses, and the reading of changed rules.
"""

import asyncio
from collections.abc import Collection

from ..store.changes import Changed
from ..store.namespace_cache import NamespaceCache
from ..store.rules_lock import RulesLock
from .ledger_wait import Deadline

#: Seconds for which a request plans again without progress; after them it answers `503 store_unavailable`.
PLANS_S_MAX = 2.0
#: Seconds after which a change of rules that shuts the partition counts as abandoned: it takes some ms.
LOCK_STALE_S = 0.15


class RulesReader:
    """Reads stale rules again."""

    def __init__(self, namespace_cache: NamespaceCache, rules_lock: RulesLock) -> None:
        self._namespace_cache = namespace_cache
        self._rules_lock = rules_lock

    async def read_again(self, names: Collection[str], waited_s: float) -> None:
        """Forgets the cached rules of some namespaces. waited_s: for how long they have been stale; an abandoned change
        of rules is completed."""
        if waited_s > LOCK_STALE_S:
            await asyncio.gather(*map(self._rules_lock.release_stale, names))
        self._namespace_cache.forget(Changed(frozenset(names)))


class PlanAttempts:
    """The plans of one request, one after another, until one is applied.

    waiting: the time since the last progress, including the waits of its plans.
    """

    def __init__(self, rules: RulesReader, detail: str, whole_s: float = PLANS_S_MAX) -> None:
        """detail: of the problem when time is up. whole_s: for all attempts, also those with progress."""
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

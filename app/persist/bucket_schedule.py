"""Decides when counts by time follow the ledger: they wait while many rows come, because clients wait for the
ledger."""

from collections.abc import Iterable
from time import monotonic

from .faults import COUNTS, Faults, WorkUnit
from .ledger_session import COUNT_ROWS_MAX, LedgerSession

#: Rows of one pass from which on the ledger counts as busy.
ROWS_BUSY = 50
#: Seconds for which the counts still wait after a busy pass.
BUSY_S = 0.1
#: Seconds that the counts may stay behind a busy ledger.
COUNT_S_MAX = 30.0


class BucketSchedule:
    """The partitions that are to be counted. The ledger's writer notes them, and another connection does the work."""

    def __init__(self) -> None:
        self._uncounted: set[int] = set()
        self._busy_until = 0.0
        self._behind_since = 0.0

    def note(self, partitions: Iterable[int], rows: int) -> None:
        """Notes that rows of some partitions are in the ledger."""
        if not self._uncounted:
            self._behind_since = monotonic()
        self._uncounted.update(partitions)
        if rows > ROWS_BUSY:
            self._busy_until = monotonic() + BUSY_S

    def keep(self, partitions: Iterable[int]) -> None:
        """Forgets partitions that belong to another persister now."""
        self._uncounted.intersection_update(partitions)

    async def step(self, session: LedgerSession, faults: Faults) -> None:
        """Counts some rows of each partition that is due. O(partitions × rows of a step × log n)."""
        now = monotonic()
        if now < self._busy_until and now < self._behind_since + COUNT_S_MAX:
            return
        for p in sorted(self._uncounted):
            unit = WorkUnit(p, COUNTS)
            if not faults.is_due(unit):
                continue
            self._uncounted.discard(p)  # Rows that come from here on are noted again.
            counted = COUNT_ROWS_MAX
            try:
                with faults.guard(unit):
                    counted = await session.count(p)
            finally:
                if counted == COUNT_ROWS_MAX:
                    self._uncounted.add(p)
        if not self._uncounted:
            self._behind_since = now

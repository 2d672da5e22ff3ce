"""When the counts by time follow the ledger: they wait while many rows come, for the ledger is what others wait for."""

from collections.abc import Iterable
from time import monotonic

from .faults import COUNTS, Faults, WorkUnit
from .ledger_session import COUNT_ROWS_MAX, LedgerSession

#: Rows that a pass brings from which on the ledger counts as busy.
ROWS_BUSY = 50
#: Seconds after a busy pass in which the counts still wait.
BUSY_S = 0.1
#: Seconds that the counts may stay behind a busy ledger.
COUNT_S_MAX = 30.0


class BucketSchedule:
    """Which partitions are to be counted. Noted by who writes the ledger, done on another connection."""

    def __init__(self) -> None:
        self._uncounted: set[int] = set()
        self._busy_until = 0.0
        self._behind_since = 0.0

    def note(self, partitions: Iterable[int], rows: int) -> None:
        """Rows of some partitions are in the ledger."""
        if not self._uncounted:
            self._behind_since = monotonic()
        self._uncounted.update(partitions)
        if rows > ROWS_BUSY:
            self._busy_until = monotonic() + BUSY_S

    def keep(self, partitions: Iterable[int]) -> None:
        """Forgets what is another persister's to count from here on."""
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
            self._uncounted.discard(p)  # What comes from here on is noted again.
            counted = COUNT_ROWS_MAX
            try:
                with faults.guard(unit):
                    counted = await session.count(p)
            finally:
                if counted == COUNT_ROWS_MAX:
                    self._uncounted.add(p)
        if not self._uncounted:
            self._behind_since = now

"""Seals windows that no grant can reach any more, by one log entry each."""

from collections.abc import Iterable

from ..drivers.redis import RedisConnection
from ..model.namespace import Namespace
from ..model.seal import is_due, seal_entry
from ..model.windows import Window
from ..store.apply import ENTRIES_MAX, CallRefused
from ..store.ledger_offset import LedgerOffset
from ..store.namespace_cache import namespace_from_row
from .faults import SEAL, Faults, WorkUnit
from .ledger_session import LedgerSession
from .open_windows import OpenWindows
from .partition_round import PartitionRound

#: Namespaces of one pass; the others follow in the next.
NAMESPACES_A_PASS = 200
# Outcomes after which a window is closed. If a later entry names the window again, its seal is tried again.
_CLOSED = ("applied", "duplicate", "window_closed")


class WindowCloser:
    """Goes through the namespaces of the persister's partitions, some in each pass, so that no pass takes long."""

    def __init__(self, windows: OpenWindows) -> None:
        self._windows = windows
        self._after = 0

    async def seal(
        self,
        session: LedgerSession,
        link: RedisConnection,
        apply_link: RedisConnection,
        offsets: dict[int, LedgerOffset],
        now: int,
        faults: Faults,
    ) -> None:
        """Closes the windows that are due at `now` (microseconds) and by the clock of Redis. A namespace that fails
        does not stop the others. O(open windows of the namespaces)."""
        rows = await session.fetch("get_sealable_namespaces", list(offsets), self._after, NAMESPACES_A_PASS)
        self._after = rows[-1]["id"] if len(rows) == NAMESPACES_A_PASS else 0
        rounds = {p: PartitionRound(apply_link, p, offset) for p, offset in offsets.items()}
        for row in rows:
            unit = WorkUnit(row["partition"], SEAL, f"of namespace {row['id']}")
            if faults.is_due(unit):
                with faults.guard(unit):
                    await self._seal(link, rounds[row["partition"]], namespace_from_row(row), now)

    async def _seal(
        self, link: RedisConnection, partition_round: PartitionRound, namespace: Namespace, now: int
    ) -> None:
        due = _due(namespace, await self._windows.of(link, namespace), now)
        if due:
            self._windows.close(namespace, await _submit(partition_round, namespace, due))


def _due(namespace: Namespace, open_windows: Iterable[str], now: int) -> list[Window]:
    """The windows to close now, the earliest first."""
    windows = (namespace.calendar.find(name, now) for name in open_windows)
    due = [window for window in windows if window is not None and is_due(namespace, window, now)]
    return sorted(due, key=lambda window: (window.ends or 0, window.name))[:ENTRIES_MAX]


async def _submit(partition_round: PartitionRound, namespace: Namespace, windows: list[Window]) -> list[str]:
    """Submits seals. Returns the windows that are closed now. Refused seals (other rules, another head, Redis's clock)
    are due again in a later pass."""
    try:
        outcomes = await partition_round.submit([seal_entry(namespace, window) for window in windows])
    except CallRefused:
        return []
    pairs = zip(windows, outcomes, strict=True)
    return [window.name for window, outcome in pairs if outcome.code in _CLOSED]

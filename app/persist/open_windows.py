"""The open windows of namespaces: read from Redis once, and then followed by the ledger's rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from ..drivers.redis import RedisConnection, ask
from ..model.namespace import Namespace
from ..store import fields
from ..store.archived_windows import evict_call
from ..store.boards import base_of
from ..store.namespace_fields import fields_of
from .ledger_row import LedgerRow

#: Windows that are cached, some 100 MB. Beyond them the cache is cleared, and they are read again.
WINDOWS_MAX = 1_000_000


class OpenWindows:
    """The open windows of namespaces that close windows, in this persister's partitions."""

    def __init__(self) -> None:
        self._windows: dict[int, set[str]] = {}
        self._partitions: dict[int, int] = {}

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets partitions that belong to another persister now, because their rows are not seen here any more."""
        for number, p in list(self._partitions.items()):
            if p not in partitions:
                self._forget(number)

    def note(self, rows: Iterable[LedgerRow]) -> None:
        """Adds the windows of rows that are in the ledger. O(rows)."""
        for row in rows:
            entry = row.entry
            if entry is not None and not row.quarantined:
                windows = self._windows.get(entry.namespace_id)
                if windows is not None:
                    windows.update(map(base_of, entry.windows))

    async def of(self, link: RedisConnection, namespace: Namespace) -> set[str]:
        """The open windows of a namespace. O(1); the first time O(the namespace's fields in Redis), in pieces.
        RedisRefused."""
        windows = self._windows.get(namespace.id)
        if windows is None:
            if sum(map(len, self._windows.values())) > WINDOWS_MAX:
                self.keep(())
            # The set exists before Redis is read, so rows that come meanwhile are added.
            windows = self._windows[namespace.id] = set()
            self._partitions[namespace.id] = namespace.partition
            try:
                windows |= await _ask(link, namespace)
            except BaseException:
                self._forget(namespace.id)
                raise
        return windows

    def close(self, namespace: Namespace, windows: Iterable[str]) -> None:
        """Removes windows that are closed now."""
        self._windows.get(namespace.id, set()).difference_update(windows)

    def _forget(self, number: int) -> None:
        self._windows.pop(number, None)
        self._partitions.pop(number, None)


async def _ask(link: RedisConnection, namespace: Namespace) -> set[str]:
    """The windows with a board that are not closed. Deletes what an earlier version left of archived windows."""
    boards: dict[str, list[str]] = defaultdict(list)
    closed: dict[str, str] = {}
    async for name, value in fields_of(link, namespace):
        if name.startswith(fields.BOARD_VERSION):
            boards[base_of(name[2:])].append(name[2:])
        elif name.startswith(fields.WINDOW_STATE):
            closed[name[2:]] = value
    left = [window for window in boards if closed.get(window, "").startswith("a")]
    for window in left:
        await ask(link, evict_call(namespace, window, dict.fromkeys(boards[window], 0)))
    return boards.keys() - closed.keys()

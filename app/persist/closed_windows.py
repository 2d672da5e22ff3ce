"""Records closed windows, and entries behind their seals, in the transaction that writes the entries."""

from collections.abc import Collection, Iterable, Sequence
from sys import intern

import asyncpg

from ..drivers.postgres import queries
from ..model.entry import LogEntry
from ..model.entry_kinds import kind_of
from .ledger_row import LedgerRow

#: The latest closed windows of a namespace, whose names are cached: days, weeks and months of some 50 days, longer than
#: most namespaces accept late grants. Some 8 KB.
NAMES_MAX = 64


class NamespaceClosures:
    """Closed windows of a namespace: the names of the latest ones, and when the last of the others was closed."""

    __slots__ = ("_before", "_names")

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._before = 0

    def add(self, window: str, at: int) -> None:
        """Adds a window. at: when it was closed, in microseconds; never earlier than the one before. O(1)."""
        self._names[intern(window)] = at
        if len(self._names) > NAMES_MAX:
            self._before = max(self._before, self._names.pop(next(iter(self._names))))

    def may_hold(self, grant: LogEntry) -> bool:
        """Whether a grant may lie in one of them. False is certain; True may be wrong. A grant in a window has a
        granted_at before the window was closed. O(windows of the grant)."""
        return grant.granted_at < self._before or not self._names.keys().isdisjoint(grant.windows)


class ClosedWindows:
    """The closed windows of this persister's partitions. `pending`: partitions where an archive is to be written or
    updated.

    Those of a deleted namespace stay until the partition is taken again.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._closed: dict[int, dict[int, NamespaceClosures]] = {}
        self.pending: set[int] = set()

    async def load(self, p: int) -> None:
        """Reads a partition's closed windows. O(windows)."""
        self._closed[p] = {}
        for row in await self._connection.fetch(queries()["get_seals"], p, NAMES_MAX + 1):
            self._add(p, namespace_id=row["namespace_id"], window=row["window"], at=row["at"])
        self.pending.add(p)

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets partitions that belong to another persister now."""
        self._closed = {p: windows for p, windows in self._closed.items() if p in partitions}

    def _add(self, p: int, *, namespace_id: int, window: str, at: int) -> None:
        self._closed.setdefault(p, {}).setdefault(namespace_id, NamespaceClosures()).add(window, at)

    async def note(self, rows: Sequence[LedgerRow]) -> None:
        """Records the windows that these rows close, and which rows lie in sealed windows. O(rows)."""
        seals, behind = [], []
        for row in rows:
            entry = row.entry
            if entry is None or row.fault is not None:
                continue
            if kind_of(entry.kind).closes_window:
                epoch, seq, at = row.original or (row.epoch, row.seq, row.recorded_at)
                seals.append((entry.namespace_id, entry.grant_id, row.partition, epoch, seq, at))
                self._add(row.partition, namespace_id=entry.namespace_id, window=entry.grant_id, at=at)
            elif self._may_lie_behind(row.partition, entry):
                behind.append(row)
        if seals:
            await self._connection.executemany(queries()["add_seal"], seals)
        if behind:
            await self._add_todo(behind)
        self.pending.update(row.partition for row in behind)
        self.pending.update(seal[2] for seal in seals)

    def _may_lie_behind(self, p: int, entry: LogEntry) -> bool:
        """Whether an entry may concern a closed window. A correction may have moved a grant out of one that it does not
        name."""
        closed, kind = self._closed.get(p, {}).get(entry.namespace_id), kind_of(entry.kind)
        return closed is not None and kind.is_revision and (not kind.is_first or closed.may_hold(entry))

    async def _add_todo(self, rows: Iterable[LedgerRow]) -> None:
        places = [(row.partition, row.epoch, row.seq) for row in rows]
        await self._connection.execute(queries()["add_pending_archive_updates"], *map(list, zip(*places, strict=True)))

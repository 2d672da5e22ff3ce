"""What the ledger's writer notes of closed windows, in the transaction of the entries that tell it."""

from collections.abc import Iterable, Sequence

import asyncpg

from ..model.entry import CORRECTION, GRANT, SEAL
from ..store.postgres import queries
from .row import Row


class Seals:
    """The closed windows of the partitions held. `pending`: partitions where an archive is to be made or to follow."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._closed: dict[int, set[str]] = {}
        self.pending: set[int] = set()

    async def load(self, p: int) -> None:
        """Learns a partition's closed windows. O(windows)."""
        for row in await self._connection.fetch(queries()["seals"], p):
            self._closed.setdefault(row["namespace_id"], set()).add(row["window"])
        self.pending.add(p)

    async def note(self, rows: Sequence[Row]) -> None:
        """Records the windows that these rows close, and what of them lies behind a seal. O(rows)."""
        seals, behind = [], []
        for row in rows:
            entry = row.entry
            if entry is None or row.fault is not None:
                continue
            if entry.kind == SEAL:
                epoch, seq, at = row.original or (row.epoch, row.seq, row.recorded_at)
                seals.append((entry.namespace_id, entry.grant_id, row.partition, epoch, seq, at))
                self._closed.setdefault(entry.namespace_id, set()).add(entry.grant_id)
            elif self._closed and self._may_lie_behind(row):
                behind.append(row)
        if seals:
            await self._connection.executemany(queries()["add_seal"], seals)
        if behind:
            await self._add_todo(behind)
        self.pending.update(row.partition for row in behind)
        self.pending.update(seal[2] for seal in seals)

    def _may_lie_behind(self, row: Row) -> bool:
        """A correction may have left a closed window that it no longer names."""
        assert row.entry is not None
        closed = self._closed.get(row.entry.namespace_id)
        if not closed:
            return False
        return row.entry.kind == CORRECTION or (row.entry.kind == GRANT and not closed.isdisjoint(row.entry.windows))

    async def _add_todo(self, rows: Iterable[Row]) -> None:
        places = [(row.partition, row.epoch, row.seq) for row in rows]
        await self._connection.execute(queries()["add_archive_todo"], *map(list, zip(*places, strict=True)))

"""Finds entries that are not in the partition of their namespace: the ledger sets them aside."""

from collections.abc import Sequence

import asyncpg

from ..drivers.postgres import queries
from .ledger_row import BARE, LedgerRow

#: Namespaces whose partitions are cached: some 10 MB. Beyond them the cache is cleared, and partitions are read again.
NAMESPACES_CACHE_MAX = 100_000
#: The short name of the cause, for metrics.
FOREIGN = "foreign"
_LAST_NUMBER = 2**31 - 1  # of a namespace in Postgres: a greater one is a fault of its row


class NamespacePartitions:
    """Where the namespaces of this connection's rows are. A namespace of which the ledger has a row never moves, so
    what was read once holds."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._partitions: dict[int, int] = {}

    async def check(self, rows: Sequence[LedgerRow]) -> None:
        """Makes dead letters of the rows of another partition than their namespace's, of which only the place is
        recorded. From here on none of the namespaces changes its partition. O(rows), and one or two queries if a
        namespace is new."""
        places = {(row.entry.namespace_id, row.partition) for row in rows if row.entry is not None}
        unknown = [number for number, _ in places if number not in self._partitions and 0 < number <= _LAST_NUMBER]
        if unknown:
            await self._read(unknown)
        foreign = {place for place in places if self._partitions.get(place[0], place[1]) != place[1]}
        for row in rows if foreign else ():
            if row.entry is not None and (row.entry.namespace_id, row.partition) in foreign:
                home = self._partitions[row.entry.namespace_id]
                row.fault = f"namespace {row.entry.namespace_id} is in partition {home}, not in {row.partition}"
                row.code, row.tombstone = FOREIGN, BARE

    async def _read(self, namespace_ids: list[int]) -> None:
        if len(self._partitions) + len(namespace_ids) > NAMESPACES_CACHE_MAX:
            self._partitions.clear()
        unknown = sorted(set(namespace_ids))
        # The first answer leaves out what another transaction bound meanwhile. A new statement sees it: the first one
        # waited for that transaction's end.
        for _ in range(2):
            rows = await self._connection.fetch(queries()["bind_namespaces"], unknown)
            self._partitions.update((row["id"], row["partition"]) for row in rows)
            unknown = [number for number in unknown if number not in self._partitions]
            if not unknown:
                return

"""Windows that were archived behind a fork: their boards still stand in a Redis that is older, and leave it."""

from collections.abc import Sequence

import asyncpg

from ..drivers.postgres import queries
from ..drivers.redis import RedisConnection, ask
from ..model.namespace import Namespace
from ..persist.archivist import hidden_with_balances
from ..store.archived_windows import evict_call
from ..store.ledger_offset import LedgerOffset
from ..store.namespace_fields import boards_of_window
from ..store.rebuilds import is_evicted
from .fork import BEGINNING, ForkChanges

#: Microseconds before the fork in which a window may have been archived that Redis has still: the clocks of the stores
#: differ, and between the archive and its eviction a persister may have ended.
_SLACK_MICROS = 86_400_000_000


class ArchivedWindows:
    """Those of the namespaces of a partition that are not written as a whole."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        link: RedisConnection,
        namespaces: Sequence[Namespace],
        changes: ForkChanges,
        end: LedgerOffset,
    ) -> None:
        self._connection = connection
        self._link = link
        self._namespaces = {namespace.id: namespace for namespace in namespaces}
        self._changes = changes
        self._version = end.seq + 1

    async def evict(self) -> None:
        """Evicts them, and has namespaces dropped once more that were dropped behind the fork. O(their boards)."""
        changes = self._changes
        if changes.fork == BEGINNING:
            return
        fetch, p = self._connection.fetch, changes.partition
        since = await self._connection.fetchval(queries()["get_last_moment"], p, *changes.fork) - _SLACK_MICROS
        await self._connection.execute(queries()["drop_again"], p, since)
        for row in await fetch(queries()["get_windows_archived_since"], p, since):
            namespace = self._namespaces.get(row["namespace_id"])
            if namespace is not None and namespace.id not in changes.whole:
                await self._evict(namespace, row["window"])

    async def _evict(self, namespace: Namespace, window: str) -> None:
        link = self._link
        if await is_evicted(link, namespace.partition, namespace_id=namespace.id, window=window):
            return
        boards = await boards_of_window(link, namespace, window)
        versions = dict.fromkeys([window, *boards], self._version)
        hidden = await hidden_with_balances(link, namespace)
        await ask(link, evict_call(namespace, window, versions, boards=boards, hidden_users=hidden))

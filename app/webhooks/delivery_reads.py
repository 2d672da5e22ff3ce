"""Reads of the deliverer, on a few connections of their own: one that hangs holds up few others."""

import asyncio
from time import monotonic
from typing import Any

import asyncpg

from ..drivers.postgres import Fetch, connect, queries

#: Seconds that a read may take, with the wait for a lock. A thousand rows by an index take some ms.
READ_S_MAX = 2.0
#: Connections for reads.
CONNECTIONS_MAX = 4
#: Reads under way of the webhooks of one key.
KEY_READS_MAX = 2
#: Reads under way of webhooks that have failed, of all keys: what hangs again does so on one connection.
DOUBTFUL_READS_MAX = 1
#: Seconds for which a webhook that has failed is in doubt.
DOUBT_S = 10.0


class DeliveryReads:
    """Connections that are made when they are needed. A read that fails or is given up ends its connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._free = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[asyncpg.Connection] = []
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._doubtful = asyncio.Semaphore(DOUBTFUL_READS_MAX)

    def of(self, key_id: str, *, is_doubtful: bool = False) -> Fetch:
        """Reads within the share of a key. is_doubtful: for a webhook of which something failed just now."""
        share = self._shares.setdefault(key_id, asyncio.Semaphore(KEY_READS_MAX))
        doubtful_until_s = monotonic() + DOUBT_S if is_doubtful else 0.0

        async def fetch(query: str, *args: Any) -> list[asyncpg.Record]:
            async with self._doubtful if monotonic() < doubtful_until_s else share:
                return await self.fetch(query, *args)

        return fetch

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query. asyncpg's errors."""
        async with self._free:
            connection = self._idle.pop() if self._idle else await connect(self._url, READ_S_MAX)
            try:
                rows = list(await connection.fetch(queries()[query], *args))
            except BaseException:
                connection.terminate()
                raise
            self._idle.append(connection)
            return rows

    def end(self) -> None:
        """Ends the connections that nobody uses; of the others their reads' ends do."""
        while self._idle:
            self._idle.pop().terminate()

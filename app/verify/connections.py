"""A pair of connections, to Redis and to the ledger, for one part of a verification. It makes one call at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import asyncpg

from ..drivers.postgres import connect, queries
from ..drivers.redis import RedisConnection
from ..store.sum_tree import CHECK_SUM_TREE
from ..store.user_dump import DUMP_USERS

#: Seconds that a verification waits for a partition's ledger to reach a seq. After them it reports that the ledger does
#: not follow.
FLUSH_S_MAX = 60.0
#: Seconds that one statement of a verification may take: it reads a whole ledger.
QUERY_S_MAX = 600.0
#: Seconds that one call of a verification to Redis may take: it reads a part of a board, and waits behind other calls.
REDIS_S_MAX = 60.0
#: Seconds between two checks of how far the ledger is.
_POLL_S = 0.05


class LedgerBehind(Exception):
    """A partition's ledger does not follow its log, so Redis cannot be compared with it."""


@dataclass(frozen=True, slots=True)
class StoreConnections:
    """`connection`: to the ledger; `link`: to Redis."""

    connection: asyncpg.Connection
    link: RedisConnection

    @classmethod
    async def open(cls, redis_url: str, postgres_url: str, *, by_index: bool) -> "StoreConnections":
        """Connects to both. by_index: for look-ups only; no plan made for a small table may scan all of a large one."""
        settings = {"jit": "off", "work_mem": "64MB", **({"enable_seqscan": "off"} if by_index else {})}
        connection = await connect(postgres_url, QUERY_S_MAX, settings, QUERY_S_MAX)
        return cls(connection, RedisConnection(redis_url, [DUMP_USERS, CHECK_SUM_TREE], timeout_s=REDIS_S_MAX))

    async def close(self) -> None:
        """Closes both."""
        self.connection.terminate()
        await self.link.close()

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query."""
        return list(await self.connection.fetch(queries()[query], *args, timeout=QUERY_S_MAX))

    async def rows(self, query: str, *args: Any) -> list[Any]:
        """The rows of a named query, as tuples."""
        return [tuple(row) for row in await self.fetch(query, *args)]

    async def wait_for_ledger(self, p: int, seq: int) -> None:
        """Waits until the ledger has reached a seq. LedgerBehind."""
        until = monotonic() + FLUSH_S_MAX
        while (await self.fetch("get_offset", p))[0]["seq"] < seq:
            if monotonic() > until:
                what = f"the ledger of partition {p} does not reach seq {seq}"
                raise LedgerBehind(f"{what}: does a persister run, and what does /readyz say?")
            await asyncio.sleep(_POLL_S)


async def close_all(all_stores: Sequence[StoreConnections]) -> None:
    """Closes all of them."""
    for stores in all_stores:
        await stores.close()

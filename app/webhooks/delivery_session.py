"""The deliverer's connection for what it writes. Who has its lock delivers; the lock ends with the connection, so
nobody moves an offset without it."""

import asyncio
from typing import Any

import asyncpg

from ..drivers.postgres import PLANNER_SETTINGS, POSTGRES_ERRORS, connect, queries

#: Seconds that a statement may take: each touches a few rows of one webhook.
STATEMENT_S_MAX = 2.0
#: Seconds that a statement waits for a lock: of a webhook that a client changes. The others wait for it.
LOCK_S_MAX = 0.5
#: Seconds after which Postgres ends a connection on which nothing is asked: its process hangs, and another one is to
#: deliver. One that works asks twice a second.
IDLE_S_MAX = 10.0
#: What Postgres does to a webhook's task, or to the session.
LOST = (*POSTGRES_ERRORS, asyncpg.PostgresError)
# The advisory lock of who delivers.
_LOCK = 0x6C62_0011


class DelivererSession:
    """One connection that many tasks use in turn."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> "DelivererSession":
        """A new one. asyncpg's errors."""
        # A message whose note is lost in a crash of Postgres is sent again, as one whose answer was lost. So no note
        # waits for the disk, and the ledger's commits wait for no note.
        settings = {"idle_session_timeout": f"{IDLE_S_MAX * 1000:.0f}", "synchronous_commit": "off"}
        session = cls(await connect(url, STATEMENT_S_MAX, {**PLANNER_SETTINGS, **settings}))
        await session.fetch("bound_webhook_locks", f"{LOCK_S_MAX * 1000:.0f}")
        return session

    def end(self) -> None:
        """Ends the connection, and with it the lock."""
        self._connection.terminate()

    async def becomes_deliverer(self) -> bool:
        """Whether this session is the one that delivers from now on."""
        rows = await self.fetch("try_deliverer_lock", _LOCK)
        return bool(rows[0]["is_deliverer"])

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query, which is a transaction. asyncpg's errors."""
        async with self._turn:
            return list(await self._connection.fetch(queries()[query], *args))

"""The deliverer's connection to Postgres. Who has its lock delivers; the lock ends with the connection, so nobody
moves an offset without it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from ..drivers.postgres import PLANNER_SETTINGS, POSTGRES_ERRORS, Fetch, connect, queries

#: Seconds that a statement may take: a few thousand entries are looked at, by an index.
STATEMENT_S_MAX = 10.0
#: Seconds after which Postgres ends a connection on which nothing is asked: its process hangs, and another one is to
#: deliver. One that works asks twice a second.
IDLE_S_MAX = 10.0
#: What ends a session.
LOST = (*POSTGRES_ERRORS, asyncpg.PostgresError)
# The advisory lock of who delivers.
_LOCK = 0x6C62_0011


class DelivererSession:
    """One connection that many tasks use in turn. asyncpg's errors end it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> "DelivererSession":
        """A new one. asyncpg's errors."""
        plans = {**PLANNER_SETTINGS, "idle_session_timeout": f"{IDLE_S_MAX * 1000:.0f}"}
        return cls(await connect(url, STATEMENT_S_MAX, plans))

    def end(self) -> None:
        """Ends the connection, and with it the lock."""
        self._connection.terminate()

    async def becomes_deliverer(self) -> bool:
        """Whether this session is the one that delivers from now on."""
        rows = await self.fetch("try_deliverer_lock", _LOCK)
        return bool(rows[0]["is_deliverer"])

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query."""
        async with self._turn:
            return list(await self._connection.fetch(queries()[query], *args))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Fetch]:
        """Runs named queries in one transaction."""

        async def fetch(query: str, *args: Any) -> list[asyncpg.Record]:
            return list(await self._connection.fetch(queries()[query], *args))

        async with self._turn, self._connection.transaction():
            yield fetch

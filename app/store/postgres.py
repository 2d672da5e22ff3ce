"""Postgres: named queries, a small pool for reads and administration, migrations."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import yoyo

from ..model.errors import Invalid, StoreUnavailable

_HERE = Path(__file__).parent
# InternalClientError: what asyncpg says when the connection breaks while it hands it back to its pool.
AWAY = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError),
)

# Everything is read by its indexes; a plan made while a table was small, or by figures of then, must not say otherwise.
PLANS = {"enable_seqscan": "off", "jit": "off"}


@cache
def queries() -> dict[str, str]:
    """Name → text, from queries.sql (`-- name: …`)."""
    parts = re.split(r"^-- name: (\w+)\n", (_HERE / "queries.sql").read_text(), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


class Postgres:
    """A pool that connects when it is needed: the server also starts and serves boards while Postgres is away."""

    def __init__(self, url: str, timeout_s: float = 3) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._pool: asyncpg.Pool | None = None

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query. StoreUnavailable."""
        try:
            pool = await self._ready()
            async with pool.acquire(timeout=self._timeout_s) as connection:
                return await connection.fetch(queries()[query], *args, timeout=self._timeout_s)
        except AWAY as error:
            raise StoreUnavailable("Postgres does not answer") from error
        except asyncpg.DataError as error:
            raise Invalid("holds a value that cannot be kept", field="$") from error

    async def fetch_one(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a named query. StoreUnavailable."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Callable[..., Awaitable[list[asyncpg.Record]]]]:
        """Asks named queries in one transaction; each sees what was committed before it. StoreUnavailable."""
        try:
            pool = await self._ready()
            async with pool.acquire(timeout=self._timeout_s) as connection, connection.transaction():

                async def fetch(query: str, *args: Any) -> list[asyncpg.Record]:
                    return list(await connection.fetch(queries()[query], *args, timeout=self._timeout_s))

                yield fetch
        except AWAY as error:
            raise StoreUnavailable("Postgres does not answer") from error
        except asyncpg.DataError as error:
            raise Invalid("holds a value that cannot be kept", field="$") from error

    async def close(self) -> None:
        """Ends the pool's connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _ready(self) -> asyncpg.Pool:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._url, min_size=0, max_size=6, timeout=self._timeout_s, server_settings=PLANS
            )
        return self._pool


def migrate(url: str) -> list[str]:
    """Applies the migrations that are missing, under a lock; their names."""
    backend = yoyo.get_backend(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    try:
        with backend.lock():
            missing = backend.to_apply(yoyo.read_migrations(str(_HERE / "migrations")))
            backend.apply_migrations(missing)
            return [migration.id for migration in missing]
    finally:
        backend.connection.close()

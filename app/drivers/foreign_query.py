"""One query on somebody else's Postgres, read through a cursor in a read-only transaction."""

from collections.abc import AsyncIterator

import asyncpg

from .postgres import connect

#: Seconds that the query may take on a Postgres that is not ours: a total over years of events.
FOREIGN_QUERY_S_MAX = 3_600.0
#: Rows that are taken from its cursor at a time.
FOREIGN_ROWS_A_FETCH = 5_000


class ForeignQueryError(Exception):
    """The other Postgres does not answer, or refuses the query."""


async def foreign_rows(url: str, text: str) -> AsyncIterator[asyncpg.Record]:
    """The rows of a query. ForeignQueryError."""
    try:
        connection = await connect(url, FOREIGN_QUERY_S_MAX, {}, FOREIGN_QUERY_S_MAX)
        try:
            async with connection.transaction(readonly=True):
                async for row in connection.cursor(text, prefetch=FOREIGN_ROWS_A_FETCH):
                    yield row
        finally:
            connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ForeignQueryError(f"the other Postgres: {error or type(error).__name__}") from error

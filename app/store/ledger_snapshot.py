"""Postgres at one instant, read at length: rows come through a server-side cursor, some thousands at a time."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from ..drivers.migrations import check_migrated
from ..drivers.postgres import PLANNER_SETTINGS, POSTGRES_ERRORS, connect, queries
from ..drivers.store_contact import contact
from ..model.errors import StoreUnavailable
from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder
from ..model.visibility import is_erased
from .namespace_cache import namespace_from_row
from .user_cells import read_user_cells

#: Seconds that one statement of a snapshot may take: it may sort a whole ledger before its first row.
STATEMENT_S_MAX = 3_600.0
#: Rows that are taken from a cursor at a time; a grant with its meta is some hundred bytes.
ROWS_A_FETCH = 2_000
#: Users whose entries one question to the ledger asks for.
USERS_A_QUESTION = 2_000


@contextmanager
def _as_unavailable(url: str) -> Iterator[None]:
    """Turns errors of Postgres into StoreUnavailable. Whoever reads a snapshot has errors of its own, also of files."""
    try:
        yield
    except (*POSTGRES_ERRORS, asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise StoreUnavailable(f"{contact('Postgres', url).silence}: {error}") from error


async def _applied(connection: asyncpg.Connection) -> list[str]:
    """The names of the migrations that made the tables; none where there are no tables."""
    try:
        return [row["migration_id"] for row in await connection.fetch(queries()["get_migrations"])]
    except asyncpg.UndefinedTableError:
        return []


class PartitionCut(NamedTuple):
    """How far the ledger of a partition was: the place of its last entry."""

    partition: int
    epoch: int
    seq: int


class LedgerSnapshot:
    """One state of Postgres. The rows of each partition end at its cut. at: when it was taken, by the clock of
    Postgres; deployment: its id."""

    def __init__(
        self, connection: asyncpg.Connection, cuts: Mapping[int, PartitionCut], at: datetime, deployment: str, url: str
    ) -> None:
        self.connection = connection
        self.cuts = cuts
        self.at = at
        self.deployment = deployment
        self._url = url

    @classmethod
    @asynccontextmanager
    async def open(cls, postgres_url: str) -> AsyncIterator["LedgerSnapshot"]:
        """Takes a snapshot and lets it go. It holds back VACUUM meanwhile. StoreUnavailable, FormatRefused."""
        with _as_unavailable(postgres_url):
            plans = {**PLANNER_SETTINGS, "work_mem": "64MB"}
            connection = await connect(postgres_url, STATEMENT_S_MAX, plans, STATEMENT_S_MAX)
        try:
            with _as_unavailable(postgres_url):
                # Not read-only: scores are collected in temporary tables. It is never committed.
                await connection.transaction(isolation="repeatable_read").start()
                check_migrated(await _applied(connection))
                rows = await connection.fetch(queries()["get_offsets"])
                (now,) = await connection.fetch(queries()["get_current_time"])
                row = await connection.fetchrow(queries()["get_deployment"])
            cuts = {row["partition"]: PartitionCut(*list(row.values())[:3]) for row in rows}
            yield cls(connection, cuts, now["now"], "" if row is None else row["id"], postgres_url)
        finally:
            connection.terminate()

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a named query, of which there are few. StoreUnavailable, here and below."""
        with _as_unavailable(self._url):
            return list(await self.connection.fetch(queries()[query], *args))

    async def execute(self, query: str, *args: Any) -> None:
        """Runs a named query that tells nothing."""
        with _as_unavailable(self._url):
            await self.connection.execute(queries()[query], *args)

    async def copy(self, table: str, records: Sequence[tuple[Any, ...]]) -> None:
        """Adds rows to a temporary table of this snapshot."""
        with _as_unavailable(self._url):
            await self.connection.copy_records_to_table(table, records=records)

    async def rows(self, query: str, *args: Any) -> AsyncIterator[Sequence[asyncpg.Record]]:
        """The rows of a named query, ROWS_A_FETCH at a time."""
        some: list[asyncpg.Record] = []
        with _as_unavailable(self._url):
            # An iterator, because asyncpg closes it at its end; a cursor would stay open, and its tables could not
            # change.
            async for row in self.connection.cursor(queries()[query], *args, prefetch=ROWS_A_FETCH):
                some.append(row)
                if len(some) == ROWS_A_FETCH:
                    yield some
                    some = []
            if some:
                yield some

    async def namespaces(self) -> list[Namespace]:
        """All namespaces that are not deleted, by name."""
        return [namespace_from_row(row) for row in await self.fetch("get_namespaces")]

    async def scores(
        self,
        namespace: Namespace,
        *,
        closed: frozenset[str] = frozenset(),
        board: str | None = None,
        seq: int | None = None,
    ) -> AsyncIterator[list[tuple[str, int, int, Decimal]]]:
        """The scores of a namespace's users, as `verify` and `rebuild` compute them: board, user number, sort key and
        tie place, hidden users among them, erased users not. closed: windows that are left out; board: the one board
        that is asked for; seq: as of which; None: the cut. O(the namespace's entries × log n)."""
        builder, after = CellBuilder(namespace, closed), 0
        seq = self.cuts[namespace.partition].seq if seq is None else seq
        while rows := await self.fetch("get_numbered_users", namespace.id, after, USERS_A_QUESTION):
            after = rows[-1]["number"]
            numbers = [row["number"] for row in rows if not is_erased(row["name"])]
            with _as_unavailable(self._url):
                users = await read_user_cells(self.connection, namespace, builder, numbers, [seq] * len(numbers))
            yield [
                (cell[2:], number, namespace.sign * value, Decimal(user.cells.get(f"o:{cell[2:]}", 0)))
                for number, user in users.items()
                for cell, value in user.cells.items()
                if cell[:2] == "b:" and board in (None, cell[2:])
            ]

    async def collect_scores(self, namespace: Namespace, closed: frozenset[str], window: str | None) -> None:
        """Writes the scores of a namespace into `export_scores`. window: the one whose boards are asked for."""
        await self.execute("create_export_scores")
        await self.execute("truncate_export_scores")
        async for scores in self.scores(namespace, closed=closed):
            records = [row for row in scores if window is None or f"{row[0]}:".startswith(f"{window}:")]
            await self.copy("export_scores", records)

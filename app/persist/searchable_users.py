"""Writes by what users are found who are new in a namespace."""

from collections.abc import Sequence

import asyncpg

from ..drivers.postgres import queries
from ..model.profile import fold_name
from ..model.visibility import is_erased


async def add_searchable_users(connection: asyncpg.Connection, span: Sequence[Sequence[int]]) -> None:
    """Writes the missing rows of users who have entries in a span of the ledger, as `count_in_time` takes it. It
    follows the ledger as the counts do, so it costs the ledger's own transaction nothing. A name that changes meanwhile
    is noted by a trigger. O(entries × log n)."""
    rows = await connection.fetch(queries()["find_unsearchable_users"], *span)
    users = [(row["number"], row["namespace_id"], fold_name(row["name"])) for row in rows if not is_erased(row["name"])]
    if users:
        await connection.execute(queries()["add_searchable_users"], *map(list, zip(*users, strict=True)))

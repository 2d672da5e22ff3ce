"""Counts by time: grants and amounts follow the ledger when there is time for it, sums of boards with its rows."""

from collections.abc import Iterable, Sequence
from functools import cache

import asyncpg

from ..store.postgres import queries
from .row import Row

DENSE = 256  # grants of a user in an hour, from which on it is counted by minutes and by hundredths of a second
_MINUTE = 60_000_000


@cache
def statement(name: str) -> str:
    """One of those that begin with `moves`."""
    return f"{queries()['moves']}\n{queries()[name]}"


async def count_in_time(connection: asyncpg.Connection, spans: Sequence[Sequence[int]]) -> None:
    """Grants and amounts of the ledger's rows by hours and days.

    spans: columns of partition, and the places behind which and up to which the rows lie. O(rows × log n).
    """
    hours = await connection.fetch(statement("add_activity"), *spans, DENSE)
    if any(hour["fine"] for hour in hours):
        await connection.execute(statement("add_fine"), *spans)
    dense = [(hour["user_number"], hour["namespace_id"], hour["at"]) for hour in hours if not hour["fine"]]
    if dense:
        await connection.execute(queries()["refine"], *map(list, zip(*dense, strict=True)))


async def add_board_sums(connection: asyncpg.Connection, rows: Iterable[Row]) -> None:
    """What the `all` boards came to, with the rows that tell it; nothing where none moved a score. O(rows)."""
    moved = _moved(rows)
    if moved:
        columns = zip(*((*at, str(change), came) for at, (change, came) in moved.items()), strict=True)
        await connection.execute(queries()["add_board_sums"], *map(list, columns))


def _moved(rows: Iterable[Row]) -> dict[tuple[int, int], tuple[int, int]]:
    """By namespace and minute of recording: what the scores of `all` changed by, and how many users came."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for row in rows:
        if not row.counts or row.entry is None or not (row.change or row.came):
            continue
        at = row.entry.namespace_id, row.recorded_at - row.recorded_at % _MINUTE
        change, came = found.get(at, (0, 0))
        found[at] = change + row.change, came + row.came
    return found

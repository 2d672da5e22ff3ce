"""What the ledger's writer adds to the counts by time, in the transaction of the entries that tell it."""

from collections.abc import Iterable, Sequence

import asyncpg

from ..store.postgres import queries
from .row import Row

_MINUTE = 60_000_000


async def count_in_time(connection: asyncpg.Connection, rows: Iterable[Row], spans: Sequence[Sequence[int]]) -> None:
    """Grants and amounts by hours and days, and what the `all` boards came to. The rows stand in the ledger by now.

    spans: columns of partition, and the places behind which and up to which its rows lie. O(rows × log n).
    """
    await connection.execute(queries()["add_activity"], *spans)
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

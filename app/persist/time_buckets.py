"""Counts by time: grants and amounts follow the ledger when it is not busy; sums of boards are written with its
rows."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import asyncpg

from ..drivers.postgres import queries
from ..model.local_days import LocalDays
from ..model.zone import known_zone
from .ledger_row import LedgerRow

DENSE = (
    256  # grants of a user in an hour from which on the hour is also counted by minutes and by hundredths of seconds
)
_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = timedelta(days=1)


async def count_in_time(connection: asyncpg.Connection, spans: Sequence[Sequence[int]]) -> None:
    """Counts grants and amounts of the ledger's rows by hours and days, and updates the live grants.

    spans: columns of partition, and the places after which and up to which the rows lie. O(rows × log n).
    """
    await _add_days(connection, spans)
    await connection.execute(queries()["delete_live_grants"], *spans)
    await connection.execute(queries()["add_live_grants"], *spans)
    hours = await connection.fetch(queries()["add_buckets"], *spans, DENSE)
    if any(hour["is_subdivided"] for hour in hours):
        await connection.execute(queries()["add_subdivisions"], *spans)
    dense = [(hour["user_number"], hour["namespace_id"], hour["at"]) for hour in hours if not hour["is_subdivided"]]
    if dense:
        last = [spans[0], spans[4]]
        await connection.execute(queries()["subdivide_hours"], *map(list, zip(*dense, strict=True)), *last)


async def _add_days(connection: asyncpg.Connection, spans: Sequence[Sequence[int]]) -> None:
    """Adds the local days in which the rows' moments lie. They are computed only here, as for boards."""
    unknown = await connection.fetch(queries()["find_unknown_days"], *spans)
    days = {
        (row["zone"], row["day_offset"], starts, ends)
        for row in unknown
        for around in (-1, 0, 1)
        for starts, ends in [_bounds(LocalDays(known_zone(row["zone"]), row["day_offset"]), row["day"] + around * _DAY)]
        if starts < ends  # a day that a zone skips is empty
    }
    if days:
        await connection.execute(queries()["add_zone_days"], *map(list, zip(*sorted(days), strict=True)))


def _bounds(local: LocalDays, day: date) -> tuple[int, int]:
    return local.begins(day), local.begins(day + _DAY)


async def add_board_sums(connection: asyncpg.Connection, rows: Iterable[LedgerRow]) -> None:
    """Writes the changes of the `all` boards by minute, in the rows' transaction. Nothing if no score moved.
    O(rows)."""
    moved = _moved(rows)
    if not moved:
        return
    spaces = await connection.fetch(queries()["get_zones_of_namespaces"], list({space for space, _ in moved}))
    days = {row["id"]: LocalDays(known_zone(row["zone"]), row["day_offset"]) for row in spaces}
    buckets = []
    for (space, minute), (change, came) in moved.items():
        day = days.get(space, LocalDays("UTC")).begin_of(minute)
        buckets.append((space, 0, day, str(change), came))
        buckets.append((space, 1, minute - (minute - day) % _HOUR, str(change), came))
    await connection.execute(queries()["add_board_sums"], *map(list, zip(*buckets, strict=True)))


def _moved(rows: Iterable[LedgerRow]) -> dict[tuple[int, int], tuple[int, int]]:
    """By namespace and minute of recording: the change of the `all` board's scores, and of its number of users."""
    sums: dict[tuple[int, int], tuple[int, int]] = {}
    for row in rows:
        if not row.counts or row.entry is None or not (row.change or row.came):
            continue
        at = row.entry.namespace_id, row.recorded_at - row.recorded_at % _MINUTE
        change, came = sums.get(at, (0, 0))
        sums[at] = change + row.change, came + row.came
    return sums

"""Makes dead letters, in the transaction of the rows: of entries that the boards counted and the ledger cannot take.

A duplicate is healed automatically. A dead letter waits for an operator, who has it recorded or taken off the boards.
"""

from collections.abc import Sequence

import asyncpg

from ..drivers.postgres import queries
from ..metrics import DUPLICATES_HEALED, POISON
from ..model.entry import LogEntry
from ..model.entry_kinds import DUPLICATE, kind_of
from ..model.entry_names import parse_heal_name
from .failure import DEAD_LETTERS_PAUSE_S, TooManyDeadLetters
from .ledger_row import BARE, LedgerRow
from .namespace_partitions import FOREIGN

#: Dead letters of a partition in a minute. With more, the fault is hardly in each row, and the partition stops instead.
DEAD_LETTERS_A_MINUTE_MAX = 10


async def note_dead_letters(connection: asyncpg.Connection, rows: Sequence[LedgerRow]) -> None:
    """Records the duplicates and dead letters among these rows, and closes those that these rows settle.
    TooManyDeadLetters; O(rows)."""
    rows = [row for row in rows if row.fault is not None or row.entry is None or _may_settle(row.entry)]
    if not rows:
        return
    duplicates = [row for row in rows if row.fault == DUPLICATE]
    dead = [row for row in rows if row.is_dead]
    letters = [row for row in dead if row.original is None and not _tombstone_suffices(row)]
    await _check_rate(connection, letters)
    if duplicates or letters:
        aside = [(DUPLICATE, row) for row in duplicates] + [("poison", row) for row in letters]
        records = [
            (*_place(row), _namespace_id(row), reason, row.packed, row.fault, _corrected_grant(row))
            for reason, row in aside
        ]
        await connection.executemany(queries()["add_dead_letter"], records)
    failed = [(row.partition, *row.original[:2], row.fault) for row in dead if row.original is not None]
    if failed:
        await connection.executemany(queries()["record_failed_retry"], failed)
    done = [row for row in rows if row.fault is None or _tombstone_suffices(row)]
    settled = [place for row in done if (place := _settles(row)) is not None]
    if settled:
        await connection.executemany(queries()["settle_dead_letter"], settled)
    DUPLICATES_HEALED.inc(len(duplicates))
    POISON.inc(len(letters))


async def _check_rate(connection: asyncpg.Connection, letters: Sequence[LedgerRow]) -> None:
    for p in {row.partition for row in letters}:
        count = sum(row.partition == p for row in letters)
        recent = await connection.fetchval(queries()["count_recent_dead_letters"], p)
        if recent + count > DEAD_LETTERS_A_MINUTE_MAX:
            raise TooManyDeadLetters(
                f"more than {DEAD_LETTERS_A_MINUTE_MAX} entries in a minute cannot be recorded; the last: "
                f"{letters[-1].code or 'unreadable'}; it waits {DEAD_LETTERS_PAUSE_S / 60:.0f} minutes, or until "
                "somebody decides about one of its dead letters"
            )


def _may_settle(entry: LogEntry) -> bool:
    """Whether an entry may settle something. Nearly all entries are grants and do not."""
    return entry.original is not None or kind_of(entry.kind).settles


def _tombstone_suffices(row: LedgerRow) -> bool:
    """Whether a tombstone records all of an entry: a heal has only its user and what it moved, and a foreign one
    nothing, as the entry that it heals had nothing."""
    has_all = row.tombstone != BARE or row.code == FOREIGN
    return row.is_dead and has_all and row.entry is not None and kind_of(row.entry.kind).settles


def _corrected_grant(row: LedgerRow) -> str | None:
    """The grant that a dead letter corrects, and which nothing else corrects meanwhile. None if not even its tombstone
    tells a namespace: then Postgres may not take the name either."""
    if row.entry is None or not row.is_dead or row.tombstone == BARE:
        return None
    kind = kind_of(row.entry.kind)
    return row.entry.grant_id if kind.is_revision and not kind.is_first else None


def _namespace_id(row: LedgerRow) -> int:
    """The namespace of a row of the ledger; 0 where it has only a place."""
    return 0 if row.entry is None or (row.is_dead and row.tombstone == BARE) else row.entry.namespace_id


def _place(row: LedgerRow) -> tuple[int, int, int]:
    return row.partition, row.epoch, row.seq


def _settles(row: LedgerRow) -> tuple[int, int, int, int] | None:
    """The place of the duplicate or dead letter that this row settles, and the row's own seq."""
    if row.original is not None:
        return row.partition, *row.original[:2], row.seq
    if row.entry is not None and kind_of(row.entry.kind).settles:
        place = parse_heal_name(row.entry.grant_id)
        return None if place is None else (row.partition, *place, row.seq)
    return None

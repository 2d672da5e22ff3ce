"""Adds to the audit, in the transaction that writes the entries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from ..drivers.postgres import queries
from ..model.entry_kinds import kind_of
from .ledger_row import LedgerRow


@dataclass(slots=True)
class BatchSummary:
    """The grants of one request in a transaction. change: of the scores on the `all` board, in units."""

    actor: str | None
    first_seq: int
    last_seq: int
    grants: int = 0
    change: int = 0


async def record_audit(
    connection: asyncpg.Connection, rows: Iterable[LedgerRow], newcomers: Sequence[asyncpg.Record]
) -> None:
    """Records batches that were applied, and users with their first entry in a namespace. O(rows).

    The namespaces' rows are locked first, so that the ids of a namespace's audit are in the order of commits.
    """
    batches: dict[tuple[int, str], BatchSummary] = {}
    for row in rows:
        entry = row.entry
        if (
            entry is None
            or entry.batch is None
            or row.fault is not None
            or not kind_of(entry.kind).is_first
            or row.quarantined
        ):
            continue
        summary = batches.setdefault((entry.namespace_id, entry.batch), BatchSummary(entry.actor, row.seq, row.seq))
        summary.grants, summary.change, summary.last_seq = summary.grants + 1, summary.change + row.change, row.seq
    if not batches and not newcomers:
        return
    spaces = sorted({space for space, _ in batches} | {row["namespace_id"] for row in newcomers})
    await connection.execute(queries()["lock_namespaces"], spaces)
    if newcomers:
        columns = [[row[name] for row in newcomers] for name in ("namespace_id", "user_number")]
        await connection.execute(queries()["record_registrations"], *columns)
    if batches:
        records = [
            (*name, summary.actor, summary.grants, summary.change, summary.first_seq, summary.last_seq)
            for name, summary in batches.items()
        ]
        await connection.execute(queries()["record_batches"], *map(list, zip(*records, strict=True)))

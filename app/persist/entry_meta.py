"""What entries carry beside their columns: the meta of grants, and what the ledger lacks of a user."""

from collections.abc import Iterable, Mapping

import asyncpg

from ..model.entry_kinds import LOSS
from ..model.entry_names import parse_loss_name
from .ledger_row import LedgerRow

_META = "partition", "epoch", "seq", "namespace_id", "meta"
_CELLS = "namespace_id", "user_number", "seq", "cells", "since_seq"


async def copy_meta(connection: asyncpg.Connection, rows: Iterable[LedgerRow], numbers: Mapping[str, int]) -> None:
    """Writes it, in the transaction of the rows. numbers: of users, by name. O(rows)."""
    metas, cells = [], []
    for row in rows:
        entry = row.entry
        if entry is None or entry.meta is None:
            continue
        if entry.kind == LOSS.name:
            since_seq = parse_loss_name(entry.grant_id)
            cells.append((entry.namespace_id, numbers[entry.user], row.seq, entry.meta.decode(), since_seq))
        else:
            metas.append((row.partition, row.epoch, row.seq, entry.namespace_id, entry.meta.decode()))
    if metas:
        await connection.copy_records_to_table("grant_meta", records=metas, columns=_META)
    if cells:
        await connection.copy_records_to_table("lost_cells", records=cells, columns=_CELLS)

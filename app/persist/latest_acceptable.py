"""Raises a namespace's latest acceptable granted_at if a row lies after it.

Each change of rules records how far ahead the rules accepted grants. A row may lie after that: rules without such a
record accepted it, and it was still in the log when the ledger was searched. The seasons in which it lies must stay.
"""

from collections.abc import Iterable

import asyncpg
import msgspec

from ..drivers.postgres import queries
from ..model.entry_kinds import kind_of
from ..model.namespace import MARGIN_MICROS, Rules, latest_acceptable_at
from .ledger_row import LedgerRow


async def note_latest_acceptable(connection: asyncpg.Connection, rows: Iterable[LedgerRow]) -> None:
    """Raises the latest acceptable moment of namespaces whose rows lie after it. O(rows), and no query if no row lies
    ahead."""
    ahead: dict[int, tuple[int, int]] = {}
    for row in rows:
        entry = row.entry
        if entry is None or not row.counts or not kind_of(entry.kind).is_revision:
            continue
        if entry.granted_at > row.recorded_at + MARGIN_MICROS:
            # One comparison is enough: the latest granted_at against the rules as of the earliest recording never gives
            # too little.
            furthest, since = ahead.get(entry.namespace_id, (0, row.recorded_at))
            ahead[entry.namespace_id] = max(furthest, entry.granted_at), since
    if not ahead:
        return
    for number, text in await connection.fetch(queries()["get_rules_of_namespaces"], list(ahead)):
        furthest, since = ahead[number]
        try:
            reach = latest_acceptable_at(msgspec.json.decode(text, type=Rules), since)
        except msgspec.DecodeError:
            reach = 0  # Rules of a later version cannot be read: the rows show what they accepted.
        if furthest > reach:
            await connection.execute(queries()["raise_latest_acceptable"], number, furthest)

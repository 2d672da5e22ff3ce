"""How far ahead a namespace ever let grants in, told by its rows where its present rules do not.

Whoever changes rules records their reach. A row tells what was let in by rules of which nobody did, and was still in
the log when the ledger was looked through for such: the seasons that it lies in stay.
"""

from collections.abc import Iterable

import asyncpg
import msgspec

from ..drivers.postgres import queries
from ..model.entry_kinds import kind_of
from ..model.namespace import MARGIN_MICROS, Rules, latest_acceptable_at
from .ledger_row import LedgerRow


async def note_latest_acceptable(connection: asyncpg.Connection, rows: Iterable[LedgerRow]) -> None:
    """Raises the reach of namespaces that these rows lie beyond. O(rows), and no question while none lies ahead."""
    ahead: dict[int, tuple[int, int]] = {}
    for row in rows:
        entry = row.entry
        if entry is None or not row.counts or not kind_of(entry.kind).is_revision:
            continue
        if entry.granted_at > row.recorded_at + MARGIN_MICROS:
            # Each one's own moment does not matter: the farthest, by the rules as of the earliest, is never too near.
            furthest, since = ahead.get(entry.namespace_id, (0, row.recorded_at))
            ahead[entry.namespace_id] = max(furthest, entry.granted_at), since
    if not ahead:
        return
    for number, text in await connection.fetch(queries()["get_rules_of_namespaces"], list(ahead)):
        furthest, since = ahead[number]
        try:
            reach = latest_acceptable_at(msgspec.json.decode(text, type=Rules), since)
        except msgspec.DecodeError:
            reach = 0  # Rules of a later version: what was let in tells how far they reach.
        if furthest > reach:
            await connection.execute(queries()["raise_latest_acceptable"], number, furthest)

"""The ids of the grants that came last, from the ledger into a partition that is written anew: so that a grant of now
need not be looked up in the ledger, which may be away."""

import asyncpg

from ..drivers.postgres import queries
from ..drivers.redis import RedisConnection
from ..model.entry_kinds import GRANT
from ..model.entry_names import entry_id
from ..store.ledger_offset import LedgerOffset
from ..store.rebuilds import remember_ids

#: Seconds of the ledger whose ids are remembered: twice as long as a grant may be from the future (accept_future, 300
#: s).
RECENT_S = 600
#: Entries among which these ids are: a second of a rebuild, and 6 MB of Redis. Where more came, ids are known for a
#: shorter time.
RECENT_ENTRIES_MAX = 50_000
#: Entries that one question to the ledger reads.
ENTRIES_A_QUESTION_MAX = 5_000


async def remember_recent_grants(
    connection: asyncpg.Connection, link: RedisConnection, p: int, end: LedgerOffset, *, now: int, generation: int
) -> int:
    """Writes the ids of a partition's last grants into a generation of dedup. now: the moment of the ledger's last
    entry (microseconds). Returns since when the generation has every id; 0: from the beginning. O(ids × log n).

    Moments rise with places, but for those of dead letters that were recorded later.
    """
    since, before = now - RECENT_S * 1_000_000, (end.epoch, end.seq + 1)
    for _ in range(RECENT_ENTRIES_MAX // ENTRIES_A_QUESTION_MAX):
        rows = await connection.fetch(queries()["get_entries_before"], p, *before, ENTRIES_A_QUESTION_MAX)
        ids = {
            entry_id(GRANT, row["namespace_id"], row["grant_id"], 1): (row["epoch"], row["seq"], bytes(row["digest"]))
            for row in rows
            if row["kind"] == GRANT.name
        }
        if ids:
            await remember_ids(link, p, generation, ids)
        if len(rows) < ENTRIES_A_QUESTION_MAX:
            return 0
        last = min((row["recorded_at"] for row in rows if not row["is_recorded_late"]), default=now)
        if last < since:
            break
        before = rows[-1]["epoch"], rows[-1]["seq"]
    return last + 1

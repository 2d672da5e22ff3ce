"""Holding a partition as its persister would, so that nobody else writes its rows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from ..drivers.postgres import connect, queries
from ..drivers.redis import RedisRefused
from ..model.ledger_chain import LedgerChain
from ..persist.heartbeat import beat
from ..persist.ledger_session import LedgerSession
from ..task_end import cancel_and_wait

#: Seconds until a partition's persister has given it up. It notices within two that the partition is closed; one that
#: hangs loses it after ten.
LEASE_WAIT_S_MAX = 30.0
#: Seconds between two looks at whether it has.
_LEASE_POLL_S = 0.2
#: Seconds that one statement may take: some hundred users; one of them may have a million entries.
STATEMENT_S_MAX = 120.0


@asynccontextmanager
async def hold_partition(postgres_url: str, p: int, chain: LedgerChain) -> AsyncIterator[LedgerSession]:
    """The session of who has the lease of a closed partition. RedisRefused where its persister, or another rebuild,
    does not give it up; asyncpg's errors."""
    session = await LedgerSession.connect(postgres_url, await _register(postgres_url), STATEMENT_S_MAX, chain)
    heart = asyncio.create_task(beat(postgres_url, session.leases.number, monotonic))
    try:
        await session.execute("create_leases")
        until = monotonic() + LEASE_WAIT_S_MAX
        while not await session.leases.take([p], 1):
            if monotonic() > until:
                raise RedisRefused(
                    f"a persister or another rebuild does not give partition {p} up: look at its log, then "
                    "run this again"
                )
            await asyncio.sleep(_LEASE_POLL_S)
        # Rows that lie in closed windows are noted for their archives.
        await session.seals.load(p)
        yield session
        await session.leases.release([p])
    finally:
        await cancel_and_wait(heart)
        session.terminate()


async def _register(postgres_url: str) -> int:
    connection = await connect(postgres_url, STATEMENT_S_MAX)
    try:
        return int(await connection.fetchval(queries()["register_rebuild"]))
    finally:
        connection.terminate()

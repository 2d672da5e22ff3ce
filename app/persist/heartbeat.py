"""The heartbeat of a persister: every second it records in Postgres that its process runs and its passes end."""

import asyncio
from collections.abc import Callable
from time import monotonic

import asyncpg
import structlog

from ..drivers.postgres import connect, queries
from .leases import LEASE_S, Superseded
from .maintenance import log_loss

log = structlog.get_logger()

#: Seconds between two beats; a tenth of what a lease lasts.
BEAT_S = 1.0
#: Seconds that a beat may take. A slower one is sent anew on another connection, before the lease is over.
BEAT_S_MAX = LEASE_S / 4
#: Seconds that one pass over the logs may take, longer than any that makes progress. After them the heartbeat stops on
#: purpose, and another persister takes over.
PASS_S_MAX = 300.0


async def beat(url: str, number: int, passed: Callable[[], float]) -> None:
    """Sends heartbeats of persister `number` for ever, on its own connection. passed: when its last pass ended
    (monotonic). Superseded if it is not registered any more."""
    while True:
        connection = None
        try:
            connection = await connect(url, BEAT_S_MAX)
            while True:
                if monotonic() - passed() <= PASS_S_MAX and not await connection.fetch(
                    queries()["record_heartbeat"], number
                ):
                    raise Superseded("this persister was silent for too long")
                await asyncio.sleep(BEAT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log_loss("no heartbeat", error)
        finally:
            if connection is not None:
                connection.terminate()
        await asyncio.sleep(BEAT_S)

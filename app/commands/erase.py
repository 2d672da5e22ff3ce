"""`leaderboard erase`."""

import asyncio
from typing import Annotated

import typer

from ..admin.erasures import Erasures
from ..admin.state_gate import CommandGate
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..settings import read_settings
from ..store.namespace_cache import SET_IF_NEWER
from .finding import FindingError


def erase(user: Annotated[str, typer.Argument(metavar="USER")]) -> None:
    """Erases a user: deletes the name, the profile and the grants' meta, and keeps every sum. Waits a minute at
    most."""
    settings = read_settings()

    async def work() -> bool:
        postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, [SET_IF_NEWER])
        try:
            erasures = Erasures(postgres, CommandGate(postgres, link))
            return await erasures.erased(await erasures.erase(user, "cli"), 60)
        finally:
            await link.close()
            await postgres.close()

    if not asyncio.run(work()):
        raise FindingError("the erasure is recorded and not done yet: is a persister running?")

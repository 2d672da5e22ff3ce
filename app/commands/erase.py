"""`leaderboard erase`."""

import asyncio
from typing import Annotated

import typer

from ..admin.erasures import Erasures
from ..drivers.postgres import Postgres
from ..settings import read_settings
from .finding import FindingError


def erase(user: Annotated[str, typer.Argument(metavar="USER")]) -> None:
    """Erases a user: deletes the name, the profile and the grants' meta, and keeps every sum. Waits a minute at
    most."""
    settings = read_settings()

    async def work() -> bool:
        erasures = Erasures(Postgres(settings.postgres_url))
        return await erasures.erased(await erasures.erase(user, "cli"), 60)

    if not asyncio.run(work()):
        raise FindingError("the erasure is recorded and not done yet: is a persister running?")

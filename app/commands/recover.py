"""`leaderboard recover`."""

import asyncio

import typer

from ..admin.losses import recover as recover_all
from ..logs import configure
from ..settings import Settings, read_settings


def recover() -> None:
    """Opens partitions that lost what only a server knew of; exit 1 where one stays closed."""
    settings = read_settings()
    configure(settings.log_level)
    if not asyncio.run(_recover(settings)):
        raise typer.Exit(1)


async def _recover(settings: Settings) -> bool:
    is_whole, count = True, 0
    async for recovery in recover_all(settings):
        print(f"partition {recovery.partition}: {recovery.text}")
        is_whole, count = is_whole and recovery.is_open, count + 1
    if not count:
        print("ok: no partition is closed")
    return is_whole

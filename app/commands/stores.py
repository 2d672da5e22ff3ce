"""`leaderboard migrate` and `leaderboard checkconfig`: what the stores need, and whether they have it."""

import asyncio
from typing import Annotated

import typer

from ..admin import migrate as migration
from ..admin.store_agreement import check_together
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection, RedisRefused
from ..settings import read_settings
from ..store.partitions import check_store
from .finding import FindingError


def migrate(
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Partitions of a new deployment; they bound its nodes of Redis.")
    ] = None,
) -> None:
    """Creates or updates the schema, and opens Redis and Postgres for each other. A deployment keeps the number of
    partitions with which it was made."""
    count = asyncio.run(migration.migrate(read_settings(partitions=partitions)))
    if partitions not in (None, count):
        raise FindingError(f"this deployment was made with {count} partitions and keeps them")
    print(f"ready: {count} partitions")


def checkconfig() -> None:
    """Checks every setting and what the stores are configured to do."""
    settings = read_settings()

    async def check() -> None:
        link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
        try:
            for node in await link.links():
                await check_store(node, settings.redis_durability)
            wrong = await check_together(link, postgres)
        finally:
            await link.close()
            await postgres.close()
        if wrong:
            p, what = next(iter(wrong.items()))
            raise RedisRefused(f"partition {p}: {what}; {len(wrong)} partitions differ")

    asyncio.run(check())
    print("ok")

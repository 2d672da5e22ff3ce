"""`leaderboard migrate` and `leaderboard checkconfig`: what the stores need, and whether they have it."""

import asyncio

from ..admin import migrate as migration
from ..admin.store_agreement import check_together
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection, RedisRefused
from ..settings import read_settings
from ..store.partitions import check_store


def migrate() -> None:
    """Creates or updates the schema, and opens Redis and Postgres for each other."""
    partitions = asyncio.run(migration.migrate(read_settings()))
    print(f"ready: {partitions} partitions")


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

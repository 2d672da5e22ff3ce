"""Checks that Redis and Postgres belong together, and that Redis has everything that the ledger has."""

from contextlib import suppress

import asyncpg

from ..drivers.postgres import Postgres, check_format
from ..drivers.redis import REDIS_ERRORS, RedisConnection, RedisRefused
from ..model.errors import StoreUnavailable
from ..settings import Settings
from ..store import keys
from ..store.apply import CallRefused
from ..store.log import digest_in, entry_call
from ..store.partitions import last_seq_call, read_deployment, read_head


async def check_together(link: RedisConnection, postgres: Postgres) -> dict[int, str]:
    """The partitions whose boards cannot be trusted, each with the reason. O(partitions × log n).

    RedisRefused if the two are not of one deployment, or nothing was migrated; FormatRefused; StoreUnavailable.
    """
    await _check_format(postgres)
    row = await postgres.fetch_one("get_deployment")
    if row is None:
        raise RedisRefused("Postgres is not migrated: run leaderboard migrate")
    redis_deployment = await read_deployment(link)
    if redis_deployment is None:
        raise RedisRefused(
            "Redis lost its deployment, or is another one: Postgres was opened with a Redis that held boards"
        )
    if redis_deployment.id != row["id"]:
        raise RedisRefused(f"this Redis belongs to deployment {redis_deployment.id}, this Postgres to {row['id']}")
    wrong = {}
    for offset in await postgres.fetch("get_offsets"):
        what = await _behind(
            link, offset["partition"], epoch=offset["epoch"], seq=offset["seq"], digest=bytes(offset["digest"])
        )
        if what is not None:
            wrong[offset["partition"]] = what
    return wrong


async def _check_format(postgres: Postgres) -> None:
    """FormatRefused if the tables are not those of this release. StoreUnavailable."""
    try:
        rows = await postgres.fetch("get_migrations")
    except asyncpg.UndefinedTableError:
        return  # Nothing was migrated: the caller reports that.
    check_format([row["migration_id"] for row in rows])


async def _behind(link: RedisConnection, p: int, *, epoch: int, seq: int, digest: bytes) -> str | None:
    """What a partition in Redis lacks of the ledger. The log always keeps the ledger's last entry."""
    try:
        head = await read_head(link, p)
    except CallRefused as refusal:
        return f"Redis lost its head ({refusal}): its boards are not to be believed"
    (last,) = await link.run([last_seq_call(p)])
    if (head.epoch, int(last)) < (epoch, seq):
        return f"Redis ends at {head.epoch}-{int(last)}, the ledger at {epoch}-{seq}: Redis lost entries"
    if seq == 0:
        return None
    place = f"{epoch}-{seq}"
    (reply,) = await link.run([entry_call(p, epoch=epoch, seq=seq)])
    if isinstance(reply, Exception):
        raise StoreUnavailable(f"Redis refuses {keys.log(p)}: {reply}")
    if digest_in(reply) != digest:
        return f"its log in Redis does not hold {place} as the ledger does: one of the two lost entries or is another's"
    return None


async def find_partitions(settings: Settings) -> int:
    """The number of partitions from Redis, or else from Postgres. RedisRefused if neither is migrated. FormatRefused if
    Postgres answers and has another format; a server starts without Postgres too."""
    link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
    try:
        with suppress(StoreUnavailable):
            await _check_format(postgres)
        try:
            deployment = await read_deployment(link)
        except REDIS_ERRORS:
            deployment = None
        if deployment is not None:
            return deployment.partitions
        row = await postgres.fetch_one("get_deployment")
        if row is None:
            raise RedisRefused("neither Redis nor Postgres is migrated: run leaderboard migrate")
        return int(row["partitions"])
    finally:
        await link.close()
        await postgres.close()

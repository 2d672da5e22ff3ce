"""Checks that Redis and Postgres belong together, and that Redis has everything that the ledger has."""

from contextlib import suppress

import asyncpg

from ..access.digest_key import check_digest_key
from ..drivers.migrations import check_format
from ..drivers.postgres import Postgres
from ..drivers.redis import REDIS_ERRORS, RedisConnection, RedisRefused
from ..drivers.some_nodes import PresentNodes
from ..model.errors import StoreUnavailable
from ..model.ledger_chain import LedgerChain
from ..settings import Settings
from ..store import keys
from ..store.ledger_reach import PartitionReach, look_twice
from ..store.partitions import LEDGER_BEHIND, NO_DEPLOYMENT, read_deployment
from ..store.state_history import compare_state, read_state_notes


async def check_together(link: RedisConnection, postgres: Postgres) -> dict[int, str]:
    """The partitions whose boards cannot be trusted, each with the reason; those of a node of a cluster that is away
    are among them. O(partitions × log n).

    RedisRefused if the two are not of one deployment, or nothing was migrated; FormatRefused; StoreUnavailable.
    """
    await _check_format(postgres)
    row = await postgres.fetch_one("get_deployment")
    if row is None:
        raise RedisRefused("Postgres is not migrated: run leaderboard migrate")
    present = PresentNodes(link)
    redis_deployment = await read_deployment(present)
    if redis_deployment is None and not present.lacks(keys.DEPLOYMENT):
        raise RedisRefused(f"{NO_DEPLOYMENT}: run leaderboard rebuild, if it is the right one")
    if redis_deployment is not None and redis_deployment.id != row["id"]:
        raise RedisRefused(
            f"this Redis belongs to deployment {redis_deployment.id}, this Postgres to {row['id']}: check both URLs"
        )
    notes = await read_state_notes(present, range(row["partitions"]))
    behind = (await compare_state(postgres.fetch, list(notes.values()))).behind
    reaches = await look_twice(present, lambda: postgres.fetch("get_offsets"))
    reasons = {reach.partition: _reason(reach, behind) for reach in reaches}
    for reach in reaches:
        if reach.is_away:
            reasons[reach.partition] = f"Redis does not answer at {link.node(keys.meta(reach.partition))}"
    return {p: reason for p, reason in reasons.items() if reason is not None}


def _reason(reach: PartitionReach, behind: str | None) -> str | None:
    """Why a partition cannot be trusted. One that an older Postgres had closed may lack rows still."""
    if reach.closed is not None and reach.closed.startswith(LEDGER_BEHIND):
        return reach.reason or behind or reach.closed
    return reach.closed or reach.reason or behind


async def _check_format(postgres: Postgres) -> None:
    """FormatRefused if the tables are not those of this release. StoreUnavailable."""
    try:
        rows = await postgres.fetch("get_migrations")
    except asyncpg.UndefinedTableError:
        return  # Nothing was migrated: the caller reports that.
    check_format([row["migration_id"] for row in rows])


async def find_chain(settings: Settings, postgres: Postgres) -> LedgerChain:
    """The ledger chain of the deployment, by its digest key. RedisRefused if Postgres is not migrated; SettingsError if
    the key is another one; StoreUnavailable."""
    row = await postgres.fetch_one("get_deployment")
    if row is None:
        raise RedisRefused("Postgres is not migrated: run leaderboard migrate")
    return LedgerChain(check_digest_key(settings, row["id"], row["key_proof"]))


async def find_partitions(settings: Settings) -> int:
    """The number of partitions from Redis, or else from Postgres. RedisRefused if neither is migrated. FormatRefused if
    Postgres answers and has another format; a server starts without Postgres too. SettingsError if the digest
    key is not that of the deployment."""
    link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
    try:
        with suppress(StoreUnavailable):
            await _check_format(postgres)
        try:
            deployment = await read_deployment(link)
        except REDIS_ERRORS:
            deployment = None
        if deployment is not None:
            check_digest_key(settings, deployment.id, deployment.key_proof)
            return deployment.partitions
        row = await postgres.fetch_one("get_deployment")
        if row is None:
            raise RedisRefused("neither Redis nor Postgres is migrated: run leaderboard migrate")
        check_digest_key(settings, row["id"], row["key_proof"])
        return int(row["partitions"])
    finally:
        await link.close()
        await postgres.close()

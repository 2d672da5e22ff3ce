"""`leaderboard migrate`: creates the schema, then opens Redis and Postgres for each other."""

from time import time
from uuid import uuid4

import asyncpg

from ..drivers import postgres as schema
from ..drivers.postgres import Postgres
from ..drivers.redis import Call, RedisConnection, RedisRefused, ask, ask_all
from ..model.profile import NamespaceProfile
from ..settings import Settings
from ..store.changes import BUMP_COUNTER, WRITE_PROFILE, raise_counters_call
from ..store.namespace_cache import (
    SET_IF_NEWER,
    KeyRecord,
    namespace_from_row,
    publish_calls,
    publish_key_calls,
    retract_key_calls,
)
from ..store.partitions import (
    INIT_PARTITION,
    Deployment,
    last_place_call,
    open_partitions,
    read_deployment,
    write_deployment,
)
from ..store.profile_cache import announce_profiles_in, erased_call, name_call, own_name_call
from ..store.rules_lock import release_stale
from ..store.visibility import SET_USER_STATE, intent_from_row, state_call
from .profile_handlers import profile_from_row

#: What publishes to Redis.
SCRIPTS = (INIT_PARTITION, SET_IF_NEWER, BUMP_COUNTER, WRITE_PROFILE, SET_USER_STATE)
#: Profiles that one call sends to Redis: some ms of its time.
PROFILES_A_CALL_MAX = 1_000
#: Users off the boards that are sent to Redis at once: each is one call for every partition.
STATES_A_CALL_MAX = 50


async def migrate(settings: Settings) -> int:
    """Makes both stores ready. Returns the number of partitions. RedisRefused if the stores do not belong together."""
    schema.migrate(settings.postgres_url)
    postgres, link = (
        Postgres(settings.postgres_url),
        RedisConnection(settings.redis_url, SCRIPTS),
    )
    try:
        deployment = await _agree(postgres, link, settings)
        opened = {row["partition"] for row in await postgres.fetch("get_opened_partitions")}
        await _check_opened(link, sorted(opened))
        await open_partitions(link, [p for p in range(deployment.partitions) if p not in opened])
        await postgres.fetch("mark_partitions_opened")
        await _publish(postgres, link, deployment.partitions)
        return deployment.partitions
    finally:
        await link.close()
        await postgres.close()


async def restore_deployment(postgres: Postgres, link: RedisConnection) -> int:
    """Sends Redis all that it must know besides boards: what it is, namespaces, API keys, profiles, states of users.
    What is newer there stays. Returns the number of partitions. `link` knows SCRIPTS.

    RedisRefused if Postgres is not migrated, or Redis belongs to another deployment.
    """
    row = await postgres.fetch_one("get_deployment")
    if row is None:
        raise RedisRefused("Postgres is not migrated: run leaderboard migrate")
    redis_deployment = await read_deployment(link)
    if redis_deployment is not None and redis_deployment.id != row["id"]:
        raise RedisRefused(f"this Redis belongs to deployment {redis_deployment.id}, this Postgres to {row['id']}")
    if redis_deployment is None:
        await write_deployment(link, Deployment(row["id"], row["partitions"]))
        # Above what any process has seen of the counters that are lost.
        await ask(link, raise_counters_call(int(time())), what="a counter")
    for key in await postgres.fetch("get_keys"):
        record = KeyRecord(key["id"], key["hash"], tuple(key["scopes"]))
        for call in publish_key_calls(record) if key["revoked_at"] is None else retract_key_calls(record.id):
            await ask(link, call, what="an API key")
    await _publish(postgres, link, row["partitions"])
    return int(row["partitions"])


async def _publish(postgres: Postgres, link: RedisConnection, partitions: int) -> None:
    for row in await postgres.fetch("get_namespaces"):
        for call in publish_calls(namespace_from_row(row)):
            await _run(link, call)
        await release_stale(postgres, lambda call: _run(link, call), namespace_from_row(row))
    await _publish_names(postgres, link)
    await _publish_states(postgres, link, partitions)


async def _agree(postgres: Postgres, link: RedisConnection, settings: Settings) -> Deployment:
    await postgres.fetch("create_deployment", uuid4().hex, settings.partitions)
    row = await postgres.fetch_one("get_deployment")
    assert row is not None
    deployment = Deployment(row["id"], row["partitions"])
    await postgres.fetch("create_partitions", deployment.partitions)
    redis_deployment = await read_deployment(link)
    if redis_deployment is not None and redis_deployment != deployment:
        raise RedisRefused(f"this Redis belongs to deployment {redis_deployment.id}, this Postgres to {deployment.id}")
    if redis_deployment is None:
        if await postgres.fetch("get_opened_partitions"):
            raise RedisRefused(
                "Postgres was opened with a Redis that held its boards, and this one is empty: recover it"
            )
        await write_deployment(link, deployment)
    return deployment


async def _run(link: RedisConnection, call: Call) -> object:
    return await ask(link, call, what="a namespace")


async def _publish_names(postgres: Postgres, link: RedisConnection) -> None:
    """Sends every profile to Redis, some at a time. It restores what Redis lost; later versions in Redis stay. A page
    is read again if a user was erased meanwhile."""
    last, named = (0, -1), set[int]()
    while True:
        reply = await _run(link, erased_call())
        erased = int(reply) if isinstance(reply, bytes) else 0
        rows = await postgres.fetch("get_profiles", *last, PROFILES_A_CALL_MAX)
        if not rows:
            break
        replies = await ask_all(link, [_name_call(row, erased) for row in rows], what="a profile")
        if -1 in replies:
            continue
        last = rows[-1]["user_number"], rows[-1]["namespace_id"]
        named |= {row["namespace_id"] for row in rows if row["namespace_id"]}
    for namespace_id in named:
        await announce_profiles_in(lambda call: _run(link, call), namespace_id)


def _name_call(row: asyncpg.Record, erased: int) -> Call:
    if row["partition"] is None:
        return name_call(row["name"], row["version"], profile_from_row(row), erased)
    profile = NamespaceProfile(**{field: row[field] for field in NamespaceProfile.__struct_fields__})
    return own_name_call(
        row["partition"],
        namespace_id=row["namespace_id"],
        user=row["name"],
        version=row["version"],
        profile=profile,
        erased=erased,
    )


async def _publish_states(postgres: Postgres, link: RedisConnection, partitions: int) -> None:
    """Sends the state of every user off the boards to Redis, some at a time. It restores what Redis lost; later states
    stay."""
    last = 0
    while rows := await postgres.fetch("get_hiding_intents", last, STATES_A_CALL_MAX):
        intents = [intent_from_row(row) for row in rows]
        states = zip(intents, (row["partition"] for row in rows), strict=True)
        calls = [
            state_call(p, intent, sure=True)
            for intent, own in states
            for p in (range(partitions) if own is None else [own])
        ]
        await ask_all(link, calls, what="a hidden user")
        last = rows[-1]["version"]


async def _check_opened(link: RedisConnection, opened: list[int]) -> None:
    replies = await link.run([last_place_call(p) for p in opened])
    lost = [p for p, reply in zip(opened, replies, strict=True) if isinstance(reply, Exception) or None in reply]
    if lost:
        raise RedisRefused(f"partitions {lost} were opened and have lost their head in Redis: recover them")

"""`leaderboard migrate`: creates the schema, then opens Redis and Postgres for each other."""

from time import time
from uuid import uuid4

import asyncpg

from ..access.digest_key import check_digest_key, make_digest_key, proof_of, read_digest_key
from ..drivers import migrations
from ..drivers.postgres import Postgres
from ..drivers.redis import Call, RedisConnection, RedisLink, RedisRefused, ask
from ..drivers.some_nodes import PresentNodes
from ..model.partition_lines import partitions_text
from ..settings import Settings
from ..store import keys
from ..store.announcements import Announcer
from ..store.namespace_cache import namespace_from_row
from ..store.partitions import (
    INIT_PARTITION,
    Deployment,
    last_place_call,
    open_partitions,
    read_deployment,
    write_deployment,
)
from ..store.publications import Publisher
from ..store.rules_lock import release_stale
from ..store.state_history import (
    StateHistory,
    StateNote,
    compare_state,
    note_published,
    published_version,
    read_state_notes,
)
from ..store.state_publication import PUBLISHING_SCRIPTS, StatePublication

#: What publishes to Redis.
SCRIPTS = (INIT_PARTITION, *PUBLISHING_SCRIPTS)


async def migrate(settings: Settings, lost: set[str] | None = None) -> int:
    """Makes both stores ready. Returns the number of partitions, and adds to `lost` the nodes of a cluster that did not
    answer: what changed is told there once they do. RedisRefused if the stores do not belong together;
    SettingsError if the digest key is not theirs."""
    migrations.migrate(settings.postgres_url)
    postgres, link = (
        Postgres(settings.postgres_url),
        RedisConnection(settings.redis_url, SCRIPTS),
    )
    try:
        present = PresentNodes(link)
        deployment, state = await _agree(postgres, link, present, settings)
        opened = {row["partition"] for row in await postgres.fetch("get_opened_partitions")}
        if settings.recover != "own":  # else the persister writes them anew
            await _check_opened(present, sorted(opened))
        unopened = [p for p in range(deployment.partitions) if p not in opened]
        await open_partitions(link, unopened, str(state))
        await postgres.fetch("mark_partitions_opened")
        await _publish(postgres, link, present, deployment.partitions, state)
        if lost is not None:
            lost |= present.lost
        return deployment.partitions
    finally:
        await link.close()
        await postgres.close()


async def publish_deployment(postgres: Postgres, link: RedisConnection) -> int:
    """Sends Redis all that it must know besides boards: what it is, namespaces, API keys, profiles, states of users.
    What is newer there stays. Nodes of a cluster that are away are left out: they are told once they answer. Returns
    the number of partitions. `link` knows SCRIPTS.

    RedisRefused if Postgres is not migrated, or Redis belongs to another deployment.
    """
    present = PresentNodes(link)
    redis_deployment = await read_deployment(present)
    is_known = redis_deployment is not None or present.lacks(keys.DEPLOYMENT)
    row = await postgres.fetch_one("get_deployment")
    if row is None:
        raise RedisRefused("Postgres is not migrated: run leaderboard migrate")
    if redis_deployment is not None and redis_deployment.id != row["id"]:
        raise RedisRefused(f"this Redis belongs to deployment {redis_deployment.id}, this Postgres to {row['id']}")
    notes, (state, behind) = await _compare(postgres, present, row["partitions"])
    if behind is not None:
        raise RedisRefused(behind)
    # Above what any process has heard of the numbers that Redis has lost, and an older Postgres with it.
    lost_number = 0 if is_known else int(time())
    # An older Redis may hide users who were shown since: only the journal tells of them.
    since = published_version(notes, state) if is_known else state.version
    await _publish(postgres, link, present, row["partitions"], state, lost_number=lost_number, since=since)
    if not is_known:
        await write_deployment(link, _deployment(row))
    return int(row["partitions"])


async def _publish(
    postgres: Postgres,
    link: RedisConnection,
    present: PresentNodes,
    partitions: int,
    state: StateNote,
    *,
    lost_number: int = 0,
    since: int | None = None,
) -> None:
    announcer = Announcer(postgres.fetch, link.run_apart, partitions, is_cluster=link.is_cluster, behind=lost_number)
    publication = StatePublication(postgres.fetch, present, announcer, partitions)
    if since is not None:
        await publication.publish_changes(since, state.version)
    await publication.publish_all()
    publisher = Publisher(lambda call: _run(present, call), announcer, has_several_nodes=False)
    for row in await postgres.fetch("get_namespaces"):
        if not present.lacks(keys.rules(row["partition"])):
            await release_stale(postgres, publisher, namespace_from_row(row))
    await note_published(present, range(partitions), state)


async def _compare(
    postgres: Postgres, present: PresentNodes, partitions: int
) -> tuple[dict[str, StateNote], StateHistory]:
    """The notes of Redis, and the state in Postgres as it was compared with them afterwards."""
    notes = await read_state_notes(present, range(partitions))
    return notes, await compare_state(postgres.fetch, list(notes.values()))


async def _agree(
    postgres: Postgres, link: RedisConnection, present: PresentNodes, settings: Settings
) -> tuple[Deployment, StateNote]:
    """The deployment, and the latest change of its state in Postgres."""
    redis_deployment = await read_deployment(present)
    row = await postgres.fetch_one("get_deployment")
    if row is None:
        await _create(postgres, settings)
        row = await postgres.fetch_one("get_deployment")
        assert row is not None
    check_digest_key(settings, row["id"], row["key_proof"])
    deployment = _deployment(row)
    await postgres.fetch("create_partitions", deployment.partitions)
    if redis_deployment is not None and redis_deployment != deployment:
        raise RedisRefused(f"this Redis belongs to deployment {redis_deployment.id}, this Postgres to {deployment.id}")
    if redis_deployment is None and present.lacks(keys.DEPLOYMENT):
        if not await postgres.fetch("get_opened_partitions"):
            await read_deployment(link)  # raises what is wrong: a new deployment needs all nodes
    elif redis_deployment is None:
        if settings.recover == "own" and await postgres.fetch("get_opened_partitions"):
            await publish_deployment(postgres, link)
        elif await postgres.fetch("get_opened_partitions"):
            raise RedisRefused(
                "Postgres was opened with a Redis that held its boards, and this one is empty: run leaderboard rebuild "
                "if it is the right one"
            )
        else:
            await write_deployment(link, deployment)
    _, (state, behind) = await _compare(postgres, present, deployment.partitions)
    if behind is not None:
        raise RedisRefused(behind)
    return deployment, state


async def _create(postgres: Postgres, settings: Settings) -> None:
    """Makes the deployment, with a digest key of its own where none is given. SettingsError."""
    key, name = read_digest_key(settings), uuid4().hex
    if not key:
        make_digest_key(settings)
        key = read_digest_key(settings)
    await postgres.fetch("create_deployment", name, settings.partitions, proof_of(key, name))


def _deployment(row: asyncpg.Record) -> Deployment:
    return Deployment(row["id"], row["partitions"], row["key_proof"])


async def _run(link: RedisLink, call: Call) -> object:
    return await ask(link, call, what="a namespace")


async def _check_opened(link: RedisLink, opened: list[int]) -> None:
    replies = await link.run([last_place_call(p) for p in opened])
    lost = [
        p
        for p, reply in zip(opened, replies, strict=True)
        if reply is not None and (isinstance(reply, Exception) or None in reply)
    ]
    if lost:
        raise RedisRefused(f"Redis lost the heads of {partitions_text(lost)}: run leaderboard rebuild")

"""Creates, rotates and revokes API keys as commands do, each with connections of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ..drivers.postgres import Postgres
from ..drivers.redis import Call, RedisConnection, RedisRefused, is_loss
from ..model.key_problem import KeyNotFound
from ..settings import Settings
from ..store.announcements import Announcer
from ..store.changes import ANNOUNCE_CHANGE, Changed
from ..store.clock import read_redis_time
from ..store.namespace_cache import PUBLISH_KEY, SET_IF_NEWER
from .key_registry import KeyRegistry, NewSecret
from .state_gate import CommandGate

#: Who did it, where a command did.
ACTOR = "cli"


async def create_key(settings: Settings, scopes: Sequence[str], name: str | None = None) -> NewSecret:
    """Creates a key. Invalid, QuotaExceeded, StoreUnavailable, Recovering."""
    async with _registry(settings) as (registry, _):
        return await registry.create(scopes, name, ACTOR)


async def rotate_key(settings: Settings, key_id: str, grace_s: int) -> NewSecret:
    """Gives a key a new secret. KeyNotFound, KeyIsRevoked, StoreUnavailable, Recovering; what Redis raises."""
    async with _registry(settings) as (registry, link):
        return await registry.rotate(key_id, grace_s=grace_s, now=await read_redis_time(link), actor=ACTOR)


async def revoke_key(settings: Settings, key_id: str) -> bool:
    """Revokes a key on every server. Returns whether it was active. StoreUnavailable, Recovering, RedisRefused."""
    async with _registry(settings) as (registry, _):
        try:
            return await registry.revoke(key_id, ACTOR)
        except KeyNotFound:
            return False


@asynccontextmanager
async def _registry(settings: Settings) -> AsyncIterator[tuple[KeyRegistry, RedisConnection]]:
    postgres = Postgres(settings.postgres_url)
    link = RedisConnection(settings.redis_url, [ANNOUNCE_CHANGE, SET_IF_NEWER, PUBLISH_KEY])

    async def publish(call: Call, key_id: str) -> None:
        deployment = await postgres.fetch_one("get_deployment")
        # Where the node of all keys is away, servers that hear of the change ask Postgres.
        (reply,) = await link.run_apart([call])
        if isinstance(reply, Exception) and not is_loss(reply):
            raise RedisRefused(f"Redis refuses it, so the servers do not know yet; try again: {reply}")
        if deployment is not None:
            announcer = Announcer(postgres.fetch, link.run_apart, deployment["partitions"], is_cluster=link.is_cluster)
            await announcer.announce(Changed(keys=frozenset((key_id,))))

    try:
        yield KeyRegistry(postgres, CommandGate(postgres, link), publish), link
    finally:
        await postgres.close()
        await link.close()

"""Creates and revokes API keys: in Postgres first, then in Redis, from which the servers learn of it."""

from collections.abc import Sequence

from ..access.keys import new_key
from ..drivers.postgres import Postgres
from ..drivers.redis import Call, RedisConnection, RedisRefused, is_loss
from ..settings import Settings
from ..store.announcements import Announcer
from ..store.changes import ANNOUNCE_CHANGE, Changed
from ..store.namespace_cache import SET_IF_NEWER, publish_key_call, retract_key_call
from .state_gate import CommandGate


async def create_key(settings: Settings, scopes: Sequence[str]) -> str:
    """Creates a key with valid scopes. Returns its token, which is not stored. StoreUnavailable, Recovering."""
    token, record = new_key(tuple(scopes))
    await _write(settings, "create_key", record.id, record.hash, list(record.scopes), publish=publish_key_call(record))
    return token


async def revoke_key(settings: Settings, key_id: str) -> bool:
    """Revokes a key on every server. Returns whether it was active. StoreUnavailable, Recovering.

    It updates Redis also for a key that Postgres revoked before, because that call may have failed in between.
    """
    return await _write(settings, "revoke_key", key_id, publish=retract_key_call(key_id))


async def _write(settings: Settings, query: str, key_id: str, *args: object, publish: Call) -> bool:
    """Whether the query changed anything. It is published in any case."""
    postgres, link = (
        Postgres(settings.postgres_url),
        RedisConnection(settings.redis_url, [ANNOUNCE_CHANGE, SET_IF_NEWER]),
    )
    try:
        gate = CommandGate(postgres, link)
        await gate.check()
        rows = await postgres.fetch(query, key_id, *args)
        await gate.note()
        deployment = await postgres.fetch_one("get_deployment")
        # Where the node of all keys is away, servers that hear of the change ask Postgres.
        (reply,) = await link.run_apart([publish])
        if isinstance(reply, Exception) and not is_loss(reply):
            raise RedisRefused(f"Redis refuses it, so the servers do not know yet; try again: {reply}")
        if deployment is not None:
            announcer = Announcer(postgres.fetch, link.run_apart, deployment["partitions"], is_cluster=link.is_cluster)
            await announcer.announce(Changed(keys=frozenset((key_id,))))
        return bool(rows)
    finally:
        await postgres.close()
        await link.close()

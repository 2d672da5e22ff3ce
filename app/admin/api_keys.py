"""Creates and revokes API keys: in Postgres first, then in Redis, from which the servers learn of it."""

from collections.abc import Sequence
from typing import Any

from ..access.keys import new_key
from ..drivers.postgres import Postgres
from ..drivers.redis import Call, RedisConnection, ask_all
from ..settings import Settings
from ..store.changes import BUMP_COUNTER
from ..store.namespace_cache import SET_IF_NEWER, publish_key_calls, retract_key_calls


async def create_key(settings: Settings, scopes: Sequence[str]) -> str:
    """Creates a key with valid scopes. Returns its token, which is not stored. StoreUnavailable."""
    token, record = new_key(tuple(scopes))
    await _write(settings, "create_key", record.id, record.hash, list(record.scopes))
    await _publish(settings, publish_key_calls(record))
    return token


async def revoke_key(settings: Settings, key_id: str) -> bool:
    """Revokes a key on every server. Returns whether it was active. StoreUnavailable.

    It updates Redis also for a key that Postgres revoked before, because that call may have failed in between.
    """
    rows = await _write(settings, "revoke_key", key_id)
    await _publish(settings, retract_key_calls(key_id))
    return bool(rows)


async def _write(settings: Settings, query: str, *args: Any) -> list[Any]:
    postgres = Postgres(settings.postgres_url)
    try:
        return await postgres.fetch(query, *args)
    finally:
        await postgres.close()


async def _publish(settings: Settings, calls: Sequence[Call]) -> None:
    link = RedisConnection(settings.redis_url, [BUMP_COUNTER, SET_IF_NEWER])
    try:
        await ask_all(link, calls, what="it, so the servers do not know yet; try again")
    finally:
        await link.close()

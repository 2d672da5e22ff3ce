"""Releases fences that an abandoned change of rules left: the partition accepts no plan of any published version.

A change raises the version in the partition, checks, and then gives the namespace a later one. If it stops in between,
the namespace stays shut. A fence is released like a completed change: Postgres gives the unchanged rules a new version,
provided that no other process did so since they were read, and that version is published. A running change that is
overtaken finds its own condition broken, and begins again.
"""

import asyncio

import msgspec

from ..drivers.postgres import Postgres
from ..model.errors import Unavailable
from ..model.namespace import Namespace
from . import keys
from .changes import Changed
from .namespace_cache import namespace_from_row, publish_calls, published_call, published_version
from .publications import Publisher

#: Seconds for one release: two look-ups in Postgres and four calls to Redis, some ms. Requests that wait for it then
#: plan again.
LIFT_S_MAX = 4.0


class RulesLock:
    """Releases fences on demand. Simultaneous requests for one namespace share the work."""

    def __init__(self, postgres: Postgres, publisher: Publisher) -> None:
        self._postgres = postgres
        self._publisher = publisher
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def release_stale(self, name: str) -> None:
        """Opens a namespace if its partition refuses the rules that Postgres has. Does nothing while a store is away,
        for which the caller waits anyway. O(1)."""
        task = self._under_way.get(name)
        if task is None:
            task = self._under_way[name] = asyncio.create_task(self._lift(name))
            task.add_done_callback(lambda _: self._under_way.pop(name, None))
        await asyncio.shield(task)

    async def _lift(self, name: str) -> None:
        try:
            async with asyncio.timeout(LIFT_S_MAX):
                row = await self._postgres.fetch_one("get_namespace", name)
                if row is not None:
                    await release_stale(self._postgres, self._publisher, namespace_from_row(row))
        except (Unavailable, TimeoutError):
            pass


async def release_stale(postgres: Postgres, publisher: Publisher, namespace: Namespace) -> None:
    """Publishes a namespace as Postgres has it, if its partition has another version. Rules that were published later
    stay: then Postgres is older than Redis, or somebody has just changed them. StoreUnavailable."""
    raw = await publisher.call(("HGET", keys.rules(namespace.partition), str(namespace.id)))
    redis_version = int(raw) if isinstance(raw, bytes) else 0
    if redis_version == namespace.version:
        return
    if redis_version > namespace.version:
        published = await publisher.call_if_there(published_call(namespace.name))
        if isinstance(published, bytes) and published_version(published) > namespace.version:
            return
        row = await postgres.fetch_one("renew_rules_version", namespace.id, namespace.version)
        if row is None:
            return  # another process was faster
        namespace = msgspec.structs.replace(namespace, version=row["version"])
    await publisher.publish(publish_calls(namespace), Changed(frozenset((namespace.name,))))

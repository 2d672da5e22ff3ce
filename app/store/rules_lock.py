"""Fences that a broken-off change of rules left standing: a partition that takes no plan of any published version.

A change raises the version in the partition, looks, and then gives the namespace a later one. Whoever breaks off in
between leaves the namespace shut. A fence is lifted the way a change would end: Postgres gives the rules as they are a
new version, on the condition that nobody did so since they were read, and that is published. A change under way that is
overtaken by this finds its own condition broken, and begins anew.
"""

import asyncio

import msgspec

from ..drivers.postgres import Postgres
from ..model.errors import Unavailable
from ..model.namespace import Namespace
from . import keys
from .namespace_cache import CallRedis, namespace_from_row, publish_calls

#: Seconds for one lift: two look-ups in Postgres and four calls of Redis, some ms. Who waits for it plans again then.
LIFT_S_MAX = 4.0


class RulesLock:
    """Lifts them on demand. Many who ask about one namespace at once share the answer."""

    def __init__(self, postgres: Postgres, call: CallRedis) -> None:
        self._postgres = postgres
        self._call = call
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def release_stale(self, name: str) -> None:
        """Opens a namespace whose partition refuses the rules that Postgres has, if that is so. Where a store is away
        nothing is done: whoever asks waits for it anyway. O(1)."""
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
                    await release_stale(self._postgres, self._call, namespace_from_row(row))
        except (Unavailable, TimeoutError):
            pass


async def release_stale(postgres: Postgres, call: CallRedis, namespace: Namespace) -> None:
    """Publishes a namespace as Postgres has it where its partition goes by another version. StoreUnavailable."""
    raw = await call(("HGET", keys.rules(namespace.partition), str(namespace.id)))
    redis_version = int(raw) if isinstance(raw, bytes) else 0
    if redis_version == namespace.version:
        return
    if redis_version > namespace.version:
        row = await postgres.fetch_one("renew_rules_version", namespace.id, namespace.version)
        if row is None:
            return  # somebody was faster
        namespace = msgspec.structs.replace(namespace, version=row["version"])
    for publish in publish_calls(namespace):
        await call(publish)

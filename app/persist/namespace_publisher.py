"""Publishes namespaces whose change is in Postgres but not in Redis: the server ended in between, or Redis was full.

Only recent changes are checked. A change is published if two checks find it missing, because every change is in
Postgres a moment before it is in Redis.
"""

from collections.abc import Collection

import asyncpg
import msgspec

from ..drivers.redis import Call, RedisConnection, ask_all
from ..store.announcements import Announcer
from ..store.changes import Changed
from ..store.namespace_cache import (
    namespace_from_row,
    parse_published,
    publish_calls,
    published_call,
    retract_calls,
    rules_version_call,
)
from .faults import PUBLISH as PUBLISH_FAILS
from .faults import Faults, WorkUnit
from .ledger_session import LedgerSession

#: Namespaces of one pass: two calls to Redis each.
NAMESPACES_A_PASS_MAX = 500
#: Recent versions that each pass checks again: changes may commit in another order than they got their versions.
VERSIONS_AGAIN_MAX = 100


class NamespacePublisher:
    """Publishes the namespaces of one persister's partitions. `link` has the scripts for that."""

    def __init__(self) -> None:
        self._partitions: frozenset[int] = frozenset()
        self._after = 0
        self._lacking: frozenset[tuple[int, int]] = frozenset()

    async def publish(
        self, session: LedgerSession, link: RedisConnection, partitions: Collection[int], faults: Faults
    ) -> None:
        """Checks some namespaces, and publishes what is missing. O(recent changes)."""
        if not self._partitions.issuperset(partitions):
            self._after = 0
        self._partitions = frozenset(partitions)
        rows = await session.fetch("get_changed_namespaces", list(partitions), self._after, NAMESPACES_A_PASS_MAX)
        versions = await _redis_versions(link, rows)
        lacking = [(row, version) for row, version in zip(rows, versions, strict=True) if version != row["version"]]
        for row, version in lacking:
            if (row["id"], row["version"]) in self._lacking:
                with faults.guard(_unit(row)):
                    await _publish(session, link, row, version)
        self._lacking = frozenset((row["id"], row["version"]) for row, _ in lacking)
        self._after = _go_on(rows, lacking)
        await self._retract(session, link, faults)

    async def _retract(self, session: LedgerSession, link: RedisConnection, faults: Faults) -> None:
        """Retracts namespaces that were deleted recently and are still published."""
        rows = await session.fetch("get_recently_deleted_namespaces", list(self._partitions), NAMESPACES_A_PASS_MAX)
        calls = [published_call(row["name"]) for row in rows]
        for row, reply in zip(rows, await link.run(calls) if calls else [], strict=True):
            with faults.guard(_unit(row)):
                known = parse_published(reply) if isinstance(reply, bytes) else None
                if known is not None and known.id == row["id"]:
                    place = {"namespace_id": row["id"], "partition": row["partition"], "version": row["version"]}
                    await _tell(session, link, row["name"], retract_calls(row["name"], **place))


def _unit(row: asyncpg.Record) -> WorkUnit:
    return WorkUnit(row["partition"], PUBLISH_FAILS, str(row["id"]))


def _go_on(rows: list[asyncpg.Record], lacking: list[tuple[asyncpg.Record, int]]) -> int:
    """The version after which the next pass begins."""
    if lacking:
        return int(lacking[0][0]["version"]) - 1
    if not rows:
        return 0
    last = int(rows[-1]["version"])
    return last if len(rows) == NAMESPACES_A_PASS_MAX else max(0, last - VERSIONS_AGAIN_MAX)


async def _redis_versions(link: RedisConnection, rows: list[asyncpg.Record]) -> list[int]:
    """The versions in Redis: the directory's if the partition has the same, −1 if there is none, else the
    partition's."""
    calls: list[Call] = []
    for row in rows:
        calls += [published_call(row["name"]), rules_version_call(row["partition"], row["id"])]
    replies = await link.run_apart(calls) if calls else []
    return [_version(published, rules) for published, rules in zip(replies[::2], replies[1::2], strict=True)]


def _version(published: bytes | Exception | None, rules: bytes | Exception | None) -> int:
    if not isinstance(published, bytes) or not isinstance(rules, bytes):
        return -1
    version, _, text = published.partition(b" ")
    if text == b"null" or not rules.isdigit():
        return -1
    return int(version) if int(version) == int(rules) else int(rules)


async def _publish(session: LedgerSession, link: RedisConnection, row: asyncpg.Record, redis_version: int) -> None:
    """Completes a change. If a fence with a later version was left, the rules get a new version."""
    namespace = namespace_from_row(row)
    if redis_version > namespace.version:
        renewed = await session.fetch("renew_rules_version", namespace.id, namespace.version)
        if not renewed:
            return  # another process was faster
        namespace = msgspec.structs.replace(namespace, version=renewed[0]["version"])
    await _tell(session, link, namespace.name, publish_calls(namespace))


async def _tell(session: LedgerSession, link: RedisConnection, name: str, calls: list[Call]) -> None:
    await ask_all(link, calls)
    (deployment,) = await session.fetch("get_deployment")
    announcer = Announcer(session.fetch, link.run_apart, deployment["partitions"], is_cluster=link.is_cluster)
    await announcer.announce(Changed(frozenset((name,))))

"""Namespaces that Postgres has and Redis was not told of: whoever changed them died in between, or Redis was full.

Only what has changed lately is looked at; what lacks is published once it lacked at two looks, for a change of rules
is on its way for a moment between the two stores.
"""

from collections.abc import Collection

import asyncpg
import msgspec

from ..drivers.redis import Call, RedisConnection, ask_all
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

#: Namespaces that are looked at in a pass: two questions to Redis each.
NAMESPACES_A_PASS_MAX = 500
#: Versions looked at again and again: those of changes that commit in another order than they drew their versions.
VERSIONS_AGAIN_MAX = 100


class NamespacePublisher:
    """One persister's share. `link` knows the scripts by which namespaces are published."""

    def __init__(self) -> None:
        self._partitions: frozenset[int] = frozenset()
        self._after = 0
        self._lacking: frozenset[tuple[int, int]] = frozenset()

    async def publish(
        self, session: LedgerSession, link: RedisConnection, partitions: Collection[int], faults: Faults
    ) -> None:
        """Looks at some namespaces. O(those that changed lately)."""
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
        """Namespaces that were deleted lately and are still known."""
        rows = await session.fetch("get_recently_deleted_namespaces", list(self._partitions), NAMESPACES_A_PASS_MAX)
        calls = [published_call(row["name"]) for row in rows]
        for row, reply in zip(rows, await link.run(calls) if calls else [], strict=True):
            with faults.guard(_unit(row)):
                known = parse_published(reply) if isinstance(reply, bytes) else None
                if known is not None and known.id == row["id"]:
                    await ask_all(
                        link,
                        retract_calls(
                            row["name"], namespace_id=row["id"], partition=row["partition"], version=row["version"]
                        ),
                    )


def _unit(row: asyncpg.Record) -> WorkUnit:
    return WorkUnit(row["partition"], PUBLISH_FAILS, str(row["id"]))


def _go_on(rows: list[asyncpg.Record], lacking: list[tuple[asyncpg.Record, int]]) -> int:
    """The version behind which to look the next time."""
    if lacking:
        return int(lacking[0][0]["version"]) - 1
    if not rows:
        return 0
    last = int(rows[-1]["version"])
    return last if len(rows) == NAMESPACES_A_PASS_MAX else max(0, last - VERSIONS_AGAIN_MAX)


async def _redis_versions(link: RedisConnection, rows: list[asyncpg.Record]) -> list[int]:
    """The versions by which Redis goes: the directory's where the partition has the same, −1 where nothing is known, or
    the partition's where that one is another."""
    calls: list[Call] = []
    for row in rows:
        calls += [published_call(row["name"]), rules_version_call(row["partition"], row["id"])]
    replies = await link.run(calls) if calls else []
    return [_version(published, rules) for published, rules in zip(replies[::2], replies[1::2], strict=True)]


def _version(published: bytes | Exception | None, rules: bytes | Exception | None) -> int:
    if not isinstance(published, bytes) or not isinstance(rules, bytes):
        return -1
    version, _, text = published.partition(b" ")
    if text == b"null" or not rules.isdigit():
        return -1
    return int(version) if int(version) == int(rules) else int(rules)


async def _publish(session: LedgerSession, link: RedisConnection, row: asyncpg.Record, redis_version: int) -> None:
    """As a change would end. A fence that was left standing is beyond the version: the rules get a new one."""
    namespace = namespace_from_row(row)
    if redis_version > namespace.version:
        renewed = await session.fetch("renew_rules_version", namespace.id, namespace.version)
        if not renewed:
            return  # somebody was faster
        namespace = msgspec.structs.replace(namespace, version=renewed[0]["version"])
    await ask_all(link, publish_calls(namespace))

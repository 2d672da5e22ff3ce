"""The deployment's state, published: Redis is told which namespaces, API keys, hidden users and profiles Postgres has.

A process that changes something publishes it at once. This module publishes what Redis never got, or has lost: each
thing bears a version, so publishing it again changes nothing, and nothing newer is overwritten.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import asyncpg

from ..drivers.postgres import Fetch
from ..drivers.redis import Call, RedisLink, ask, ask_all
from ..drivers.scripts import Script
from ..model.profile import NamespaceProfile
from ..model.visibility import HIDE, VisibilityIntent
from . import keys
from .announcements import Announcer
from .changes import ANNOUNCE_CHANGE, WRITE_PROFILE, Changed
from .namespace_cache import (
    PUBLISH_KEY,
    SET_IF_NEWER,
    is_key_published,
    key_call,
    key_from_row,
    namespace_from_row,
    parse_published,
    publish_calls,
    publish_key_call,
    published_call,
    retract_calls,
    retract_key_call,
    rules_version_call,
)
from .namespace_fields import hash_fields
from .profile_cache import (
    announce_profiles_in,
    erased_call,
    forget_name_call,
    forget_own_name_call,
    name_call,
    own_name_call,
    profile_from_row,
)
from .visibility import CLEAR_USER_STATE, SET_USER_STATE, clear_state_call, intent_from_row, state_call

#: The scripts by which the state is published.
PUBLISHING_SCRIPTS: Sequence[Script] = (
    SET_IF_NEWER,
    PUBLISH_KEY,
    ANNOUNCE_CHANGE,
    WRITE_PROFILE,
    SET_USER_STATE,
    CLEAR_USER_STATE,
)
#: Changes that the journal keeps; a Redis that is farther behind gets everything.
JOURNAL_CHANGES_MAX = 100_000
#: Changes that are looked up at once, each by its own key.
CHANGES_A_PAGE_MAX = 1_000
#: Rows that are sent to Redis at once: some ms of its time.
ROWS_A_CALL_MAX = 1_000
#: Users off the boards that are sent to Redis at once: each is one call for every partition.
STATES_A_CALL_MAX = 50

T = TypeVar("T")
_NAMESPACE, _KEY, _USER, _PROFILE = "namespace", "key", "user", "profile"


class StatePublication:
    """Publishes from one connection to Postgres to one to Redis, which knows PUBLISHING_SCRIPTS, and announces it. What
    a link leaves out, with None as its reply, is not published."""

    def __init__(self, fetch: Fetch, link: RedisLink, announcer: Announcer, partitions: int) -> None:
        self._fetch = fetch
        self._link = link
        self._announcer = announcer
        self._partitions = range(partitions)

    async def publish_changes(self, since: int, until: int) -> None:
        """Publishes what has changed behind a version of the state up to another one, and announces all of it: the
        process that published it first may have ended before its announcement. RedisRefused; O(changes)."""
        while since < until:
            page_end = min(until, since + CHANGES_A_PAGE_MAX)
            rows = await self._fetch("get_state_changes", since, page_end, CHANGES_A_PAGE_MAX)
            if len(rows) < page_end - since:
                await self.publish_all()  # The journal does not reach so far back.
                return
            await self._publish_page(rows)
            since = page_end

    async def _publish_page(self, rows: Sequence[asyncpg.Record]) -> None:
        changed: dict[str, set[tuple[str, int]]] = {}
        for row in rows:
            changed.setdefault(row["kind"], set()).add((row["id"], row["namespace_id"]))
        names = await self._namespaces_by_id([int(number) for number, _ in changed.get(_NAMESPACE, ())])
        key_ids = [key_id for key_id, _ in changed.get(_KEY, ())]
        for ids in _slices(key_ids, ROWS_A_CALL_MAX):
            await self._publish_keys(await self._fetch("get_keys_by_id", ids))
        for users in _slices(sorted(changed.get(_USER, ())), STATES_A_CALL_MAX):
            await self._publish_states(await self._fetch("get_intents_of_users", *_columns(users)))
        profiles: list[asyncpg.Record] = []
        for users in _slices(sorted(changed.get(_PROFILE, ())), ROWS_A_CALL_MAX):
            profiles += await self._publish_profiles("get_profiles_of_users", *_columns(users))
        # A name that is erased must not stay where changes are listed.
        wide = [row["name"] for row in profiles if not row["namespace_id"]]
        is_erased = any(row["version"] is None for row in profiles)
        if names or key_ids:
            await self._announcer.announce(Changed(frozenset(names), frozenset(key_ids)))
        if wide or is_erased:
            await self._announcer.announce_profiles([] if is_erased else wide)

    async def publish_all(self) -> None:
        """Publishes everything, and takes away what Postgres does not know. RedisRefused; O(the state)."""
        await self._publish_namespaces(await self._fetch("get_namespaces"))
        await self._retract_unknown()
        for rows in _slices(await self._fetch("get_keys"), ROWS_A_CALL_MAX):
            await self._publish_keys(rows)
        version = 0
        while rows := await self._fetch("get_hiding_intents", version, STATES_A_CALL_MAX):
            await self._publish_states(rows)
            version = rows[-1]["version"]
        row_key = (0, -1)
        while rows := await self._publish_profiles("get_profiles", *row_key, ROWS_A_CALL_MAX):
            row_key = rows[-1]["user_number"], rows[-1]["namespace_id"]
        await self._clear_states(0, None)
        await self._forget_profiles(0, None)
        await self._announcer.announce_everything()

    async def _namespaces_by_id(self, ids: Sequence[int]) -> list[str]:
        """Publishes namespaces as they are now. Their names."""
        names: list[str] = []
        for some in _slices(ids, ROWS_A_CALL_MAX):
            rows = await self._fetch("get_namespaces_by_id", some)
            await self._publish_namespaces([row for row in rows if not row["is_deleted"]])
            await self._retract([row for row in rows if row["is_deleted"]])
            names += [row["name"] for row in rows]
        return names

    async def _publish_namespaces(self, rows: Sequence[asyncpg.Record]) -> None:
        """Those that Redis has in an older version, or not at all; the others may have been told more of them."""
        for some in _slices(rows, ROWS_A_CALL_MAX):
            calls: list[Call] = []
            for row in some:
                calls += [published_call(row["name"]), rules_version_call(row["partition"], row["id"])]
            replies = await self._tell(calls)
            for row, published, rules in zip(some, replies[::2], replies[1::2], strict=True):
                known = -1 if published is None else int(published.partition(b" ")[0])
                if min(known, int(rules or -1)) < row["version"]:
                    await self._tell(publish_calls(namespace_from_row(row)))

    async def _retract(self, rows: Sequence[asyncpg.Record]) -> None:
        """Deleted namespaces that are known still, by their names."""
        for row, raw in zip(rows, await self._tell([published_call(row["name"]) for row in rows]), strict=True):
            known = None if raw is None else parse_published(raw)
            if known is not None and known.id == row["id"]:
                await self._retract_one(known.name, known.id, known.partition)

    async def _retract_unknown(self) -> None:
        alive = {row["id"] for row in await self._fetch("get_namespaces")}
        texts = [text async for _, text in hash_fields(self._link, keys.DIRECTORY)]
        for known in (parse_published(text.encode()) for text in texts):
            if known is not None and known.id not in alive:
                await self._retract(await self._fetch("get_namespaces_by_id", [known.id]))

    async def _retract_one(self, name: str, namespace_id: int, partition: int) -> None:
        (row,) = await self._fetch("get_next_rules_version")
        calls = retract_calls(name, namespace_id=namespace_id, partition=partition, version=row["version"])
        await self._tell(calls)

    async def _publish_keys(self, rows: Sequence[asyncpg.Record]) -> None:
        """Those that Redis lacks, and those that were revoked, or got a new secret, since."""
        calls: list[Call] = []
        published = await self._tell([key_call(row["id"]) for row in rows])
        for row, value in zip(rows, published, strict=True):
            record, is_revoked = key_from_row(row), row["revoked_at"] is not None
            if not is_key_published(value, record, is_revoked=is_revoked):
                calls.append(retract_key_call(record.id) if is_revoked else publish_key_call(record))
        await self._tell(calls)

    async def _versions(self, calls: Sequence[Call]) -> list[int]:
        """The versions with which the replies begin; -1 where there is none."""
        return [-1 if raw is None else int(raw.partition(b" ")[0]) for raw in await self._tell(calls)]

    async def _publish_states(self, rows: Sequence[asyncpg.Record]) -> None:
        """What is wished for users; of those for whom nothing is, what Redis has left is cleared away."""
        states = [(intent_from_row(row), row["partition"]) for row in rows if row["version"] is not None]
        await self._tell(
            [
                state_call(p, intent, sure=True)
                for intent, own in states
                for p in (self._partitions if own is None else [own])
            ]
        )
        for namespace_id, p in {(row["namespace_id"], row["partition"]) for row in rows if row["version"] is None}:
            await self._clear_states(namespace_id, p)

    async def _clear_states(self, namespace_id: int, partition: int | None) -> None:
        """Ends the states of users for whom Postgres has no intent. O(users off the boards)."""
        for p in self._partitions if partition is None else [partition]:
            key = keys.hidden_in(p, namespace_id) if namespace_id else keys.hidden(p)
            stored = {user: text.partition(" ")[0] async for user, text in hash_fields(self._link, key)}
            for names in _slices(list(stored), ROWS_A_CALL_MAX):
                known = {row["name"] for row in await self._fetch("get_users_with_intent", names, namespace_id)}
                strangers = (name for name in names if name not in known)
                intents = (VisibilityIntent(0, name, int(stored[name]), HIDE, None, namespace_id) for name in strangers)
                await self._tell([clear_state_call(p, intent) for intent in intents])

    async def _publish_profiles(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Profiles of a query, which is asked again where a user was erased meanwhile. The rows."""
        while True:
            (reply,) = await self._tell([erased_call()])
            erased = int(reply or 0)
            rows = await self._fetch(query, *args)
            there = [row for row in rows if row["version"] is not None]
            versions = await self._versions([_profile_question(row) for row in there])
            lacking = [row for row, version in zip(there, versions, strict=True) if version < row["version"]]
            if -1 not in await self._tell([_profile_call(row, erased) for row in lacking]):
                break
        for namespace_id in {row["namespace_id"] for row in there if row["namespace_id"]}:
            await announce_profiles_in(self._ask, self._announcer, namespace_id)
        for namespace_id, p in {(row["namespace_id"], row["partition"]) for row in rows if row["version"] is None}:
            await self._forget_profiles(namespace_id, p)
        return rows

    async def _forget_profiles(self, namespace_id: int, partition: int | None) -> None:
        """Takes away the profiles of users who have none in Postgres: they were erased. O(profiles)."""
        (latest,) = await self._fetch("get_next_profile_version")
        p, version = partition, latest["version"]
        key = keys.PROFILES if p is None else keys.profiles_in(p, namespace_id)
        names = [name async for name, text in hash_fields(self._link, key) if "{" in text]
        for some in _slices(names, ROWS_A_CALL_MAX):
            known = {row["name"] for row in await self._fetch("get_users_with_profile", some, namespace_id)}
            await self._tell(
                [
                    forget_name_call(name, version)
                    if p is None
                    else forget_own_name_call(p, namespace_id=namespace_id, user=name, version=version)
                    for name in some
                    if name not in known
                ]
            )

    async def _tell(self, calls: Sequence[Call]) -> list[Any]:
        return await ask_all(self._link, calls, what="a part of the deployment's state") if calls else []

    async def _ask(self, call: Call) -> object:
        return await ask(self._link, call, what="a part of the deployment's state")


def _profile_question(row: asyncpg.Record) -> Call:
    key = keys.profiles_in(row["partition"], row["namespace_id"]) if row["namespace_id"] else keys.PROFILES
    return ("HGET", key, row["name"])


def _profile_call(row: asyncpg.Record, erased: int) -> Call:
    if not row["namespace_id"]:
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


def _slices(values: Sequence[T], most: int) -> Iterator[list[T]]:
    return (list(values[first : first + most]) for first in range(0, len(values), most))


def _columns(users: Sequence[tuple[str, int]]) -> tuple[list[int], list[int]]:
    return [int(number) for number, _ in users], [namespace_id for _, namespace_id in users]

"""Names as two processes show them, while they change in any order, against a plain model.

The scripts run on a fake Redis; between any two of a process's calls anything may change, or break off. Nobody may ever
show a name from before the changes that were counted when the read began. Drop nothing where a user is named, or keep
what was read meanwhile, and it fails within seconds.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.drivers.store_contact import contact
from app.model.namespace import Namespace, Rules
from app.model.profile import NamespaceProfile, Profile
from app.model.views import Page
from app.read.board_bodies import BoardEntry
from app.read.response_cache import CachedQuestion, CacheMiss, ResponseCache
from app.store import fields, keys
from app.store.announcements import Announcer
from app.store.boards import board_call
from app.store.changes import ANNOUNCE_CHANGE, WRITE_PROFILE
from app.store.namespace_cache import SET_IF_NEWER, NamespaceCache
from app.store.profile_cache import (
    NO_PROFILE,
    ProfileCache,
    announce_profiles_in,
    forget_name_call,
    forget_own_name_call,
    name_call,
    own_name_call,
)
from app.store.read_batcher import ReadBatcher
from tests.support.compiled_scripts import fake_redis
from tests.support.fake_connection import no_renewal
from tests.support.one_node import OneNode

USERS = ("ann", "bob", "cid", "d e")
SPACE = Namespace(7, "race", 3, 1, Rules())
BOARD = board_call(SPACE, "all", Page(0, 10))
SOURCES = {script.sha: script.source for script in (ANNOUNCE_CHANGE, WRITE_PROFILE, SET_IF_NEWER)}

changes = st.tuples(
    st.sampled_from(["put", "announce", "own", "lost", "late", "erase", "erase own", "forget"]),
    st.sampled_from(USERS),
)
#: Which process reads what, and what changes between its calls.
reads = st.tuples(
    st.just("read"),
    st.integers(0, 1),
    st.sampled_from(["names", "answer"]),
    st.lists(st.sampled_from(USERS), min_size=1, max_size=3, unique=True),
    st.lists(st.none() | changes, max_size=8),
)


class Shown:
    """What users have been called in one hash, each value as it came, and up to which of them is counted."""

    def __init__(self) -> None:
        self.values: dict[str, list[str | None]] = {user: [None] for user in USERS}
        self.counted = dict.fromkeys(USERS, 0)
        self.versions = dict.fromkeys(USERS, 0)

    def write(self, user: str, version: int, value: str | None, counted: bool = True) -> None:
        if version >= self.versions[user]:
            self.values[user].append(value)
            self.versions[user] = version
        if counted:
            self.counted[user] = len(self.values[user]) - 1

    def count(self, user: str) -> None:
        self.counted[user] = len(self.values[user]) - 1


class World:
    """A Redis, and what was written to it."""

    def __init__(self) -> None:
        self.redis = fake_redis()
        self.redis.hset(keys.DEPLOYMENT, mapping={"id": "x", "checked": "here"})
        for p in (0, 3):
            self.redis.hset(keys.meta(p), mapping={"checked": "here", "epoch": 1})
        self.wide, self.own = Shown(), Shown()
        self.version = 0
        self.late: list[tuple[str, int]] = []
        self.unannounced: list[str] = []
        self.numbers = {fields.CHANGES: 0, fields.PROFILES: 0}
        self.announcer = Announcer(self.fetch, self.run_apart, 4, is_cluster=True)
        self.is_named = False

    def run(self, call: Sequence[Any]) -> Any:
        words = list(call)
        if tuple(call) == BOARD:
            return [b"1", b"9", b"5", 0, 0, None, None]
        if words[0] == "EVALSHA":
            words[:2] = "EVAL", SOURCES[words[1]]
        return self.redis.execute_command(*words)  # type: ignore[no-untyped-call]

    async def call(self, call: Sequence[Any]) -> Any:
        return self.run(call)

    async def run_apart(self, calls: Sequence[Any]) -> list[Any]:
        return list(map(self.run, calls))

    async def fetch(self, query: str, kind: str, behind: int, count: int) -> Any:
        """What Postgres gives out."""
        assert query == "take_change_numbers"
        self.numbers[kind] = max(self.numbers[kind], behind) + count
        return [{"number": self.numbers[kind]}]

    def name(self) -> str:
        self.version += 1
        return f"n{self.version}"

    async def change(self, kind: str, user: str) -> None:
        name = self.name()
        match kind:
            case "put":
                self.put(user, self.version)
            case "own":
                self.run(
                    own_name_call(
                        3, namespace_id=7, user=user, version=self.version, profile=NamespaceProfile(display_name=name)
                    )
                )
                self.own.write(user, self.version, name)
                await announce_profiles_in(self.call, self.announcer, 7)
            case "lost":  # Redis never hears of it, or hears of it late.
                self.late.append((user, self.version))
            case "late" if self.late:
                self.put(*self.late.pop(0))
            case "announce" if self.unannounced:  # Others may have written and announced meanwhile.
                written = self.unannounced.pop()
                await self.announcer.announce_profiles([written])
                self.wide.count(written)
            case "erase":
                self.run(forget_name_call(user, self.version))
                self.wide.versions[user] = 0
                self.wide.write(user, 0, None, counted=False)
                await self.announcer.announce_profiles()
                self.wide.count(user)
            case "erase own":
                self.run(forget_own_name_call(3, namespace_id=7, user=user, version=self.version))
                self.own.versions[user] = 0
                self.own.write(user, 0, None)
            case "forget":  # What changed is not told any more.
                for key, field in ((keys.changes(3), fields.PROFILES), (keys.profiles_in(3, 7), "\x01")):
                    self.run(("HDEL", key, *(f"{field}:{n}" for n in range(4))))

    def put(self, user: str, version: int) -> None:
        # One that comes behind the erasure of whomever is not written.
        if self.run(name_call(user, version, Profile(display_name=f"n{version}"))) != -1:
            self.wide.write(user, version, f"n{version}", counted=False)
            self.unannounced.append(user)


class Process:
    """The parts of a server that know names. between: what changes before its next calls, one each."""

    contact = contact("Redis", "redis://here:1")

    def server_id(self, key: str) -> str:
        return "here"

    def __init__(self, world: World) -> None:
        self.world = world
        self.between: Iterator[Any] = iter(())
        self.batcher = ReadBatcher(OneNode(self), no_renewal)  # type: ignore[arg-type]
        self.namespace_cache, self.names = NamespaceCache(self.batcher.call), ProfileCache(self.batcher.call)
        self.batcher.subscribe_changes(self.namespace_cache.notice)
        self.batcher.subscribe_profiles(self.names.notice)
        self.namespace_cache.subscribe(self.names.forget_namespaces)
        self.answers = ResponseCache(self.batcher, self.names)

    async def run(self, calls: Sequence[Any]) -> list[Any]:
        """As a Link: other clients' calls may come between any two of a pipeline."""
        replies = []
        for call in calls:
            change = next(self.between, None)
            if change is not None:
                await self.world.change(*change)
            replies.append(self.world.run(call))
        return replies

    async def read(self, how: str, users: list[str]) -> dict[str, str | None]:
        if how == "names":
            await self.namespace_cache.refresh()
            return await self.shown(users)
        scope: Any = {"type": "http", "headers": []}
        rendered = await self.answers.look(scope, SPACE, CachedQuestion("all", ("page",), BOARD))
        if not isinstance(rendered, CacheMiss):
            entries = msgspec.json.decode(rendered.body)["entries"]
            return {entry["user_id"]: entry["display_name"] for entry in entries}
        shown = await self.shown(users)
        entries = [BoardEntry(1, 1, user, 5, name, None) for user, name in shown.items()]
        self.answers.keep(scope, rendered, {"entries": entries})
        return shown

    async def shown(self, users: list[str]) -> dict[str, str | None]:
        names = await self.names.display_profiles(SPACE, users)
        return {user: names.get(user, NO_PROFILE).display_name for user in users}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring has so few names of changes that many are missed."""
    monkeypatch.setattr("app.store.changes.RING_MAX", 4)
    monkeypatch.setattr("app.store.recent_changes.USERS_MAX", 2)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes | reads, max_size=40))
def test_nobody_shows_a_name_from_before_what_was_counted(steps: list[Any]) -> None:
    asyncio.run(follow(steps))


async def follow(steps: list[Any]) -> None:
    world = World()
    processes = [Process(world), Process(world)]
    loops = [asyncio.create_task(process.batcher.run()) for process in processes]
    try:
        for step in steps:
            if step[0] != "read":
                await world.change(*step)
                continue
            _, which, how, users, between = step
            users = list(USERS[:2]) if how == "answer" else users
            first = [(dict(shown.counted), shown) for shown in (world.own, world.wide)]
            processes[which].between = iter(between)
            names = await processes[which].read(how, users)
            for user in users:
                own, wide = (shown.values[user][counted[user] :] for counted, shown in first)
                expected = {b if a is None else a for a in own for b in wide}
                assert names[user] in expected, (step, user, names[user], expected)
    finally:
        for loop in loops:
            loop.cancel()

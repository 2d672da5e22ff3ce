"""What a process drops from its caches when something changed, and what it asks for again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from app.access.keys import Keyring, hash_key
from app.drivers.store_contact import contact
from app.model.errors import NamespaceNotFound, Unauthorized
from app.model.namespace import Namespace, Rules
from app.store import keys
from app.store.changes import EVERYTHING, RING_MAX, Changed, missed_call, read_missed, read_missed_users
from app.store.namespace_cache import KeyRecord, NamespaceCache
from app.store.read_batcher import ReadBatcher
from tests.support.fake_connection import no_renewal
from tests.support.one_node import OneNode

TOKENS = {name: f"lb_{name}_0123456789abcdef" for name in ("k", "other")}


class Store:
    """A Redis with its counter and its list of changes; calls are answered through a Gatherer."""

    contact = contact("Redis", "redis://here:1")

    def server_id(self, key: str) -> str:
        return "here"

    def __init__(self) -> None:
        self.changes = 0
        self.names: dict[str, int] = {}
        self.ring: dict[int, str] = {}
        self.revoked: set[str] = set()
        self.calls: list[tuple[Any, ...]] = []
        self.reader = ReadBatcher(OneNode(self), no_renewal)  # type: ignore[arg-type]
        self.namespace_cache = NamespaceCache(self.reader.call)
        self.reader.subscribe_changes(self.namespace_cache.notice)
        self.keyring = Keyring(self.namespace_cache, None)

    def change(self, what: str) -> None:
        self.changes += 1
        self.ring[self.changes % RING_MAX] = f"{self.changes} {what}"

    def put(self, name: str) -> None:
        self.names[name] = self.names.get(name, 0) + 1
        self.change(f"n {name}")

    async def run(self, calls: Any) -> list[Any]:
        await asyncio.sleep(0)
        return [self.answer(tuple(call)) for call in calls]

    def answer(self, call: tuple[Any, ...]) -> Any:
        match call:
            case ("HMGET", keys.DEPLOYMENT, *_):
                return [b"id", b"here"]
            case ("HMGET", "lb:{0}:meta", *_):
                return [b"here", None, b"1", b"%d" % self.changes, None]
            case ("HMGET", "lb:{0}:changes", *fields):
                items = (self.ring.get(int(field.partition(":")[2])) for field in fields)
                return [None if text is None else text.encode() for text in items]
            case ("HGET", keys.DIRECTORY, name):
                self.calls.append(call)
                version = self.names.get(name)
                space = Namespace(1, name, 0, version or 0, Rules())
                return None if version is None else b"%d " % version + msgspec.json.encode(space)
            case ("HGET", keys.API_KEYS, name):
                self.calls.append(call)
                return (
                    None
                    if name in self.revoked
                    else b"1 " + msgspec.json.encode(KeyRecord(name, hash_key(TOKENS[name]), ("read:*",)))
                )
        return None

    async def versions(self, *names: str) -> list[int]:
        return [(await self.namespace_cache.namespace(name)).version for name in names]


def within(act: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store()
        loop = asyncio.create_task(store.reader.run())
        try:
            await store.namespace_cache.refresh()
            await act(store)
        finally:
            loop.cancel()

    asyncio.run(run())


def test_a_change_of_one_namespace_drops_that_one_alone() -> None:
    async def act(store: Store) -> None:
        names = [f"n{i}" for i in range(20)]
        for name in names:
            store.put(name)
        await store.namespace_cache.refresh()
        assert await store.versions(*names) == [1] * 20
        await store.keyring.principal(TOKENS["k"])
        store.calls.clear()
        for _ in range(10):
            store.put("n3")
            await store.namespace_cache.refresh()
            await store.keyring.principal(TOKENS["k"])
            await store.versions(*names)
        assert store.calls == [("HGET", keys.DIRECTORY, "n3")] * 10
        assert (await store.versions("n3")) == [11]

    within(act)


def test_a_process_that_missed_more_changes_than_the_ring_has_drops_everything() -> None:
    async def act(store: Store) -> None:
        store.put("a")
        store.put("b")
        await store.versions("a", "b")
        store.calls.clear()
        for _ in range(RING_MAX + 1):
            store.put("b")
        await store.namespace_cache.refresh()
        assert await store.versions("a", "b") == [1, RING_MAX + 2]
        assert len(store.calls) == 2

    within(act)


def test_a_change_without_a_name_drops_everything() -> None:
    assert read_missed([b"3 n a", None], 2) == EVERYTHING
    assert read_missed([b"3 n a", b"516 n b"], 2) == EVERYTHING
    assert read_missed(OSError(), 2) == EVERYTHING
    assert read_missed([b"3 n a", b"4 k id"], 2) == Changed(frozenset({"a"}), frozenset({"id"}))
    assert read_missed_users([b"3 a b", b"4 c"], 2) == ("a b", "c")
    for reply in ([b"3 a", None], [b"3 a", b"516 b"], [b"3 a", b"4 "], OSError(), None):
        assert read_missed_users(reply, 2) is None
    assert missed_call(-1, 5, keys.changes(0)) is None
    assert missed_call(5, 4, keys.changes(0)) is None


def test_what_changes_on_the_way_is_not_kept() -> None:
    async def act(store: Store) -> None:
        store.put("a")
        await store.namespace_cache.refresh()
        real = store.namespace_cache.call

        async def slow(call: Any) -> Any:
            reply = await real(call)
            store.put("a")
            await store.reader.call(("HGET", keys.meta(0), "changes"))
            return reply

        store.namespace_cache.call = slow
        assert await store.versions("a") == [1]
        store.namespace_cache.call = real
        assert await store.versions("a") == [2]

    within(act)


def test_an_unknown_name_is_read_once_and_found_as_soon_as_it_is_made() -> None:
    async def act(store: Store) -> None:
        for name in ("new", "other", "new", "new"):
            with pytest.raises(NamespaceNotFound):
                await store.namespace_cache.namespace(name)
        assert [call[2] for call in store.calls] == ["new", "other"]
        with pytest.raises(NamespaceNotFound):
            await store.namespace_cache.namespace("x" * 65)
        assert len(store.calls) == 2
        store.put("new")
        assert await store.versions("new") == [1]

    within(act)


def test_a_revoked_key_is_dropped_alone() -> None:
    async def act(store: Store) -> None:
        other, gone = [await store.keyring.principal(TOKENS[name]) for name in ("other", "k")]
        store.calls.clear()
        store.revoked.add("k")
        store.change("k k")
        await store.namespace_cache.refresh()
        assert store.keyring.is_current(other)
        assert not store.keyring.is_current(gone)
        assert store.keyring.cached(TOKENS["k"]) is None
        with pytest.raises(Unauthorized):
            await store.keyring.principal(TOKENS["k"])
        assert await store.keyring.principal(TOKENS["other"]) is other
        assert store.calls == [("HGET", keys.API_KEYS, "k")]

    within(act)

"""Clearing a Redis of deleted namespaces: in small steps, in one pass for all, and exactly theirs."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from app.drivers.redis import RedisConnection
from app.embedded import ValkeyProcess, free_port
from app.persist import namespace_dropper
from app.persist.namespace_dropper import NamespaceDropper
from app.store import keys
from app.store.namespace_cache import SET_IF_NEWER

pytestmark = pytest.mark.own_valkey

NAMES = ["otter", "a:b", "*", "[x]?", "b:8:all", "7", "d/é"]


class Ledger:
    """What Postgres would say: which namespaces were deleted (partition, id), and which are gone from Redis."""

    def __init__(self, *deleted: tuple[int, int]) -> None:
        self.deleted = set(deleted)
        self.dropped: list[int] = []
        self.archived = 0
        self.version = 100

    async def deleted_namespaces(self, partitions: Any) -> list[tuple[int, int, int]]:
        open_ = sorted(one for one in self.deleted if one[0] in partitions and one[1] not in self.dropped)
        self.version += len(open_)
        return [(p, namespace_id, self.version) for p, namespace_id in open_]

    async def drop_archives(self, namespace_ids: list[int], rows_max: int) -> bool:
        before, self.archived = self.archived, max(0, self.archived - rows_max)
        return before > 0

    async def mark_dropped(self, namespace_ids: list[int]) -> None:
        self.dropped += namespace_ids


class Time:
    """A clock that goes on by `each` seconds whenever it is read."""

    def __init__(self, each: float) -> None:
        self.now, self.each = 0.0, each

    def __call__(self) -> float:
        self.now += self.each
        return self.now


class Store:
    """One Redis, filled by hand."""

    def __init__(self, client: redis.Redis, url: str) -> None:
        self.client = client
        self.link = RedisConnection(url, [SET_IF_NEWER])
        self.calls: list[Any] = []
        node = self.link.link(self.link.names[0])
        run = node.run

        async def counted(calls: Any, timeout_s: float | None = None) -> Any:
            self.calls += calls
            return await run(calls, timeout_s)

        node.run = counted  # type: ignore[method-assign]

    def fill(self, p: int, namespace_id: int) -> set[bytes]:
        """A namespace's keys of every kind, its rules aside."""
        with self.client.pipeline() as pipe:
            for name in NAMES:
                pipe.zadd(keys.board(p, namespace_id, name), {"u": 1})
                pipe.zadd(keys.distinct_scores(p, namespace_id, name), {"1": 1})
                pipe.hset(keys.tie_prefixes(p, namespace_id, name), "u", "1")
                pipe.hset(keys.grant_times(p, namespace_id, name), "u", "1")
                pipe.hset(keys.balances(p, namespace_id) + name, "total", 1)
            pipe.hset(keys.namespace(p, namespace_id), "v:all", 1)
            pipe.hset(keys.rules(p), str(namespace_id), "1")
            pipe.execute()
        return {key for key in self.all_keys() if keys.namespace_of(key) == (p, namespace_id)}

    def all_keys(self) -> set[bytes]:
        """Every key that belongs to some namespace."""
        return {key for key in self.client.scan_iter() if isinstance(key, bytes) and keys.namespace_of(key)}

    def ballast(self, count: int, namespace_id: int) -> None:
        with self.client.pipeline() as pipe:
            for i in range(count):
                pipe.hset(keys.balances(3, namespace_id) + f"u{i}", "total", 1)
            pipe.execute()

    def scans(self) -> int:
        return sum(call[0] == "SCAN" for call in self.calls)


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    binary = shutil.which("redis-server") if request.param == "redis" else None
    if request.param == "redis" and binary is None:
        pytest.skip("Debian's redis-server is not installed")
    process = ValkeyProcess(
        tmp_path_factory.mktemp(request.param), free_port(), binary=Path(binary) if binary else None
    )
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def store(server: ValkeyProcess) -> Iterator[Store]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield Store(client, server.url)


def run(store: Store, *work: Any) -> None:
    """Some steps in one loop: a connection belongs to the loop that made it."""

    async def all_of_it() -> None:
        try:
            for step in work:
                done = step()
                if done is not None:
                    await done
        finally:
            await store.link.close()

    asyncio.run(all_of_it())


def test_what_was_deleted_goes_and_nothing_else(store: Store) -> None:
    doomed = [store.fill(3, 7), store.fill(3, 70), store.fill(5, 9)]
    rest = [store.fill(3, 8), store.fill(5, 7), store.fill(4, 11)]
    assert {len(one) for one in (*doomed, *rest)} == {5 * len(NAMES) + 1}
    ledger, dropper = Ledger((3, 7), (3, 70), (5, 9), (4, 11)), NamespaceDropper(Time(0.0))
    run(store, lambda: dropper.step(ledger, store.link, [3, 5]))  # type: ignore[arg-type]
    assert store.all_keys() == set().union(*rest)
    assert sorted(ledger.dropped) == [7, 9, 70]
    assert store.scans() == 1, "one pass serves all"
    # From before the first key went no plan of another version could write.
    assert store.client.hget(keys.rules(3), "7") == b"%d" % ledger.version


def test_a_step_takes_its_time_and_no_more(store: Store) -> None:
    store.ballast(20_000, 8)
    doomed = store.fill(3, 7)
    ledger, time = Ledger((3, 7)), Time(namespace_dropper.STEP_S / 4)
    dropper, scanned, steps = NamespaceDropper(time), [], 0

    async def steps_until_done() -> None:
        nonlocal steps
        while not ledger.dropped:
            before = store.scans()
            await dropper.step(ledger, store.link, [3])  # type: ignore[arg-type]
            scanned.append(store.scans() - before)
            steps += 1
            store.client.hset(keys.balances(3, 8) + f"while{steps}", "total", 1)

    run(store, steps_until_done)
    assert max(scanned) <= 5
    assert steps >= 5
    assert not any(store.client.exists(key) for key in doomed)
    assert store.client.dbsize() == 20_000 + steps + 1


def test_archives_go_in_steps_too_behind_the_keys(store: Store) -> None:
    doomed = store.fill(3, 7)
    ledger, time = Ledger((3, 7)), Time(namespace_dropper.STEP_S / 4)
    ledger.archived, dropper, left = 10_000, NamespaceDropper(time), []

    async def steps_until_done() -> None:
        while not ledger.dropped:
            await dropper.step(ledger, store.link, [3])  # type: ignore[arg-type]
            left.append(ledger.archived)

    run(store, steps_until_done)
    assert not any(store.client.exists(key) for key in doomed)
    assert store.scans() == 1
    assert ledger.archived == 0
    assert len(left) >= 3, "all at once"
    assert left == sorted(left, reverse=True)


def test_what_is_deleted_during_a_pass_waits_for_the_next(store: Store) -> None:
    store.ballast(5_000, 8)
    doomed, late = store.fill(3, 7), store.fill(3, 9)
    ledger, time = Ledger((3, 7)), Time(namespace_dropper.STEP_S)
    dropper = NamespaceDropper(time)

    async def pass_and_deletion() -> None:
        await dropper.step(ledger, store.link, [3])  # type: ignore[arg-type]
        assert ledger.dropped == []
        ledger.deleted.add((3, 9))
        while not ledger.dropped:
            await dropper.step(ledger, store.link, [3])  # type: ignore[arg-type]

    run(store, pass_and_deletion)
    assert ledger.dropped == [7]
    assert all(store.client.exists(key) for key in late)
    assert not any(store.client.exists(key) for key in doomed)


def test_one_that_was_killed_in_the_middle_is_followed_by_a_whole_pass(store: Store) -> None:
    store.ballast(5_000, 8)
    ledger, time = Ledger((3, 7)), Time(namespace_dropper.STEP_S)
    first, second = NamespaceDropper(time), NamespaceDropper(time)

    async def killed_and_followed() -> None:
        await first.step(ledger, store.link, [3])  # type: ignore[arg-type]
        # What the first pass went past: written before its fence, seen by nobody since.
        store.fill(3, 7)
        before = store.scans()
        while not ledger.dropped:
            await second.step(ledger, store.link, [3])  # type: ignore[arg-type]
        assert store.scans() - before >= 4

    run(store, killed_and_followed)
    assert {keys.namespace_of(key) for key in store.all_keys()} == {(3, 8)}

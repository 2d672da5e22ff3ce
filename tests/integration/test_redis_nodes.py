"""Calls to a Redis of several nodes: each goes where its keys are, and a lost node fails its own calls only."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from redis.exceptions import ResponseError

from app.drivers.redis import RedisConnection, RedisRefused, transact
from app.store import keys
from app.store.partitions import check_store
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey

pytestmark = pytest.mark.own_valkey

T = TypeVar("T")
PARTITIONS = range(16)
SETS = [("HSET", keys.meta(p), "n", p) for p in PARTITIONS]
GETS = [("HGET", keys.meta(p), "n") for p in PARTITIONS]
VALUES = [str(p).encode() for p in PARTITIONS]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Three masters with a replica each."""
    cluster = ValkeyCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedValkey]:
    """A primary and a replica that three Sentinels watch."""
    watched = WatchedValkey(tmp_path_factory.mktemp("sentinels"))
    try:
        yield watched.start()
    finally:
        watched.stop()


def with_link(url: str, work: Callable[[RedisConnection], Awaitable[T]]) -> T:
    """What some work with a connection answers."""

    async def run() -> T:
        link = RedisConnection(url, [])
        try:
            return await work(link)
        finally:
            await link.close()

    return asyncio.run(run())


def test_replies_of_several_nodes_come_in_the_order_of_the_calls(cluster: ValkeyCluster) -> None:
    async def work(link: RedisConnection) -> None:
        await link.run(SETS)
        *values, (seconds, _) = await link.run([*GETS, ("TIME",)])
        assert values == VALUES
        assert int(seconds) > 0
        first, error, last = await link.run([GETS[0], ("HGET", keys.meta(1), "n", "more"), GETS[2]])
        assert (first, last) == (b"0", b"2")
        assert isinstance(error, ResponseError)
        assert await transact(link, [GETS[3], GETS[3]]) == [b"3", b"3"]

    with_link(cluster.url, work)


def test_each_node_is_checked(cluster: ValkeyCluster) -> None:
    async def work(link: RedisConnection) -> int:
        nodes = await link.links()
        for node in nodes:
            await check_store(node, "always")
        await nodes[1].run([("CONFIG", "SET", "appendfsync", "everysec")])
        try:
            with pytest.raises(RedisRefused, match="appendfsync everysec"):
                await check_store(nodes[1], "always")
        finally:
            await nodes[1].run([("CONFIG", "SET", "appendfsync", "always")])
        return len(nodes)

    assert with_link(cluster.url, work) == 3


def test_a_call_follows_its_slot_to_another_node(cluster: ValkeyCluster) -> None:
    async def work(link: RedisConnection) -> None:
        await link.run(SETS)
        version, name = link.version, link.node(keys.meta(5))
        masters = cluster.nodes[: cluster.masters]
        owner = cluster.owner(5)
        await asyncio.to_thread(cluster.move, 5, next(node for node in masters if node is not owner))
        # The map is an old one now: a call is sent away, and so is a transaction as a whole.
        assert await transact(link, [GETS[5], GETS[5]]) == [b"5", b"5"]
        assert await link.run(GETS) == VALUES
        assert link.version > version
        assert link.node(keys.meta(5)) != name

    with_link(cluster.url, work)


def test_a_lost_node_fails_its_own_calls_until_its_replica_is_promoted(cluster: ValkeyCluster) -> None:
    async def work(link: RedisConnection) -> None:
        await link.run(SETS)
        dead = cluster.owner(0)
        lost = set(cluster.partitions_of(dead, len(PARTITIONS)))
        dead.kill()
        replies: list[Any] = await link.run_apart(GETS)
        assert {p for p, reply in enumerate(replies) if isinstance(reply, ConnectionError)} == lost
        assert [replies[p] for p in PARTITIONS if p not in lost] == [VALUES[p] for p in PARTITIONS if p not in lost]
        with pytest.raises(ConnectionError):
            await link.run(GETS)
        await asyncio.to_thread(cluster.wait_failover, 0, dead)
        assert await link.run(GETS) == VALUES
        # The old master is a replica now: nobody asks it.
        dead.start()
        await asyncio.to_thread(cluster.wait_ready)
        assert await link.run(GETS) == VALUES

    with_link(cluster.url, work)


def test_where_no_node_answers_the_hosts_are_named() -> None:
    async def work(link: RedisConnection) -> None:
        with pytest.raises(ConnectionError, match=r"no node of the cluster answers at 127\.0\.0\.1:1, 127\.0\.0\.1:2"):
            await link.run(GETS)

    with_link("redis+cluster://127.0.0.1:1,127.0.0.1:2", work)


@pytest.mark.long
def test_sentinels_name_the_primary_also_after_a_failover(sentinels: WatchedValkey) -> None:
    async def work(link: RedisConnection) -> None:
        await link.run(SETS)
        primary = sentinels.primary()
        await asyncio.to_thread(sentinels.wait_copied)
        primary.kill()
        with pytest.raises(ConnectionError):
            await link.run(GETS)
        await asyncio.to_thread(sentinels.wait_failover, primary)
        assert await link.run(GETS) == VALUES
        # Its clients are not led back to the old primary, and it follows the new one.
        primary.start()
        await asyncio.to_thread(sentinels.wait_followed)
        await link.close()
        assert await link.run(GETS) == VALUES

    with_link(sentinels.url, work)


def test_a_service_that_no_sentinel_knows_is_named(sentinels: WatchedValkey) -> None:
    async def work(link: RedisConnection) -> None:
        with pytest.raises(ConnectionError, match="no Sentinel that knows 'other' answers at 127"):
            await link.run(GETS)

    with_link(sentinels.url.replace("/main", "/other"), work)


def test_a_redis_that_is_no_cluster_says_so(sentinels: WatchedValkey) -> None:
    async def work(link: RedisConnection) -> None:
        with pytest.raises(ConnectionError, match="cluster support disabled"):
            await link.run(GETS)

    with_link(f"redis+cluster://127.0.0.1:{sentinels.primary().port}", work)

"""What nodes of Redis lack is named: slots without a node, too few replicas."""

import asyncio
from typing import Any

import pytest

from app.drivers.redis_topology import NodeMap, slot_of
from app.model.redis_url import Host
from app.store import keys
from app.store.node_watch import NodeWatch, slot_holes

A, B = Host("10.0.0.1", 7000), Host("10.0.0.2", 7000)


class Nodes:
    """A Redis of two nodes, the second with so many replicas."""

    names: tuple[str, ...] = (str(A), str(B))
    is_alone = False

    def __init__(self, replicas: Any = 1) -> None:
        self.replicas = replicas

    def holes(self) -> list[tuple[int, int]]:
        return []

    async def links(self) -> list[Any]:
        return [Node(1), Node(self.replicas)]


class Node:
    def __init__(self, replicas: Any) -> None:
        self.replicas = replicas

    async def run(self, calls: Any) -> list[Any]:
        assert calls == [("INFO", "replication")]
        if isinstance(self.replicas, Exception):
            raise self.replicas
        return [b"role:master\r\nconnected_slaves:%d\r\n" % self.replicas]


def lines(redis: Any, replicas: int) -> list[str]:
    watch = NodeWatch(replicas, 16)
    asyncio.run(watch.measure(redis))
    return watch.lines


@pytest.mark.parametrize(
    ("ranges", "holes"),
    [
        ([(0, 16383, A)], []),
        ([(0, 100, A), (200, 16383, B)], [(101, 199)]),
        ([(1, 5, A), (7, 16382, B)], [(0, 0), (6, 6), (16383, 16383)]),
    ],
)
def test_slots_that_no_node_holds(ranges: Any, holes: Any) -> None:
    nodes = NodeMap.of_url("redis+cluster://10.0.0.1:7000")
    assert nodes.holes() == [], "nobody has told its map yet"
    nodes._take(ranges)
    assert nodes.holes() == holes


def test_the_partitions_in_a_hole_are_named() -> None:
    class Torn(Nodes):
        def holes(self) -> list[tuple[int, int]]:
            slot = slot_of(keys.meta(3))
            return [(slot, slot), (slot + 1, slot + 2)]

    slot = slot_of(keys.meta(3))
    (line,) = slot_holes(Torn(), range(16))  # type: ignore[arg-type]
    assert line.startswith(
        f"no node of the cluster holds the slots {slot}, {slot + 1} to {slot + 2}: "
        "nothing is taken or shown of the partitions [3]"
    )


def test_a_node_with_too_few_replicas_is_named() -> None:
    assert lines(Nodes(), 1) == []
    assert lines(Nodes(0), 1) == [
        "Redis at 10.0.0.2:7000 has 0 connected replicas: ?ack=replica needs 1 (LEADERBOARD_ACK_REPLICAS) "
        "and answers 503"
    ]
    assert len(lines(Nodes(1), 2)) == 2
    assert lines(Nodes(ConnectionError("away")), 1) == [], "its silence is told elsewhere"


def test_one_redis_alone_lacks_no_replica_unless_the_setting_asks_for_some() -> None:
    class Alone(Nodes):
        names = ("",)
        is_alone = True

        async def links(self) -> list[Any]:
            return [Node(0)]

    assert lines(Alone(), 1) == []
    assert lines(Alone(), 2) == [
        "Redis has 0 connected replicas: ?ack=replica needs 2 (LEADERBOARD_ACK_REPLICAS) and answers 503"
    ]

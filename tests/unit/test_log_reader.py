"""What a persister reads of a Redis that it may not believe."""

import asyncio
from typing import Any

from app.drivers.store_contact import StoreContact
from app.persist.faults import Faults
from app.persist.lease import Lease
from app.persist.log_reader import LogReader
from app.store import fields
from app.store.ledger_offset import LedgerOffset
from tests.support.one_node import OneNode

EPOCH = 2


class Node:
    """Has a marked partition in an epoch, with an empty log."""

    contact = StoreContact("Redis", "redis://127.0.0.1:1")

    def __init__(self) -> None:
        self.closed = 0

    def server_id(self, _key: str) -> str:
        return "one"

    async def run(self, calls: list[Any], _timeout_s: float | None = None) -> list[Any]:
        values = {fields.EPOCH: str(EPOCH), fields.SEQ: "0", fields.CHECKED: "one", fields.GENERATIONS: "1"}
        values[f"{fields.COMPLETE_SINCE}1"] = "0"
        head = [text.encode() for pair in values.items() for text in pair]
        return [head if call[0] == "HGETALL" else None for call in calls]

    async def close(self) -> None:
        self.closed += 1


def read(fence_epoch: int) -> tuple[Node, Lease, list[str]]:
    """A read of a partition where an epoch was over when it was taken; what was said of the partitions given up."""
    node, lease, stops = Node(), Lease.taken(LedgerOffset(0, 0, b"", fence_epoch)), list[str]()
    assert asyncio.run(reader_of(node, lease, stops).read()) == []
    return node, lease, stops


def reader_of(node: Node, lease: Lease, stops: list[str]) -> LogReader:
    async def renew(_name: str) -> None:
        raise AssertionError("it bears a mark")

    redis: Any = OneNode(node)
    redis.is_cluster = True
    return LogReader(redis, {3: lease}, Faults(), lambda _p, _lease, reason: stops.append(reason), renew)


def test_a_redis_in_an_epoch_that_is_over_is_not_read() -> None:
    node, lease, stops = read(EPOCH)
    assert (node.closed, lease.checked, stops) == (2, False, [])


def test_one_in_a_later_epoch_is() -> None:
    node, lease, stops = read(EPOCH - 1)
    assert (node.closed, lease.checked, stops) == (1, True, [])


def test_a_lease_is_looked_at_on_a_new_connection_once() -> None:
    """The one before may lead to a former primary."""
    node, lease = Node(), Lease.taken(LedgerOffset(0, 0, b"", EPOCH - 1))
    reader = reader_of(node, lease, [])

    async def act() -> None:
        for _ in range(3):
            await reader.read()

    asyncio.run(act())
    assert (node.closed, lease.checked) == (1, True)

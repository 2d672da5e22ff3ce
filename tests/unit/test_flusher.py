"""What Redis hears of the ledger: what is committed, of partitions whose log was compared with it."""

import asyncio
from typing import Any

import pytest

from app.drivers.redis import Call
from app.drivers.store_contact import StoreContact
from app.persist.flusher import REPLY_S_MAX, SEND_ALL_S, Flusher
from app.persist.lease import Lease
from app.settings import Settings
from app.store import keys
from app.store.capacity import Capacity, StoreBounds
from app.store.ledger_offset import LedgerOffset
from tests.support.virtual_time import VirtualTime

TAIL_S = 10.0
CAPACITY = Capacity(StoreBounds.of(Settings()), 16)
LENGTH = CAPACITY.log_length(0)


class Node:
    """Notes the offsets that it is sent, by the key of a partition's head, and replies as a test says."""

    contact = StoreContact("Redis", "redis://127.0.0.1:1")

    def __init__(self) -> None:
        self.sent: list[dict[str, list[int]]] = []
        self.reply: Any = 1
        self.loss: Exception | None = None
        self.hangs_s = 0.0

    async def run(self, calls: list[Call], _timeout_s: float | None = None) -> list[Any]:
        self.sent.append({str(call[3]): [int(str(arg)) for arg in call[5:]] for call in calls})
        await asyncio.sleep(self.hangs_s)
        if self.loss is not None:
            raise self.loss
        return [self.reply for _ in calls]


class Link(Node):
    """A Redis of one node, or of two: the other one has partition 4."""

    version = 0

    def __init__(self, *, is_cluster: bool = False) -> None:
        super().__init__()
        self.is_cluster = is_cluster
        self.other = Node()

    def node(self, key: str) -> str:
        return "other" if self.is_cluster and key == keys.meta(4) else ""

    def link(self, name: str) -> Node:
        return self.other if name else self

    def doubt(self) -> None:
        """There is nothing to learn."""


def lease(seq: int, *, read: int = 0, checked: bool = True) -> Lease:
    """A partition whose ledger ends at a seq, and whose log is read up to a later one."""
    taken = Lease.taken(LedgerOffset(1, seq, b"d"))
    taken.read, taken.checked = LedgerOffset(1, max(seq, read), b"d"), checked
    return taken


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


def test_redis_hears_of_what_is_committed_and_of_nothing_that_is_only_read(time: VirtualTime) -> None:
    link = Link()
    time.run(Flusher(link, TAIL_S, CAPACITY).send_offsets({3: lease(5, read=9)}, [3]))  # type: ignore[arg-type]
    assert link.sent == [{keys.meta(3): [1, 5, 0, 0, LENGTH]}]


def test_a_log_that_was_not_compared_gets_no_offset(time: VirtualTime) -> None:
    link = Link()
    time.run(Flusher(link, TAIL_S, CAPACITY).send_offsets({3: lease(5, checked=False)}, [3]))  # type: ignore[arg-type]
    assert link.sent == []


def test_the_log_keeps_what_was_written_lately(time: VirtualTime) -> None:
    """Of entries that the ledger has, those of the last seconds."""
    link, own_lease = Link(), lease(5)
    flusher = Flusher(link, TAIL_S, CAPACITY)  # type: ignore[arg-type]

    async def act() -> None:
        await asyncio.sleep(TAIL_S)
        own_lease.advance(LedgerOffset(1, 8, b"e"))
        await flusher.send_offsets({3: own_lease}, [3])
        await asyncio.sleep(TAIL_S)
        await flusher.send_offsets({3: own_lease}, [3])

    time.run(act())
    assert link.sent == [{keys.meta(3): [1, 8, 1, seq, LENGTH]} for seq in (5, 8)]


def test_partitions_without_new_rows_get_offsets_from_time_to_time(time: VirtualTime) -> None:
    link, leases = Link(), {3: lease(5), 4: lease(6)}
    flusher = Flusher(link, TAIL_S, CAPACITY)  # type: ignore[arg-type]

    async def act() -> None:
        for _ in range(2):
            await flusher.send_offsets(leases, [3])
        await asyncio.sleep(SEND_ALL_S)
        await flusher.send_offsets(leases, [])

    time.run(act())
    assert [sorted(sent) for sent in link.sent] == [
        [keys.meta(3), keys.meta(4)],
        [keys.meta(3)],
        [*map(keys.meta, (3, 4))],
    ]


@pytest.mark.parametrize(("reply", "is_checked"), [(1, True), (0, False), (ValueError("OOM"), True)], ids=str)
def test_where_redis_is_not_where_the_ledger_is_the_log_is_compared_anew(
    time: VirtualTime, reply: Any, is_checked: bool
) -> None:
    link, own_lease = Link(), lease(5)
    link.reply = reply
    time.run(Flusher(link, TAIL_S, CAPACITY).send_offsets({3: own_lease}, [3]))  # type: ignore[arg-type]
    assert own_lease.checked is is_checked


def test_a_lost_node_keeps_no_offset_from_the_others(time: VirtualTime) -> None:
    """Nothing is refused by a node that is away, and its partitions' logs need no comparison."""
    link, leases = Link(is_cluster=True), {3: lease(5), 4: lease(6)}
    link.loss = ConnectionError("away")
    flusher = Flusher(link, TAIL_S, CAPACITY)  # type: ignore[arg-type]
    time.run(flusher.send_offsets(leases, []))
    assert link.other.sent == [{keys.meta(4): [1, 6, 0, 0, LENGTH]}]
    assert leases[3].checked
    assert flusher._refused == set()


def test_a_single_redis_that_is_lost_raises(time: VirtualTime) -> None:
    link = Link()
    link.loss = ConnectionError("away")
    with pytest.raises(ConnectionError, match="away"):
        time.run(Flusher(link, TAIL_S, CAPACITY).send_offsets({3: lease(5)}, [3]))  # type: ignore[arg-type]


def test_the_ledger_does_not_wait_for_a_node_that_hangs(time: VirtualTime) -> None:
    """It is sent nothing more until it has answered; the other one gets what is due."""
    link, leases = Link(is_cluster=True), {3: lease(5), 4: lease(6)}
    link.hangs_s = 5
    flusher = Flusher(link, TAIL_S, CAPACITY)  # type: ignore[arg-type]

    async def act() -> None:
        for _ in range(5):
            await flusher.send_offsets(leases, [3, 4])
        assert time.passed_s == REPLY_S_MAX
        assert (len(link.sent), len(link.other.sent)) == (1, 5)
        await asyncio.sleep(link.hangs_s)
        await flusher.send_offsets(leases, [3, 4])  # hears of the reply
        await flusher.send_offsets(leases, [3, 4])
        assert len(link.sent) == 2
        await flusher.cancel()

    time.run(act())

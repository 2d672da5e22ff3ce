"""Marks and epochs: an epoch begins once for a Redis, and a closed partition takes nothing."""

from typing import Any

import pytest

from app.store import fields, keys
from app.store.apply import CallRefused, PartitionHead
from app.store.marks import MARK_PARTITION
from app.store.partitions import ADVANCE_FLUSHED, ROTATE_DEDUP
from tests.lua.conftest import P, Partition


def mark(partition: Partition, server: str, *, epoch: int, seq: int, new_epoch: int) -> Any:
    return partition.eval(MARK_PARTITION, [keys.meta(P)], [server, epoch, seq, new_epoch, 7])


def head(partition: Partition, *names: str) -> list[bytes | None]:
    return list(partition.store.hmget(keys.meta(P), names))


def test_a_mark_begins_an_epoch_behind_the_last_entry(partition: Partition) -> None:
    partition.call(partition.entry("a"), partition.entry("b"))
    assert mark(partition, "there", epoch=1, seq=2, new_epoch=5) == 1
    names = fields.CHECKED, fields.EPOCH, fields.SEQ, fields.EPOCH_BEGINS_AFTER, fields.STATE_VERSION
    assert head(partition, *names) == [b"there", b"5", b"2", b"2", b"7"]
    with pytest.raises(CallRefused, match="stale_epoch"):
        partition.call(partition.entry("c"))
    partition.head = PartitionHead(5, "1", 0, (1, 2, partition.entry("b").content))
    (outcome,) = partition.call(partition.entry("c"))
    assert (outcome.epoch, outcome.seq) == (5, 3)


def test_what_a_rebuild_wrote_hides_no_loss(partition: Partition) -> None:
    """Its entry took the place of one that a server may remember."""
    partition.call(partition.entry("a"), partition.entry("b"))
    partition.store.hset(keys.meta(P), fields.REBUILT, 2)
    assert mark(partition, "there", epoch=1, seq=2, new_epoch=5) == 1
    assert head(partition, fields.EPOCH_BEGINS_AFTER) == [b"1"]
    partition.store.xtrim(keys.log(P), maxlen=0)
    partition.store.hset(keys.meta(P), fields.FLUSHED, "5-2")
    partition.head = PartitionHead(5, "1", 0, (1, 2, b"0" * 16))
    with pytest.raises(CallRefused, match="Redis lost entries: 1-2 is acknowledged, epoch 5 began behind seq 1"):
        partition.call(partition.entry("c"))


@pytest.mark.parametrize(
    ("server", "epoch", "seq", "new_epoch"),
    [("here", 1, 1, 2), ("there", 2, 1, 3), ("there", 1, 0, 2), ("there", 1, 2, 2), ("there", 1, 1, 1)],
    ids=["marked already", "another epoch", "more entries", "fewer entries", "no new epoch"],
)
def test_a_mark_is_not_made_for_what_was_not_compared(
    partition: Partition, server: str, epoch: int, seq: int, new_epoch: int
) -> None:
    partition.call(partition.entry("a"))
    before = partition.store.hgetall(keys.meta(P))
    assert mark(partition, server, epoch=epoch, seq=seq, new_epoch=new_epoch) == 0
    assert partition.store.hgetall(keys.meta(P)) == before


def test_a_closed_partition_takes_nothing_and_says_why(partition: Partition) -> None:
    partition.call(partition.entry("a"))
    partition.store.hset(keys.meta(P), fields.CLOSED, "it lost entries")
    before = partition.store.hgetall(keys.meta(P)), partition.store.xrange(keys.log(P))
    for entries in ([partition.entry("b")], [partition.entry("a")], []):
        with pytest.raises(CallRefused, match="closed: it lost entries"):
            partition.call(*entries)
    assert mark(partition, "there", epoch=1, seq=1, new_epoch=2) == 0
    assert partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], [1, 1, 0, 0, 0]) == 0
    assert partition.eval(ROTATE_DEDUP, [keys.meta(P), keys.dedup(P, 1), keys.dedup(P, 1)], [1, "1", 0, 1]) == 0
    assert (partition.store.hgetall(keys.meta(P)), partition.store.xrange(keys.log(P))) == before


@pytest.mark.parametrize(("known", "is_lost"), [((1, 2), False), ((1, 3), True), ((2, 3), False), ((2, 4), True)])
def test_who_remembers_more_of_an_earlier_epoch_than_the_next_one_began_with_knows_of_a_loss(
    partition: Partition, known: tuple[int, int], is_lost: bool
) -> None:
    entries = [partition.entry(name) for name in ("a", "b", "c")]
    partition.call(*entries[:2])
    mark(partition, "there", epoch=1, seq=2, new_epoch=2)
    partition.head = PartitionHead(2, "1", 0, (1, 2, entries[1].content))
    partition.call(entries[2])
    # All of it is in the ledger: what is behind the offset is known by epoch and seq alone.
    partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], [2, 3, 0, 0, 0])
    content = entries[min(known[1], 3) - 1].content
    partition.head = PartitionHead(2, "1", 0, (*known, content))
    if is_lost:
        with pytest.raises(CallRefused, match="Redis lost entries"):
            partition.call(partition.entry("d"))
    else:
        assert partition.codes(partition.entry("d")) == ["applied"]

"""Entries that record what Redis has: appended to the log of a closed partition, and nothing moves."""

from typing import Any

from app.store import fields, keys
from app.store.rebuilds import APPEND_ENTRIES

P = 3
PROGRESS = "from-redis 1 1"


def append(partition: Any, progress: str, *, seq: int, epoch: int = 4) -> Any:
    return partition.eval(
        APPEND_ENTRIES, [keys.meta(P), keys.log(P)], [progress, seq, epoch, b"d1", b"e1", 5, "", b"d2", b"e2", "", 7]
    )


def test_they_come_behind_the_end_in_an_epoch_of_their_own(partition: Any) -> None:
    partition.call(partition.entry("g"))
    partition.store.hset(keys.meta(P), mapping={fields.PROGRESS: PROGRESS, fields.CLOSED: "ledger_behind"})
    assert append(partition, PROGRESS, seq=1) == [b"ok", 3]
    log = partition.store.xrange(keys.log(P))
    assert [name for name, _ in log] == [b"1-1", b"4-2", b"4-3"]
    assert [entry[b"r"].split(b" ")[1:] for _, entry in log[1:]] == [[b"5", b""], [b"", b"7"]]
    head = partition.store.hmget(keys.meta(P), fields.SEQ, fields.EPOCH, fields.EPOCH_BEGINS_AFTER)
    assert head == [b"3", b"4", b"1"]
    assert append(partition, PROGRESS, seq=3) == [b"ok", 5]
    assert partition.store.hget(keys.meta(P), fields.EPOCH_BEGINS_AFTER) == b"1"


def test_nothing_is_written_where_somebody_else_was_at_work(partition: Any) -> None:
    partition.call(partition.entry("g"))
    partition.store.hset(keys.meta(P), fields.PROGRESS, PROGRESS)
    before = partition.store.hgetall(keys.meta(P))
    assert append(partition, PROGRESS, seq=7)[0] == b"moved"
    assert append(partition, "another", seq=1)[0] == b"moved"
    assert partition.store.hgetall(keys.meta(P)) == before
    assert len(partition.store.xrange(keys.log(P))) == 1

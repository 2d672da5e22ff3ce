"""Writing a partition's seq again."""

from typing import Any

from app.store import fields, keys
from app.store.replicas import REWRITE_SEQ
from tests.lua.conftest import P


def test_it_tells_the_place_and_changes_nothing(partition: Any) -> None:
    partition.call(partition.entry("a"), partition.entry("b"))
    before = partition.dump()
    assert partition.eval(REWRITE_SEQ, [keys.meta(P)], []) == [1, 2]
    assert partition.dump() == before


def test_where_there_is_no_head_none_is_made(partition: Any) -> None:
    partition.store.flushall()
    assert partition.eval(REWRITE_SEQ, [keys.meta(P)], []) == [b"unopened", keys.meta(P).encode()]
    partition.store.hset(keys.meta(P), fields.EPOCH, 1)
    assert partition.eval(REWRITE_SEQ, [keys.meta(P)], [])[0] == b"unopened"
    assert partition.store.hgetall(keys.meta(P)) == {b"epoch": b"1"}

"""A partition is told of changes: the latest number stays, and the latest names, on every store."""

from typing import Any

import pytest

from app.store import fields, keys
from app.store.changes import ANNOUNCE_CHANGE, missed_call, read_missed_users
from tests.lua.test_full_memory import full

P, RING = 3, 4


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.changes.RING_MAX", RING)


def announce(partition: Any, number: int, *names: str) -> int:
    return int(
        partition.eval(ANNOUNCE_CHANGE, [keys.meta(P), keys.changes(P)], [fields.PROFILES, number, RING, *names])
    )


def latest(partition: Any) -> int:
    return int(partition.store.hget(keys.meta(P), fields.PROFILES))


def missed(partition: Any, before: int) -> Any:
    call = missed_call(before, latest(partition), keys.changes(P), fields.PROFILES)
    return None if call is None else read_missed_users(partition.store.hmget(keys.changes(P), call[2:]), before)


def test_who_missed_some_changes_hears_their_names(partition: Any) -> None:
    assert announce(partition, 1, "ann") == 0
    assert announce(partition, 3, "a b", "bob") == 1
    assert latest(partition) == 3
    assert [missed(partition, before) for before in range(3)] == [("ann", "a b", "bob"), ("a b", "bob"), ("bob",)]
    announce(partition, 6, "x", "y", "z")
    assert missed(partition, 1) is None, "more than are kept"
    assert missed(partition, 2) == ("bob", "x", "y", "z")


def test_announcements_that_come_in_another_order_are_both_heard(partition: Any) -> None:
    announce(partition, 1, "ann")
    announce(partition, 3, "cid")
    assert missed(partition, 1) is None, "nobody knows yet what number 2 is"
    assert announce(partition, 2, "bob") == 3
    assert latest(partition) == 3
    assert missed(partition, 1) == ("bob", "cid")


def test_one_that_comes_very_late_takes_no_place_of_a_later_one(partition: Any) -> None:
    for number in range(2, 7):
        announce(partition, number, f"u{number}")
    announce(partition, 1, "late")
    assert missed(partition, 2) == ("u3", "u4", "u5", "u6")


def test_without_a_name_no_earlier_name_stays(partition: Any) -> None:
    announce(partition, 1, "ann")
    announce(partition, 2)
    assert missed(partition, 0) is None
    assert not partition.store.exists(keys.changes(P))
    announce(partition, 3, "bob")
    assert (missed(partition, 1), missed(partition, 2)) == (None, ("bob",))


def test_a_full_store_is_told(partition: Any) -> None:
    announce(partition, 1, "ann")
    with full(partition.store):
        assert announce(partition, 2, "bob") == 1
    assert missed(partition, 0) == ("ann", "bob")

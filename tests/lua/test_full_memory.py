"""What frees memory works while Redis is full; what needs memory is refused, and nothing of it is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.model.seal import seal_entry
from app.store import fields, keys
from app.store.apply import CallRefused
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from app.store.changes import ANNOUNCE_CHANGE
from app.store.namespace_cache import SET_IF_NEWER
from app.store.partitions import ADVANCE_FLUSHED, ROTATE_DEDUP
from app.store.visibility import CLEAR_USER_STATE, SET_USER_STATE

P = 3
NOW = 1_700_000_000_000_000  # 2023-11-14
DAY = "2023-11-14"
DAY_US = 86_400_000_000


@contextmanager
def full(store: Any) -> Iterator[bool]:
    """A store without memory; False where it knows no such bound (fakeredis)."""
    bounded = type(store).__module__.startswith("redis")
    if bounded:
        store.config_set("maxmemory", 1)
    try:
        yield bounded
    finally:
        if bounded:
            store.config_set("maxmemory", 0)


def flush(partition: Any, seq: int, keep_seq: int, entries_max: int = 0) -> Any:
    args = [1, seq, 1 if keep_seq else 0, keep_seq, entries_max]
    return partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], args)


def log(partition: Any) -> list[bytes]:
    return [name for name, _ in partition.store.xrange(keys.log(P))]


def test_a_flush_records_and_trims(partition: Any) -> None:
    for i in range(5):
        partition.call(partition.entry(f"g{i}"))
    with full(partition.store) as bounded:
        if bounded:
            by_name = (
                r"Redis takes no writes: Redis is full: it uses \d+\.\d MiB, its maxmemory is 0\.0 MiB; raise maxmemory"
            )
            with pytest.raises(CallRefused, match=by_name):
                partition.call(partition.entry("more"))
            with pytest.raises(CallRefused, match=by_name):
                partition.call()
        assert flush(partition, 4, 0) == 1
        assert partition.store.hget(keys.meta(P), "flushed") == b"1-4"
        assert flush(partition, 5, 5) == 1
        assert log(partition) == [b"1-4", b"1-5"], "trimmed behind what was flushed before this call"
        assert flush(partition, 5, 5) == 1
        assert log(partition) == [b"1-5"]
        assert flush(partition, 6, 0) == 0
    assert partition.codes(partition.entry("more")) == ["applied"]


def test_the_tail_goes_while_memory_is_short(partition: Any) -> None:
    """What the ledger has is trimmed, although nobody asks for it; what it lacks stays."""
    for i in range(5):
        partition.call(partition.entry(f"g{i}"))
    assert flush(partition, 3, 0) == 1
    assert len(log(partition)) == 5
    with full(partition.store) as bounded:
        assert flush(partition, 4, 0) == 1
        assert log(partition) == [b"1-3", b"1-4", b"1-5"] if bounded else len(log(partition)) == 5
        assert flush(partition, 4, 0) == 1
        assert log(partition) == [b"1-4", b"1-5"] if bounded else len(log(partition)) == 5
    assert partition.codes(partition.entry("more")) == ["applied"]


def test_nothing_goes_that_an_older_ledger_lacks(partition: Any) -> None:
    """Postgres came back older: it has less than what was recorded before, and gets the rest from the log."""
    for i in range(6):
        partition.call(partition.entry(f"g{i}"))
    assert flush(partition, 5, 0) == 1
    with full(partition.store) as bounded:
        assert flush(partition, 3, 0) == 1
        assert log(partition)[0] == (b"1-3" if bounded else b"1-1")
    assert flush(partition, 3, 0, entries_max=1) == 1
    assert log(partition) == [b"1-3", b"1-4", b"1-5", b"1-6"]
    assert flush(partition, 3, 5) == 1
    assert log(partition)[0] == b"1-3"
    assert partition.store.hget(keys.meta(P), "flushed") == b"1-5"
    assert flush(partition, 6, 0, entries_max=1) == 1


def test_memory_that_is_not_short_trims_nothing(partition: Any) -> None:
    store = partition.store
    for i in range(5):
        partition.call(partition.entry(f"g{i}"))
    bounded = type(store).__module__.startswith("redis")
    if bounded:
        store.config_set("maxmemory", 2 * int(store.info("memory")["used_memory"]))
    try:
        assert [flush(partition, 5, 0), flush(partition, 5, 0)] == [1, 1]
    finally:
        if bounded:
            store.config_set("maxmemory", 0)
    assert len(log(partition)) == 5


@pytest.mark.parametrize(
    ("flushed", "entries_max", "first"), [(0, 2, 1), (3, 2, 3), (5, 2, 4), (5, 0, 1), (5, 9, 1), (4, 3, 3)]
)
def test_a_log_that_is_too_long_loses_what_the_ledger_has(
    partition: Any, flushed: int, entries_max: int, first: int
) -> None:
    """The last entry that the ledger has stays too: by it a log is compared with the ledger."""
    for i in range(5):
        partition.call(partition.entry(f"g{i}"))
    for _ in range(2):
        assert flush(partition, flushed, 0, entries_max) == 1
    assert log(partition) == [b"1-%d" % seq for seq in range(first, 6)]


def test_a_sealed_window_leaves_a_full_store(partition: Any) -> None:
    window = partition.space.calendar.find(DAY, NOW)
    partition.call(partition.entry("g1"), seal_entry(partition.space, window))
    names = [kind(P, 7, DAY) for kind in (keys.board, keys.tie_prefixes, keys.distinct_scores)]
    with full(partition.store):
        assert partition.eval(EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7), *names], [DAY, len(names), DAY, 9]) == 1
    assert not partition.store.exists(names[0])
    assert partition.store.exists(keys.board(P, 7, "all"))


def test_seen_generations_leave_a_full_store(partition: Any) -> None:
    partition.call(partition.entry("g1"))
    flush(partition, 1, 0)
    generations = "1"
    for newest in (2, 3):
        partition.store.hset(keys.meta(P), fields.NEWEST_BEGAN, 1)
        args = [1, generations, DAY_US, 1_000_000]
        with full(partition.store):
            assert partition.eval(ROTATE_DEDUP, [keys.meta(P), keys.dedup(P, newest - 1), keys.dedup(P, 1)], args) == 1
        generations = partition.store.hget(keys.meta(P), "generations").decode()
    assert generations == "3,2"
    assert not partition.store.exists(keys.dedup(P, 1))


def test_a_generation_never_begins_before_the_entries_that_are_there(partition: Any) -> None:
    """A clock that was put back would make grants look younger than the oldest generation, and count them twice."""
    at = NOW * 2
    partition.store.hset(keys.meta(P), mapping={fields.CLOCK: at, fields.NEWEST_BEGAN: 1})
    args = [1, "1", DAY_US, 1_000_000]
    assert partition.eval(ROTATE_DEDUP, [keys.meta(P), keys.dedup(P, 1), keys.dedup(P, 1)], args) == 1
    assert int(float(partition.store.hget(keys.meta(P), fields.COMPLETE_SINCE + "2"))) == at


def test_a_deletion_is_published_to_a_full_store(partition: Any) -> None:
    store = partition.store
    store.hset(keys.DIRECTORY, "race", "3 {}")
    user = "otter"
    partition.eval(SET_USER_STATE, [keys.hidden(P), keys.meta(P)], [user, 5, "hidden", 1])
    with full(store) as bounded:
        assert partition.eval(SET_IF_NEWER, [keys.DIRECTORY], ["race", "4 null"]) == 1
        assert partition.eval(SET_IF_NEWER, [keys.rules(P)], ["7", "9"]) == 1
        assert partition.eval(ANNOUNCE_CHANGE, [keys.meta(P), keys.changes(P)], ["changes", 1, 4]) == 0
        assert partition.eval(CLEAR_USER_STATE, [keys.hidden(P), keys.meta(P)], [user, 5]) == 1
        if bounded:
            with pytest.raises(Exception, match="maxmemory"):
                partition.eval(SET_IF_NEWER, [keys.DIRECTORY], ["other", "1 {}"])
    assert store.hgetall(keys.DIRECTORY) == {b"race": b"4 null"}
    assert partition.codes(partition.entry("g1")) == ["stale_rules"]


def test_making_room_takes_away_nothing_of_anybody(partition: Any) -> None:
    """Namespaces and users may be called as they like; one is never called by the empty text."""
    store = partition.store
    for key in (keys.DIRECTORY, keys.PROFILES, keys.profiles_in(P, 7)):
        store.hset(key, mapping={"probe": "1 {}", "race": "3 {}"})
        assert partition.eval(SET_IF_NEWER, [key], ["race", "4 {}"]) == 1
    for key in (keys.DIRECTORY, keys.PROFILES, keys.profiles_in(P, 7)):
        assert store.hget(key, "probe") == b"1 {}"

"""What the log and the ids may take of Redis, and how long that lasts."""

from math import inf

import pytest

from app.store.capacity import DEDUP_ID_BYTES, LOG_ENTRY_BYTES, RATE_S, Capacity, StoreBounds, split
from app.store.store_use import NodeMemory, PartitionUse

MIB = 1 << 20
BOUNDS = StoreBounds(log_bytes=100 * MIB, log_entries=None, dedup_bytes=100 * MIB, dedup_s=86_400)
ENTRY, ID = 200, 100  # bytes, as these partitions measure


def use(*, seq: int = 0, lag: int = 0, entries: int | None = None, ids: int = 0) -> PartitionUse:
    """A partition. entries: of its log, those that the ledger lacks if not told."""
    count = lag if entries is None else entries
    return PartitionUse(seq, lag, count, count * ENTRY, ids, ids * ID)


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def capacity(*uses: PartitionUse, bounds: StoreBounds = BOUNDS, nodes: tuple[NodeMemory, ...] = ()) -> Capacity:
    """What a process knows that has measured once."""
    one = Capacity(bounds, len(uses), Clock())
    one.note(list(uses), list(nodes))
    return one


@pytest.mark.parametrize(
    "uses", [[0, 0, 0, 0], [10, 0, 30, 0], [12.5, 12.5, 12.5, 12.5], [62.5, 0, 0, 0], [40, 20, 0, 0]]
)
def test_whoever_grows_to_its_bound_leaves_the_others_their_part(uses: list[float]) -> None:
    for i, bound in enumerate(split(100, uses)):
        assert bound >= 12.5
        filled = [bound if i == j else one for j, one in enumerate(uses)]
        assert sum(max(12.5, one) for one in filled) <= 100
        assert all(after >= 12.5 for after in split(100, filled))


def test_one_alone_takes_its_part_and_all_that_is_shared() -> None:
    assert split(100, [62.5, 0, 0, 0]) == [62.5, 12.5, 12.5, 12.5]
    assert split(100, [90, 0, 0, 0]) == [90, 12.5, 12.5, 12.5], "more than its bound: nothing is free"


def test_before_a_measurement_the_bounds_are_those_of_an_empty_store() -> None:
    one = Capacity(BOUNDS, 2)
    assert one.log_entries(0) == int(75 * MIB / LOG_ENTRY_BYTES)
    assert one.dedup_ids(0) == int(37.5 * MIB / DEDUP_ID_BYTES)
    assert one.lines() == [f"the log takes {one.log_entries(0):,} more entries", "grant ids are remembered for 24 h"]
    assert one.warnings() == []


def test_entries_are_counted_by_the_bytes_that_they_take() -> None:
    one = capacity(use(lag=1000), use())
    assert one.log_entries(0) == 75 * MIB // ENTRY
    heavy = capacity(PartitionUse(1000, 1000, 1000, 1000 * 2500, 0, 0), use())
    assert heavy.log_entries(0) == 75 * MIB // 2500


def test_entries_that_the_ledger_has_take_nothing_from_the_others() -> None:
    one = capacity(use(lag=0, entries=400_000), use())
    assert one.log_entries(1) == int(75 * MIB / LOG_ENTRY_BYTES)
    assert one.log_length(1) < one.log_entries(1), "but of their tails"


def test_tails_give_way_where_all_logs_are_too_long() -> None:
    one = capacity(use(lag=300_000), use(entries=300_000))
    assert one.log_length(1) == 25 * MIB // ENTRY


def test_a_number_of_entries_bounds_too() -> None:
    bounds = StoreBounds(log_bytes=100 * MIB, log_entries=40, dedup_bytes=MIB, dedup_s=60)
    assert capacity(use(), use(), bounds=bounds).log_entries(1) == 40


def test_a_generation_takes_half_of_what_a_partition_may_remember() -> None:
    assert capacity(use(ids=1000), use()).dedup_ids(0) == 75 * MIB // 2 // ID
    full = capacity(use(ids=MIB * 75 // ID), use())
    assert full.dedup_ids(1) == int(25 * MIB / 2 / DEDUP_ID_BYTES)


def test_how_long_it_lasts_goes_by_the_rate_of_the_last_minute() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 2, clock)
    one.note([use(seq=5, lag=5), use()], [])
    assert one.log_duration() is None
    for minute, seq in ((1, 605), (2, 60_605), (3, 6_000_605), (4, 6_000_605 + 120 * 60)):
        clock.now = minute * RATE_S
        one.note([use(seq=seq, lag=1000, ids=1000), use(seq=3)], [])
    log, ids = one.log_duration(), one.dedup_duration()
    assert log is not None
    assert ids is not None
    assert (log.partition, log.rate) == (0, 120)
    assert log.seconds == (75 * MIB // ENTRY - 1000) / 120
    assert ids.seconds == (75 * MIB // 2 // ID) / 120
    assert one.lines() == [
        "the log of partition 0 lasts 54 min at 120 entries/s",
        "grant ids of partition 0 are remembered for 55 min at 120 entries/s",
    ]
    assert one.warnings() == [
        "the log of partition 0 lasts 54 min at 120 entries/s (LEADERBOARD_LOG_BYTES_MAX), and should last 60 min"
    ]


def test_a_burst_is_not_the_rate() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 1, clock)
    one.note([use()], [])
    clock.now = 1.0
    one.note([use(seq=600, lag=600)], [])
    log = one.log_duration()
    assert log is not None
    assert log.rate == 10


def test_a_store_that_came_back_older_has_no_rate() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 1, clock)
    one.note([use(seq=600)], [])
    clock.now = RATE_S
    one.note([use(seq=5)], [])
    assert one.log_duration() is None


def test_a_partition_whose_node_is_away_stays_as_it_was() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 2, clock)
    one.note([use(seq=600, lag=5), use(seq=6)], [])
    bound = one.log_entries(0)
    for _ in range(2):
        clock.now += RATE_S
        one.note([None, use(seq=6)], [])
    clock.now += RATE_S
    one.note([use(seq=660, lag=5), use(seq=6)], [])
    assert one.log_entries(0) == bound
    log = one.log_duration()
    assert log is not None
    assert (log.partition, log.rate) == (0, 1)


def test_a_partition_that_is_measured_late_has_no_rate_yet() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 1, clock)
    one.note([None], [])
    clock.now = RATE_S
    one.note([use(seq=600_000)], [])
    assert one.log_duration() is None


def test_ids_are_remembered_no_longer_than_the_settings_say() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 1, clock)
    one.note([use()], [])
    clock.now = RATE_S
    one.note([use(seq=60)], [])
    assert one.dedup_duration() == (86_400, 0, 1.0)


def test_a_rate_that_makes_every_grant_look_old_is_a_warning() -> None:
    clock = Clock()
    one = Capacity(BOUNDS, 1, clock)
    one.note([use()], [])
    clock.now = RATE_S
    one.note([use(seq=60 * 2000, lag=0, ids=1000)], [])
    (text,) = [line for line in one.warnings() if "LEADERBOARD_DEDUP_BYTES_MAX" in line]
    assert text.startswith("grant ids of partition 0 are remembered for 4 min at 2,000 entries/s")


@pytest.mark.parametrize(
    ("used", "most", "line", "warnings"),
    [
        (300 * MIB, 0, "Redis at a:1 uses 300.0 MiB, without a maxmemory", 0),
        (300 * MIB, 2048 * MIB, "Redis at a:1 uses 300.0 MiB of 2.0 GiB (maxmemory)", 0),
        (1900 * MIB, 2048 * MIB, "Redis at a:1 uses 1.9 GiB of 2.0 GiB (maxmemory)", 1),
        (1 * MIB, 100 * MIB, "Redis at a:1 uses 1.0 MiB of 100.0 MiB (maxmemory)", 1),
    ],
    ids=["no bound", "enough", "nearly full", "less than the settings"],
)
def test_the_memory_of_a_node(used: int, most: int, line: str, warnings: int) -> None:
    one = capacity(use(), nodes=(NodeMemory("a:1", used, most),))
    assert one.lines()[-1] == line
    assert len(one.warnings()) == warnings


def test_unknown_sizes_are_no_bound() -> None:
    """An ACL may deny MEMORY USAGE: then the sizes are those of plain grants."""
    one = capacity(PartitionUse(10, 10, 10, 0, 10, 0))
    assert 0 < one.log_entries(0) < inf
    assert one.dedup_ids(0) > 1

"""Quotas of a namespace: who is refused, with what, and that nothing of a refused grant is written."""

from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.seal import seal_entry
from app.store import fields, keys
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from app.store.partitions import ADVANCE_FLUSHED
from app.store.visibility import DELETE_USER_VALUES

P = 3
NOW = 1_700_000_000_000_000
DAY_US = 86_400_000_000


def count(partition: Any, field: str, ns: int = 7) -> int:
    return int(partition.store.hget(keys.namespace(P, ns), field) or 0)


def versions(partition: Any) -> int:
    return sum(name.startswith(b"v:") for name in partition.store.hkeys(keys.namespace(P, 7)))


def another(partition: Any, name: str = "other", ns: int = 8) -> Namespace:
    partition.store.hset(keys.rules(P), str(ns), "1")
    return Namespace(ns, name, P, 1, partition.space.rules)


def test_a_namespace_takes_so_many_users_and_no_more(partition: Any) -> None:
    grants = [partition.entry(f"g{i}", user=f"u{i % 3}") for i in range(6)]
    codes = partition.codes(*grants, users=2)
    assert codes == ["applied", "applied", "too_many_users", "applied", "applied", "too_many_users"]
    before = partition.dump()
    (refused,) = partition.call(partition.entry("more", user="u9"), users=2)
    assert (refused.code, refused.detail) == ("too_many_users", "2 (LEADERBOARD_NAMESPACE_USERS_MAX)")
    assert partition.codes(partition.entry("a", user="u0"), partition.entry("b", user="u9"), atomic=True, users=2) == [
        "unapplied",
        "too_many_users",
    ]
    assert partition.dump() == before
    assert partition.codes(partition.entry("g0", user="u0"), users=2) == ["duplicate"]
    assert partition.codes(partition.entry("more", user="u9"), users=3) == ["applied"]
    assert count(partition, fields.USER_COUNT) == 3


def test_users_of_before_they_were_counted_are_those_on_the_board(partition: Any) -> None:
    partition.call(*(partition.entry(f"g{i}", user=f"u{i}") for i in range(3)))
    partition.store.hdel(keys.namespace(P, 7), fields.USER_COUNT, fields.BOARD_COUNT)
    assert partition.codes(partition.entry("x", user="u9"), users=3) == ["too_many_users"]
    assert partition.codes(partition.entry("y", user="u1", at=NOW - DAY_US), users=3, boards=9) == ["applied"]
    assert count(partition, fields.BOARD_COUNT) == versions(partition) == 5
    assert partition.codes(partition.entry("x", user="u9"), users=4) == ["applied"]
    assert count(partition, fields.USER_COUNT) == 4


def test_a_user_who_is_forgotten_gives_room_back(partition: Any) -> None:
    partition.call(partition.entry("g1", user="ann"), partition.entry("g2", user="bob"))
    names = [keys.balances(P, 7) + "ann", keys.days(P, 7) + "ann", keys.namespace(P, 7)]
    assert [partition.eval(DELETE_USER_VALUES, names, []) for _ in range(2)] == [1, 0]
    assert count(partition, fields.USER_COUNT) == 1
    assert partition.codes(partition.entry("g3", user="cleo"), users=2) == ["applied"]


def test_a_namespace_opens_so_many_boards_and_no_more(partition: Any) -> None:
    today, before_that = partition.entry("g1"), partition.entry("g2", at=NOW - DAY_US)
    assert partition.codes(today, before_that, boards=4) == ["applied", "too_many_boards"]
    assert count(partition, fields.BOARD_COUNT) == versions(partition) == 4
    before = partition.dump()
    (refused,) = partition.call(before_that, boards=4)
    assert (refused.code, refused.detail) == ("too_many_boards", "4 (LEADERBOARD_NAMESPACE_BOARDS_MAX)")
    assert partition.dump() == before
    assert partition.codes(partition.entry("g3", user="heron"), boards=4) == ["applied"]
    assert partition.codes(before_that, boards=5) == ["applied"]
    assert count(partition, fields.BOARD_COUNT) == versions(partition) == 5


def test_within_one_call_boards_are_counted_too(partition: Any) -> None:
    days = [partition.entry(f"g{i}", at=NOW - i * DAY_US) for i in (0, 1, 0, 2)]
    days[2] = partition.entry("again", user="heron")
    assert partition.codes(*days, boards=5) == ["applied", "applied", "applied", "too_many_boards"]
    assert count(partition, fields.BOARD_COUNT) == versions(partition) == 5


def test_an_archived_window_gives_room_back(partition: Any) -> None:
    window = partition.space.calendar.find("2023-11-14", NOW)
    partition.call(partition.entry("g1"), seal_entry(partition.space, window))
    assert count(partition, fields.BOARD_COUNT) == 4
    for _ in range(2):
        args = ["2023-11-14", 1, "2023-11-14", 0]
        assert partition.eval(EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7), keys.board(P, 7, "2023-11-14")], args) == 1
        assert count(partition, fields.BOARD_COUNT) == versions(partition) == 3
    assert partition.codes(partition.entry("g2", at=NOW - DAY_US), boards=4) == ["applied"]


def test_one_namespace_leaves_room_in_the_log_for_the_others(partition: Any) -> None:
    hog, other = partition.space, another(partition)
    grants = [partition.entry(f"g{i}") for i in range(30)]
    bounds = {"log_entries": 40, "share_entries": 20}
    codes = [partition.codes(grant, **bounds)[0] for grant in grants]
    # Half a share is counted from when half a share waits.
    assert codes == ["applied"] * 20 + ["log_share"] * 10
    before = partition.dump()
    assert partition.codes(*grants[19:22], atomic=True, **bounds) == ["duplicate", "log_share", "log_share"]
    assert partition.dump() == before
    partition.space = other
    assert partition.codes(*(partition.entry(f"h{i}") for i in range(9)), **bounds) == ["applied"] * 9
    partition.space = hog
    assert partition.codes(partition.entry("more"), **bounds) == ["log_share"]
    assert partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], [1, 20, 0, 0, 0]) == 1
    assert partition.codes(partition.entry("more"), **bounds) == ["applied"], "less than half a share waits"
    assert partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], [1, 30, 0, 0, 0]) == 1
    assert [partition.codes(partition.entry(f"k{i}"), **bounds)[0] for i in range(21)] == [
        *["applied"] * 20,
        "log_share",
    ]


def test_a_namespace_that_waits_for_others_entries_is_not_refused_for_its_own_of_before(partition: Any) -> None:
    hog, other = partition.space, another(partition)
    bounds = {"log_entries": 100, "share_entries": 20}
    partition.call(*(partition.entry(f"g{i}") for i in range(15)), **bounds)
    assert partition.codes(*(partition.entry(f"x{i}") for i in range(11)), **bounds)[-1] == "log_share"
    partition.space = other
    for i in range(9):
        partition.call(partition.entry(f"o{i}"), **bounds)
    seq = int(partition.store.hget(keys.meta(P), "seq"))
    flushed = seq - 9
    assert partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], [1, flushed, 0, 0, 0]) == 1
    partition.call(*(partition.entry(f"p{i}") for i in range(9)), **bounds)
    partition.space = hog
    assert partition.codes(partition.entry("now"), **bounds) == ["applied"], "all of its own are in the ledger"


def test_a_namespace_alone_takes_all_of_the_log(partition: Any) -> None:
    grants = [partition.entry(f"g{i}") for i in range(12)]
    codes = [partition.codes(grant, log_entries=10, share_entries=4)[0] for grant in grants]
    assert codes == ["applied"] * 10 + ["log_full"] * 2


def test_the_share_holds_for_quarantine_too_and_for_no_seal(partition: Any) -> None:
    another(partition)
    partition.space = Namespace(7, "race", P, 1, Rules(amount_max=9, suspicious="quarantine"))
    bounds = {"log_entries": 40, "share_entries": 8}
    codes = [partition.codes(partition.entry(f"g{i}", amount=10), **bounds)[0] for i in range(9)]
    assert codes == ["quarantined"] * 8 + ["log_share"]
    window = partition.space.calendar.find("2023-11-14", NOW)
    assert partition.codes(seal_entry(partition.space, window), users=1, boards=1, **bounds) == ["applied"]


@pytest.mark.parametrize("field", [fields.USER_COUNT, fields.BOARD_COUNT])
def test_a_count_that_is_none_is_met_before_the_first_write(partition: Any, field: str) -> None:
    partition.store.hset(keys.namespace(P, 7), field, "abc")
    before = partition.dump()
    assert partition.codes(partition.entry("g1")) == ["corrupt"]
    assert partition.dump() == before

"""The times that decide where the aggregation is `latest`: beside each board and beside each label, moved by the script
alone, against a plain replay."""

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from app.model.entry import PlannedEntry
from app.model.entry_kinds import BACKFILL, CORRECTION, HEAL
from app.model.namespace import Namespace, Rules
from app.model.seal import seal_entry
from app.model.visibility import ERASE, HIDE, UNHIDE
from app.store import keys
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from tests.lua.conftest import NOW, P
from tests.lua.test_stats import veil
from tests.support.ops_text import cell_ops

DAY, HOUR = "2023-11-14", 3_600_000_000
LABELS = {b"c": "category", b"s": "source"}


def latest(partition: Any, **rules: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(aggregation="latest", **rules))


def times_of(partition: Any, user: str) -> dict[str, tuple[int, int]]:
    """By board and label: the number and its time, of one who is shown."""
    sign, times = partition.space.sign, {}
    for key in partition.store.keys(keys.grant_times(P, 7, "*")):
        board = key.decode().split(":", 4)[4]
        time = partition.store.hget(key, user)
        score = partition.store.zscore(keys.board(P, 7, board), user)
        assert (time is None) == (score is None), board
        if time is not None:
            times[board] = int(score) * sign, int(time)
    balances = partition.store.hgetall(keys.balances(P, 7) + user)
    for name, value in balances.items():
        if name[:2] in (b"c:", b"s:"):
            times[name.decode()] = int(value), int(balances[b"g" + name])
    assert sum(name[:1] == b"g" for name in balances) == sum(name[:2] in (b"c:", b"s:") for name in balances)
    return times


def replayed(entries: list[PlannedEntry]) -> dict[str, tuple[int, int]]:
    """The same of grants in the order of the log."""
    times: dict[str, tuple[int, int]] = {}
    for entry in entries:
        labels = [label for label in entry.labels if not label.startswith("d:")]
        for cell in (*entry.boards, *labels):
            if cell not in times or entry.body.granted_at >= times[cell][1]:
                times[cell] = entry.body.entry_amount, entry.body.granted_at
    return times


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("tie_break", ["none", "earliest"])
def test_grants_in_any_order_need_no_ledger(partition: Any, order: str, tie_break: str) -> None:
    latest(partition, order=order, streaks=True, category_boards=True)
    random = Random(order + tie_break)
    entries = []
    for i in range(240):
        fields = {name: random.choice([None, "red", "blue"]) for name in ("category", "source")}
        at = NOW - random.randrange(40) * 6 * HOUR
        entries.append(partition.entry(f"g{i}", random.choice(["otter", "hare"]), random.randrange(99), at, **fields))
    for first in range(0, len(entries), 40):
        assert set(partition.codes(*entries[first : first + 40])) == {"applied"}
    for user in ("otter", "hare"):
        assert times_of(partition, user) == replayed([entry for entry in entries if entry.body.user == user])


def test_equal_moments_go_to_the_later_entry(partition: Any) -> None:
    latest(partition)
    first, second = partition.call(partition.entry("g1", amount=5), partition.entry("g2", amount=3))
    assert (first.score, second.score, second.previous) == (5, 3, 5)
    (late,) = partition.call(partition.entry("g3", amount=9, at=NOW - 1))
    assert (late.code, late.score, late.previous) == ("applied", 3, 3)


def test_moments_before_1970_and_far_ahead_are_distinguished(partition: Any) -> None:
    latest(partition, accept_past=None, accept_future=None, periods=("all",))
    far, ago = 8_993_000_000_000_000, -2_208_988_800_000_000
    for amount, (at, score) in enumerate(((ago, 0), (-1, 1), (-2, 1), (far - 1, 3), (far, 4), (far - 1, 4))):
        (outcome,) = partition.call(partition.entry(f"g{amount}", amount=amount, at=at))
        assert (outcome.code, outcome.score) == ("applied", score), at
    assert partition.store.hget(keys.grant_times(P, 7, "all"), "otter") == b"8993000000000000"


def test_a_correction_carries_values_and_times(partition: Any) -> None:
    latest(partition)
    grant = partition.entry("g1", category="red", source="race")
    partition.call(grant, partition.entry("g2", "hare", 3))
    ops = f"w1=2@{NOW - 9}w2=2@{NOW - 9}w3=9@-5w4xl1=4@{NOW - 3}l2xa={NOW - 9}"
    changed = replace(partition.entry("x", amount=0), kind=CORRECTION, labels=grant.labels, ops=cell_ops(ops))
    assert partition.codes(changed) == ["applied"]
    assert times_of(partition, "otter") == {
        "all": (2, NOW - 9),
        "2023-11": (2, NOW - 9),
        "2023-W46": (9, -5),
        "c:red": (4, NOW - 3),
    }
    assert partition.codes(partition.entry("g3", amount=7, at=NOW - 4, category="red")) == ["applied"]
    assert times_of(partition, "otter")["c:red"] == (4, NOW - 3)
    assert times_of(partition, "otter")["all"] == times_of(partition, "otter")[DAY] == (7, NOW - 4)
    assert set(times_of(partition, "hare").values()) == {(3, NOW)}


def test_times_stay_while_a_user_is_hidden_and_go_with_an_erased_one(partition: Any) -> None:
    latest(partition, tie_break="earliest", ranking="dense")
    partition.call(partition.entry("g1", amount=5), partition.entry("g2", "hare", 3))
    times = keys.grant_times(P, 7, "all")
    veil(partition, 1, "otter", HIDE)
    assert int(partition.store.hget(times, "otter")) == NOW
    (late,) = partition.call(partition.entry("g3", amount=9, at=NOW - 1))
    assert (late.score, late.previous) == (5, 5)
    (newer,) = partition.call(partition.entry("g4", amount=2, at=NOW + 1))
    assert (newer.score, int(partition.store.hget(times, "otter"))) == (2, NOW + 1)
    veil(partition, 2, "otter", UNHIDE)
    (late,) = partition.call(partition.entry("g5", amount=9))
    assert late.score == 2
    veil(partition, 3, "otter", ERASE)
    for board in ("all", "2023-11", "2023-W46", DAY):
        assert partition.store.hkeys(keys.grant_times(P, 7, board)) == [b"hare"]
    back = replace(partition.entry("heal", amount=0), kind=HEAL, ops=cell_ops(f"w1=4@{NOW}"))
    assert partition.codes(back) == ["applied"]
    assert partition.store.hkeys(times) == [b"hare"]


def test_behind_a_seal_each_open_board_goes_by_its_own_time(partition: Any) -> None:
    latest(partition)
    partition.call(
        partition.entry("g1", amount=5), seal_entry(partition.space, partition.space.calendar.find(DAY, NOW))
    )
    sealed = partition.store.hgetall(keys.grant_times(P, 7, DAY))
    partition.call(partition.entry("g2", amount=8, at=NOW - 30 * 24 * HOUR))
    late = replace(partition.entry("g3", amount=9, at=NOW - 1), kind=BACKFILL)
    newer = replace(partition.entry("g4", amount=6, at=NOW + 1), kind=BACKFILL)
    assert [(o.code, o.score) for o in partition.call(late, newer)] == [("applied", 5), ("applied", 6)]
    assert times_of(partition, "otter")["2023-11"] == (6, NOW + 1)
    assert times_of(partition, "otter")["2023-10"] == (8, NOW - 30 * 24 * HOUR)
    assert partition.store.hgetall(keys.grant_times(P, 7, DAY)) == sealed
    names = [kind(P, 7, DAY) for kind in (keys.board, keys.tie_prefixes, keys.distinct_scores, keys.grant_times)]
    assert partition.eval(EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7), *names], [DAY, len(names), DAY, 0]) == 1
    partition.call(replace(partition.entry("g5", amount=7, at=NOW + 2), kind=BACKFILL))
    assert not partition.store.exists(keys.grant_times(P, 7, DAY))
    assert times_of(partition, "otter")["all"] == (7, NOW + 2)


@pytest.mark.parametrize("planted", ["type", "board", "label"])
def test_a_time_that_is_none_is_met_before_the_first_write(partition: Any, planted: str) -> None:
    latest(partition)
    partition.call(partition.entry("g1", category="red"))
    if planted == "type":
        partition.store.delete(keys.grant_times(P, 7, DAY))
        partition.store.set(keys.grant_times(P, 7, DAY), "x")
    elif planted == "board":
        partition.store.hset(keys.grant_times(P, 7, DAY), "otter", "1.5")
    else:
        partition.store.hset(keys.balances(P, 7) + "otter", "gc:red", "x")
    before = partition.dump()
    assert partition.codes(partition.entry("g2", category="red")) == ["corrupt"]
    assert partition.dump() == before


def test_a_time_that_is_lost_is_no_newer_than_the_last_grant(partition: Any) -> None:
    """`verify` names it; until then nothing older than everything takes the place of what counts."""
    latest(partition)
    partition.call(partition.entry("g1", amount=5))
    partition.store.delete(keys.grant_times(P, 7, "all"))
    (late,) = partition.call(partition.entry("g2", amount=9, at=NOW - 1))
    assert (late.code, late.score) == ("applied", 5)
    (newer,) = partition.call(partition.entry("g3", amount=7, at=NOW))
    assert (newer.score, times_of(partition, "otter")["all"]) == (7, (7, NOW))


@pytest.mark.parametrize("aggregation", ["sum", "best"])
def test_no_other_aggregation_has_times(partition: Any, aggregation: str) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(aggregation=aggregation))  # type: ignore[arg-type]
    partition.call(partition.entry("g1", category="red"), partition.entry("g2", at=NOW - 1))
    assert partition.store.keys(keys.grant_times(P, 7, "*")) == []
    assert not any(name.startswith(b"g") for name in partition.store.hkeys(keys.balances(P, 7) + "otter"))

"""A board's sums, as apply.lua keeps them and read_board_stats.lua reads them, against Python's own integers."""

from fractions import Fraction
from math import ceil
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from app.model.entry import PlannedEntry
from app.model.entry_kinds import BACKFILL, CORRECTION, HEAL
from app.model.errors import Invalid
from app.model.namespace import Namespace, Rules
from app.model.ops import CellOps, DeleteCell, SetCell
from app.model.score import UNITS_MAX
from app.model.seal import seal_entry
from app.model.stats import PERCENTS, Percentiles, ScoreSums, Statistics, parse_percentile_list
from app.model.views import ALL_SCORES, ScoreBounds
from app.model.visibility import ERASE, HIDE, UNHIDE, VisibilityIntent, visibility_entries
from app.store import keys
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from app.store.stats_reader import READ_BOARD_STATS, read_stats, stats_call
from app.store.visibility import SET_USER_STATE, state_call
from tests.support.ops_text import cell_ops

P = 3
NOW = 1_700_000_000_000_000
WINDOWS = ("all", "2023-11", "2023-W46", "2023-11-14")
DAY = WINDOWS[-1]
USERS = [f"u{i}" for i in range(12)]


def stats(
    partition: Any,
    board: str = "all",
    bounds: ScoreBounds = ALL_SCORES,
    bins: int = 0,
    percents: Percentiles = PERCENTS,
) -> Statistics:
    call: list[Any] = list(stats_call(partition.space, board, bounds, bins, percents))
    return read_stats(
        partition.eval(READ_BOARD_STATS, call[3 : 3 + call[2]], call[3 + call[2] :]), partition.space.sign, percents
    )


def scores(partition: Any, board: str = "all") -> list[int]:
    members = partition.store.zrange(keys.board(P, 7, board), 0, -1, withscores=True)
    return sorted(partition.space.sign * int(score) for _, score in members)


def sums(scores: list[int]) -> ScoreSums:
    return ScoreSums(sum(scores), sum(score * score for score in scores))


def veil(partition: Any, version: int, user: str, desired_state: str) -> None:
    call: list[Any] = list(state_call(P, VisibilityIntent(1, user, version, desired_state, None)))
    partition.eval(SET_USER_STATE, call[3 : 3 + call[2]], call[3 + call[2] :])
    entries = list(
        visibility_entries(partition.space, VisibilityIntent(1, user, version, desired_state, None), WINDOWS)
    )
    assert set(partition.codes(*entries)) == {"applied"}


def some_entries(partition: Any, random: Random, tag: str, most: int) -> list[PlannedEntry]:
    """Grants and corrections of a few users, some of them with two targets."""
    bundle = []
    for i in range(random.choice([1, 3, 20])):
        user, amount = random.choice(USERS), random.choice([random.randint(-most, most), most, -most, 0, 1])
        entry = partition.entry(f"{tag}-{i}", user=user, amount=amount, category=random.choice(["red", None]))
        if random.random() < 0.3:
            gone = random.random() < 0.3
            places = range(1, len(entry.boards) + 1)
            entry.kind = CORRECTION
            entry.ops = CellOps(tuple(DeleteCell(k) if gone else SetCell(k, amount) for k in places))
        if random.random() < 0.3:
            entry.boards = ("all",)  # a user comes with two targets
            entry.ops = None if entry.ops is None else CellOps((SetCell(1, amount),))
        bundle.append(entry)
    return bundle


RULES: list[dict[str, Any]] = [
    {},
    {"order": "asc", "tie_break": "earliest"},
    {"ranking": "dense", "tie_break": "earliest", "category_boards": True},
    {"ranking": "dense", "order": "asc"},
    {"aggregation": "best"},
    {"aggregation": "latest", "category_boards": True},
]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("most", [5, 3_000_000, UNITS_MAX], ids=["few", "many", "most"])
def test_sums_are_those_of_the_scores_whatever_happens(partition: Any, rules: dict[str, Any], most: int) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(**rules))
    random = Random(most)
    for turn in range(30):
        bundle = some_entries(partition, random, f"g{turn}", most)
        assert {"applied"} <= {*partition.codes(*bundle), "applied"} <= {"applied", "score_overflow", "corrupt"}
        if turn % 3 == 0:
            veil(partition, turn + 1, random.choice(USERS), random.choice([HIDE, HIDE, UNHIDE]))
        if turn == 29:
            veil(partition, turn + 2, USERS[0], ERASE)
        for board in (*WINDOWS, *(f"{window}:red" for window in WINDOWS)):
            scores_there, statistics = scores(partition, board), stats(partition, board)
            assert (statistics.sums, statistics.users) == (sums(scores_there), len(scores_there)), (turn, board)
            assert (statistics.lowest, statistics.highest) == (
                (scores_there[0], scores_there[-1]) if scores_there else (None, None)
            )


def test_a_namespace_may_do_without(partition: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(statistics=False))
    partition.call(partition.entry("g1"))
    assert [field for field in partition.store.hkeys(keys.namespace(P, 7)) if field.startswith(b"t:")] == []
    assert stats(partition)[3:] == (1, 5, 5, (5, 5, 5), (), False)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_pass_every_bound_and_come_back(partition: Any, sign: int) -> None:
    """Two hundred of the greatest scores there are, on top of a board that holds billions of them already."""
    amount = 10**10 * UNITS_MAX
    partition.store.hset(keys.namespace(P, 7), "t:all", f"{sign * amount} {amount * UNITS_MAX}")
    before = partition.store.hget(keys.namespace(P, 7), "t:all")
    bundle = [partition.entry(f"g{i}", user=f"u{i}", amount=sign * (UNITS_MAX - i)) for i in range(200)]
    assert set(partition.codes(*bundle)) == {"applied"}
    added = [sign * (UNITS_MAX - i) for i in range(200)]
    squares = amount * UNITS_MAX + sum(score * score for score in added)
    assert stats(partition).sums == ScoreSums(sign * amount + sum(added), squares)
    back = [partition.entry(f"h{i}", user=f"u{i}", amount=-sign * (UNITS_MAX - i)) for i in range(200)]
    assert set(partition.codes(*back)) == {"applied"}
    assert partition.store.hget(keys.namespace(P, 7), "t:all") == before


@pytest.mark.parametrize(
    "sum_before", [-(10**15), -1, 0, 999_999, 10**6, 10**12, 10**15 - 1, 10**15, 10**16, -(10**24)]
)
@pytest.mark.parametrize("amount", [-UNITS_MAX, -7, 7, UNITS_MAX])
def test_a_sum_may_have_any_length(partition: Any, sum_before: int, amount: int) -> None:
    partition.store.hset(keys.namespace(P, 7), "t:all", f"{sum_before} {sum_before * sum_before}")
    partition.call(partition.entry("g1", amount=amount))
    assert stats(partition).sums == ScoreSums(sum_before + amount, sum_before * sum_before + amount * amount)


@pytest.mark.parametrize("planted", ["abc", "5", "5 -25", "1.5 2", "5 25 ", "1e3 5", "9" * 200 + " 1"])
@pytest.mark.parametrize("window", ["all", "2023-11"])
def test_planted_sums_that_are_none_are_met_before_the_first_write(partition: Any, planted: str, window: str) -> None:
    partition.store.hset(keys.namespace(P, 7), f"t:{window}", planted)
    before = partition.dump()
    assert partition.codes(partition.entry("g1"), partition.entry("g2", user="heron")) == ["corrupt", "corrupt"]
    assert partition.dump() == before


def test_so_many_boards_at_once(partition: Any) -> None:
    """What a call writes of a namespace is more than Lua unpacks at once."""
    bundle = [partition.entry(f"g{i}", user=f"u{i}") for i in range(5)]
    for i, entry in enumerate(bundle):
        entry.boards = ("all", *(f"season:s{k}:c{i}" for k in range(1000)))
    assert set(partition.codes(*bundle)) == {"applied"}
    assert stats(partition).sums == ScoreSums(25, 125)
    assert stats(partition, "season:s999:c4").sums == ScoreSums(5, 25)
    assert partition.store.hget(keys.namespace(P, 7), "v:season:s999:c4") == b"5"


def test_an_archived_board_leaves_its_sums(partition: Any) -> None:
    partition.call(partition.entry("g1"))
    window = partition.space.calendar.find(DAY, NOW)
    partition.call(seal_entry(partition.space, window))
    assert stats(partition, DAY).sums == ScoreSums(5, 25), "sealed, and here"
    back = replace(partition.entry("back", amount=-2), kind=HEAL, ops=cell_ops("w1+-2w2+-2w3+-2w4+-2"))
    passes = replace(partition.entry("behind", amount=4), kind=BACKFILL)
    assert partition.codes(back, passes) == ["applied", "applied"]
    assert (stats(partition, DAY).sums, stats(partition).sums) == (ScoreSums(3, 9), ScoreSums(7, 49))
    names = [kind(P, 7, DAY) for kind in (keys.board, keys.tie_prefixes, keys.distinct_scores)]
    assert partition.eval(EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7), *names], [DAY, len(names), DAY, 0]) == 1
    assert not partition.store.hexists(keys.namespace(P, 7), f"t:{DAY}")
    assert partition.store.hexists(keys.namespace(P, 7), "t:all")
    partition.call(replace(partition.entry("more"), kind=BACKFILL))
    assert not partition.store.hexists(keys.namespace(P, 7), f"t:{DAY}")


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_bounds_percents_and_bins(partition: Any, order: str) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(order=order))  # type: ignore[arg-type]
    random = Random(7)
    items = [random.choice([random.randint(-50, 50), random.randint(-UNITS_MAX, UNITS_MAX)]) for _ in range(150)]
    partition.call(*(partition.entry(f"g{i}", user=f"u{i}", amount=amount) for i, amount in enumerate(items)))
    for bounds in (
        ALL_SCORES,
        ScoreBounds(-20, 30),
        ScoreBounds(items[0], items[0]),
        ScoreBounds(5, 4),
        ScoreBounds(0, UNITS_MAX),
    ):
        for bins in (0, 1, 7, 100):
            within = sorted((s for s in items if bounds.lowest <= s <= bounds.highest), reverse=order == "asc")
            statistics = stats(partition, bounds=bounds, bins=bins)
            assert statistics.users == len(within)
            if not within:
                assert statistics[4:] == (None, None, (None,) * 3, (), False)
                continue
            assert (statistics.lowest, statistics.highest) == (min(within), max(within))
            assert statistics.percents == tuple(
                within[-(-percent * len(within) // 100) - 1] for percent in (50, 90, 99)
            )
            begins = [begin for begin, _ in statistics.bins]
            width = max(within) - min(within) + 1
            assert len(begins) == min(bins, width)
            ends = [*begins[1:], max(within) + 1] if bins else []
            for (begin, count), end in zip(statistics.bins, ends, strict=True):
                assert count == sum(begin <= score < end for score in within)
                assert (end - begin) - width // len(begins) in (0, 1)


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("users", [0, 1, 2, 5, 151])
def test_percentiles_of_any_kind(partition: Any, order: str, users: int) -> None:
    """Nearest rank as a quantile's inverse has it, interpolated as spreadsheets do (percentile.inc)."""
    partition.space = Namespace(7, "race", P, 1, Rules(order=order))  # type: ignore[arg-type]
    random = Random(users)
    scores_there = sorted((random.randint(-UNITS_MAX, UNITS_MAX) for _ in range(users)), reverse=order == "asc")
    if scores_there:
        partition.call(
            *(partition.entry(f"g{i}", user=f"u{i}", amount=amount) for i, amount in enumerate(scores_there))
        )
    named = "0,0.0001,25,33.3333,50,99.9,100"
    for interpolate in (None, "true"):
        percents = parse_percentile_list(named, interpolate)
        keys_of_percents = stats(partition, percents=percents).percents
        for name, score in zip(percents.names, keys_of_percents, strict=True):
            if not scores_there:
                assert score is None
            elif interpolate is None:
                assert score == scores_there[max(1, ceil(Fraction(name) * users / 100)) - 1], name
            else:
                place, rest = divmod(Fraction(name) / 100 * (users - 1), 1)
                low, high = scores_there[int(place)], scores_there[min(int(place) + 1, users - 1)]
                assert score == low + rest * (high - low), name


@pytest.mark.parametrize(
    ("named", "interpolate"), [("", None), ("101", None), ("50,x", None), ("1e1", None), (None, "1")]
)
def test_percentiles_that_are_none(named: str | None, interpolate: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        parse_percentile_list(named, interpolate)
    assert refused.value.field == ("?percentiles" if named is not None else "?interpolate")


def test_so_many_percentiles_at_most() -> None:
    with pytest.raises(Invalid):
        parse_percentile_list(",".join(map(str, range(21))), None)
    assert len(parse_percentile_list(",".join(["50"] * 30), None).names) == 1

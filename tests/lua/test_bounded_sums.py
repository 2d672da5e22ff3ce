"""Sums within bounds: the tree that apply.lua keeps and read_board_stats.lua reads, against Python's own integers."""

from collections import Counter
from itertools import product
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from app.model.entry_kinds import BACKFILL, HEAL
from app.model.errors import Recovering
from app.model.namespace import Namespace, Rules
from app.model.score import UNITS_MAX
from app.model.seal import seal_entry
from app.model.stats import ScoreSums
from app.model.views import ALL_SCORES, ScoreBounds
from app.model.visibility import ERASE, HIDE, UNHIDE
from app.store import keys
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from app.store.sum_tree import FAN, LEAF, LEVELS
from tests.lua.test_stats import DAY, NOW, USERS, WINDOWS, P, scores, some_entries, stats, veil
from tests.support.ops_text import cell_ops

RULES: list[dict[str, Any]] = [
    {},
    {"order": "asc", "statistics": False},
    {"ranking": "dense", "tie_break": "earliest", "category_boards": True},
    {"aggregation": "best", "order": "asc"},
    {"aggregation": "latest", "category_boards": True, "statistics": False},
]


def tree(partition: Any, board: str) -> dict[str, int]:
    nodes = partition.store.hgetall(keys.sum_tree(P, 7, board))
    return {node.decode(): int(total) for node, total in nodes.items()}


def planted_tree(scores: list[int], sign: int) -> dict[str, int]:
    """What the tree of these scores has to be: every stretch that does not add up to 0."""
    nodes: Counter[str] = Counter()
    for score, level in product(scores, range(LEVELS)):
        nodes[str(sign * score // (LEAF * FAN**level) * LEVELS + level)] += sign * score
    return {node: total for node, total in nodes.items() if total != 0}


def some_bounds(random: Random, scores: list[int], most: int) -> ScoreBounds:
    ends = [random.choice([random.randint(-most, most), random.choice(scores or [0]), 0]) for _ in range(2)]
    return ScoreBounds(min(ends), max(ends))


def total_within(scores: list[int], bounds: ScoreBounds) -> int:
    return sum(score for score in scores if bounds.lowest <= score <= bounds.highest)


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("most", [5, 3_000, 4_000_000_000_000, UNITS_MAX], ids=["few", "some", "many", "most"])
def test_any_stretch_adds_up_whatever_happens(partition: Any, rules: dict[str, Any], most: int) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(bounded_sums=True, **rules))
    random = Random(most)
    for turn in range(20):
        bundle = some_entries(partition, random, f"g{turn}", most)
        assert set(partition.codes(*bundle)) <= {"applied", "score_overflow", "corrupt"}
        if turn % 3 == 0:
            veil(partition, turn + 1, random.choice(USERS), random.choice([HIDE, HIDE, UNHIDE]))
        if turn == 19:
            veil(partition, turn + 2, USERS[0], ERASE)
        for board in (*WINDOWS, *(f"{window}:red" for window in WINDOWS)):
            scores_there = scores(partition, board)
            assert tree(partition, board) == planted_tree(scores_there, partition.space.sign), (turn, board)
            for bounds in [ALL_SCORES, *(some_bounds(random, scores_there, most) for _ in range(3))]:
                reply = stats(partition, board, bounds)
                within = [score for score in scores_there if bounds.lowest <= score <= bounds.highest]
                assert (reply.users, reply.sums and reply.users and reply.sums.scores) == (len(within), sum(within)), (
                    bounds
                )


def test_a_crowd_of_the_greatest_scores(partition: Any) -> None:
    """512 users a bundle, each from the lowest score there is to the highest: what moves is far beyond a double."""
    partition.space = Namespace(7, "race", P, 1, Rules(bounded_sums=True, aggregation="latest"))
    for turn, sign in enumerate((-1, 1, -1)):
        amounts = [sign * (UNITS_MAX - i) for i in range(500)]
        bundle = [partition.entry(f"g{turn}-{i}", user=f"u{i}", amount=amount) for i, amount in enumerate(amounts)]
        assert set(partition.codes(*bundle)) == {"applied"}
        assert tree(partition, "all") == planted_tree(amounts, 1)
        bounds = ScoreBounds(amounts[250], UNITS_MAX) if sign > 0 else ScoreBounds(-UNITS_MAX, amounts[250])
        assert stats(partition, bounds=bounds).sums == ScoreSums(sum(amounts[:251]), None)


def test_a_thousand_nodes_of_many_digits_add_up(partition: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(bounded_sums=True))
    random = Random(3)
    amounts = [random.randint(-UNITS_MAX, UNITS_MAX) for _ in range(400)] + [
        sign * 64**k for k in range(8) for sign in (1, -1)
    ]
    partition.call(*(partition.entry(f"g{i}", user=f"u{i}", amount=amount) for i, amount in enumerate(amounts)))
    for _ in range(100):
        bounds = some_bounds(random, amounts, UNITS_MAX)
        assert (stats(partition, bounds=bounds).sums or ScoreSums(0, 0)).scores == total_within(amounts, bounds)


def test_a_namespace_does_without_unless_it_asks(partition: Any) -> None:
    partition.call(partition.entry("g1"))
    assert tree(partition, "all") == {}
    assert stats(partition, bounds=ScoreBounds(0, 9)).sums == ScoreSums(5, 25), (
        "the reader drops what belongs to the whole board"
    )


@pytest.mark.parametrize("planted", ["abc", "", "0", "1.5", "inf", "nan", "1000000000000000e2", "9" * 65, "--5"])
def test_a_tree_that_holds_no_sum_tells_none_and_stops_nobody(partition: Any, planted: str) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(bounded_sums=True))
    partition.call(partition.entry("g1"), partition.entry("g2", user="heron", amount=900))
    partition.store.hset(keys.sum_tree(P, 7, "all"), "0", planted)
    assert stats(partition, bounds=ScoreBounds(3, 7)).sums == ScoreSums(5, None), "no stretch is needed here"
    if planted not in ("0", "9" * 65):
        with pytest.raises(Recovering):
            stats(partition, bounds=ScoreBounds(-5, 20))
    assert partition.codes(partition.entry("g3")) == ["applied"]
    assert scores(partition) == [10, 900]
    with pytest.raises(Recovering):
        stats(partition, bounds=ScoreBounds(1, 1000))
    assert stats(partition).sums == ScoreSums(910, 810_100)
    assert stats(partition, DAY, ScoreBounds(1, 1000)).sums == ScoreSums(910, None)


@pytest.mark.parametrize("window", ["all", DAY])
def test_a_key_of_another_type_is_met_before_the_first_write(partition: Any, window: str) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(bounded_sums=True))
    partition.store.set(keys.sum_tree(P, 7, window), "x")
    before = partition.dump()
    assert partition.codes(partition.entry("g1"), partition.entry("g2", user="heron")) == ["corrupt", "corrupt"]
    assert partition.dump() == before


def test_an_archived_board_leaves_its_tree(partition: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(bounded_sums=True))
    partition.call(partition.entry("g1"))
    partition.call(seal_entry(partition.space, partition.space.calendar.find(DAY, NOW)))
    back = replace(partition.entry("back", amount=-2), kind=HEAL, ops=cell_ops("w1+-2w2+-2w3+-2w4+-2"))
    assert partition.codes(back) == ["applied"]
    assert tree(partition, DAY) == planted_tree([3], 1)
    names = [kind(P, 7, DAY) for kind in (keys.board, keys.tie_prefixes, keys.distinct_scores, keys.sum_tree)]
    assert partition.eval(EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7), *names], [DAY, len(names), DAY, 0]) == 1
    partition.call(replace(partition.entry("more"), kind=BACKFILL))
    assert (tree(partition, DAY), tree(partition, "all")) == ({}, planted_tree([8], 1))

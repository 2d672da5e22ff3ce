"""What a board's size or its scores pick, on every store: against the whole board, counted one by one."""

import random
from fractions import Fraction
from typing import Any

import pytest

from app.drivers.scripts import load
from app.model.errors import Invalid
from app.model.namespace import Namespace, Rules
from app.model.percentile import parse_percentile
from app.model.sample import draw_sample
from app.model.views import After, BandEdges, BoardView, KeyBounds, Page, Percentile, Sample, Users
from app.store import keys
from app.store.boards import RANK_SCORE, READ_BOARD_SAMPLE, board_call, read_board, read_score, score_call

P = 3
USERS = ["ann", "bob", "cleo", "d/é", "zoë", "Ann", "a", "m1", "m2"]
SETTINGS = [
    (order, tie_break, rule, ask)
    for order in ("desc", "asc")
    for tie_break in ("none", "earliest")
    for rule, ask in (("competition", None), ("competition", "dense"), ("dense", None), ("ordinal", None))
]


def fill(partition: Any, rules: Rules, scores: dict[str, int]) -> None:
    partition.store.flushall()
    partition.__init__(partition.store)
    partition.space = Namespace(7, "race", P, 1, rules)
    entries = [partition.entry(f"g{i}", user, amount) for i, (user, amount) in enumerate(scores.items())]
    if entries:
        assert set(partition.codes(*entries)) == {"applied"}


def read(partition: Any, ranking: str | None, view: BoardView) -> Any:
    reply = partition.send(load(view.script), list(board_call(partition.space, "all", view, ranking))[2:])
    return read_board(reply, partition.space.sign)


@pytest.mark.parametrize(("order", "tie_break", "rule", "question"), SETTINGS)
def test_what_is_picked_stands_so_on_the_whole_board(
    partition: Any, order: Any, tie_break: Any, rule: Any, question: Any
) -> None:
    chance = random.Random(f"{order}{tie_break}{rule}{question}")
    rules = Rules(order=order, tie_break=tie_break, ranking=rule, accept_past=None)
    for size in (0, 1, 3, 9):
        fill(partition, rules, {user: chance.randrange(-2, 3) for user in chance.sample(USERS, size)})
        sign, whole = partition.space.sign, read(partition, question, Page(0, 100)).rows
        assert len(whole) == size
        for _ in range(6):
            fractions = [chance.random() for _ in range(chance.randrange(1, 12))]
            expected = [whole[position - 1] for position in draw_sample(fractions, size)]
            assert read(partition, question, Sample(tuple(fractions))).rows == expected
        for text in ("0", "0.0001", "11.1111", "25", "33.3333", "33.3334", "50", "66.6667", "99.9999", "100"):
            share = parse_percentile(text, "")
            reach = [at for at in whole if Fraction(size - at.position + 1, size) >= Fraction(2 * share - 1, 2_000_000)]
            assert read(partition, question, Percentile(share)).rows == reach[-1:]
        for shares in ([1.0], [0.1, 0.3, 1.0], [0.2, 0.4, 0.6, 0.8, 1.0], [0.3333, 0.3334, 1.0], [1e-9, 0.5]):
            edges = read(partition, "competition", BandEdges(tuple(shares))).rows
            competing = read(partition, "competition", Page(0, 100)).rows
            bands = [next((s for s in shares if at.rank0 / size < s), None) for at in competing]
            items = [[at for at, band in zip(competing, bands, strict=True) if band == s] for s in shares]
            assert edges == [at for within in items if within for at in dict.fromkeys((within[0], within[-1]))]
        for low, high in [(chance.randrange(-3, 4), chance.randrange(-3, 4)) for _ in range(8)]:
            within = [at for at in whole if low <= sign * at.units <= high]
            offset, limit = chance.randrange(4), chance.randrange(1, 5)
            page = read(partition, question, Page(offset, limit, KeyBounds(low, high)))
            assert page.rows == within[offset : offset + limit]
            assert (page.in_bounds, page.board_size) == (len(within), size)
            assert (page.last is not None) == (page.rows != [] and page.rows[-1] != within[-1])
            follow = (
                read(partition, question, After(page.last[0], page.last[1], 100, KeyBounds(low, high))).rows
                if page.last
                else []
            )
            assert follow == (within[offset + limit :] if page.last else [])
            assert read(partition, question, Page(0, 0, KeyBounds(low, high))).rows == []
        for units in range(-3, 4):
            reply = partition.send(RANK_SCORE, list(score_call(partition.space, "all", units, question))[2:])
            result = read_score(reply)
            better = [at for at in whole if sign * at.units > sign * units]
            equal = sum(at.units == units for at in whole)
            levels = len({at.units for at in better})
            before = levels if "dense" in (rule, question) else len(better)
            assert result[2:] == (size, len(better), equal, before)


@pytest.mark.parametrize("total", [6, 10, 12])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 10, 12])
def test_a_band_ends_before_the_user_at_exactly_its_share(partition: Any, total: int, n: int) -> None:
    fill(partition, Rules(accept_past=None), {f"u{i}": i for i in range(total)})
    edges = read(partition, "competition", BandEdges(tuple(i / n for i in range(1, n + 1)))).rows
    # Of so many users, whoever stands at i is surpassed by i - 1: told in whole numbers, where no share is rounded.
    bands = [[at + 1 for at in range(total) if at * n // total == band] for band in range(n)]
    assert [at.position for at in edges] == [at for band in bands if band for at in dict.fromkeys((band[0], band[-1]))]


def test_a_cursor_above_the_bounds_begins_within_them(partition: Any) -> None:
    fill(partition, Rules(accept_past=None), {"ann": 9, "bob": 5, "cleo": 3})
    rows = read(partition, None, After(9, b"ann", 10, KeyBounds(0, 4))).rows
    assert [row.user for row in rows] == ["cleo"]


def test_dense_ranks_that_are_not_kept_are_counted_so_far_and_no_further(partition: Any) -> None:
    fill(partition, Rules(accept_past=None), {f"u{i}": i for i in range(500)})
    users = [f"u{i}" for i in range(0, 500, 7)]
    assert [row.rank0 for row in read(partition, "dense", Users(tuple(users))).rows] == [
        499 - i for i in range(497, -1, -7)
    ]


@pytest.mark.parametrize("script", [READ_BOARD_SAMPLE, RANK_SCORE], ids=lambda script: script.name)
def test_a_board_in_the_archive_answers_archived(partition: Any, script: Any) -> None:
    space = partition.space
    call = board_call(space, "all", Percentile(1)) if script is READ_BOARD_SAMPLE else score_call(space, "all", 1)
    partition.store.hset(keys.namespace(P, 7), "x:all", "a")
    assert partition.send(script, list(call)[2:]) == [b"archived", b"1", b"0"]
    partition.store.delete(keys.meta(P))
    assert partition.send(script, list(call)[2:]) == [b"unopened"]


def test_dense_ranks_that_are_too_deep_answer_so(partition: Any) -> None:
    for first in range(0, 1200, 400):
        assert set(partition.codes(*(partition.entry(f"g{i}", f"u{i}", i) for i in range(first, first + 400)))) == {
            "applied"
        }
    assert read(partition, "dense", Page(1000, 1)).rows[0].rank0 == 1000
    for view in (Page(1001, 1), Users(("u1199", "u3")), Sample((0.5,) * 1000)):
        with pytest.raises(Invalid) as refused:
            read(partition, "dense", view)
        assert refused.value.field == "?ranking"

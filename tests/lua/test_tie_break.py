"""`tie_break: granted_at` in the script: among equals the earlier moment stands first, whatever came when."""

from itertools import groupby
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from app.drivers.scripts import load
from app.model.entry import PlannedEntry
from app.model.entry_kinds import CORRECTION
from app.model.namespace import Namespace, Rules
from app.model.tie_break import NO_MOMENT, latest_tie_place, tie_digits, tie_place
from app.model.views import Around, BoardView, Page, Sample, Users
from app.model.visibility import HIDE, UNHIDE
from app.store import keys
from app.store.boards import PROJECT_RANK, board_call, project_ranks_call
from tests.lua.conftest import NOW, P
from tests.lua.test_stats import veil
from tests.support.ops_text import cell_ops

MINUTE = 60_000_000
USERS = ["ann", "bob", "cleo", "d/é"]
RULES = [(aggregation, order) for aggregation in ("sum", "best", "latest") for order in ("desc", "asc")]


def by_moment(partition: Any, **rules: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(tie_break="granted_at", **rules))


def line(partition: Any, board: str = "all") -> list[tuple[str, int, str]]:
    """User, score and digits, in the board's order; the hash of orders tells the same digits."""
    members = partition.store.zrevrange(keys.board(P, 7, board), 0, -1, withscores=True)
    rows = [
        (member[33:].decode(), int(score) * partition.space.sign, member[:33].decode()) for member, score in members
    ]
    orders = partition.store.hgetall(keys.tie_prefixes(P, 7, board))
    assert {user.encode(): digits.encode() for user, _, digits in rows}.items() <= orders.items()
    return rows


def expected_line(space: Namespace, grants: list[tuple[PlannedEntry, int]]) -> list[tuple[str, int, str]]:
    """The same of grants with their seqs, worked out of all of them."""
    rows = []
    for user, item in groupby(
        sorted(grants, key=lambda grant: (grant[0].body.user, grant[1])), lambda g: g[0].body.user
    ):
        own = [(entry.body.entry_amount, entry.body.granted_at, seq) for entry, seq in item]
        amounts = [amount for amount, _, _ in own]
        score = {"sum": sum(amounts), "highest": max(amounts), "lowest": min(amounts)}.get(space.aggregation.name)
        score = max(own, key=lambda grant: grant[1:])[0] if score is None else score
        place = latest_tie_place(space.aggregation.line_key(amount, tie_place(at, seq)) for amount, at, seq in own)
        rows.append((user, score, tie_digits(place)))
    return sorted(rows, key=lambda one: (one[1] * space.sign, one[2] + one[0]), reverse=True)


@pytest.mark.parametrize(("aggregation", "order"), RULES)
@pytest.mark.parametrize("size", [1, 7])
def test_the_line_depends_on_the_grants_alone(partition: Any, aggregation: str, order: str, size: int) -> None:
    by_moment(partition, aggregation=aggregation, order=order, periods=("all", "day"), ranking="dense")
    random, grants = Random(f"{aggregation} {order} {size}"), list[tuple[PlannedEntry, int]]()
    for turn in range(0, 84, size):
        bundle = [
            partition.entry(f"g{turn}-{i}", random.choice(USERS), random.choice((-1, 0, 0, 1, 2)), _moment(random))
            for i in range(size)
        ]
        outcomes = partition.call(*bundle)
        assert {outcome.code for outcome in outcomes} == {"applied"}
        grants += [(entry, outcome.seq) for entry, outcome in zip(bundle, outcomes, strict=True)]
        assert line(partition) == expected_line(partition.space, grants), turn
    assert line(partition, "2023-11-14") == line(partition)
    # Hidden and shown again, they stand where they stood.
    before = line(partition)
    for version, desired_state in enumerate((HIDE, UNHIDE), 1):
        veil(partition, version, "bob", desired_state)
        assert line(partition) == [one for one in before if desired_state == UNHIDE or one[0] != "bob"]


def _moment(random: Random) -> int:
    return NOW + random.choice((-3, -2, -1, -1, 0, 0)) * MINUTE + random.randrange(2)


def test_a_late_grant_stands_by_its_own_moment(partition: Any) -> None:
    """Where `earliest` goes by arrival."""
    by_moment(partition, aggregation="best")
    partition.call(partition.entry("g1", "late", 5, NOW), partition.entry("g2", "early", 5, NOW - MINUTE))
    assert [user for user, _, _ in line(partition)] == ["early", "late"]
    partition.call(partition.entry("g3", "late", 5, NOW - 2 * MINUTE))
    assert [user for user, _, _ in line(partition)] == ["late", "early"]
    partition.call(partition.entry("g4", "early", 5, NOW - 2 * MINUTE))
    assert [user for user, _, _ in line(partition)] == ["late", "early"], "of one moment the earlier entry"


def test_moments_before_1970_and_far_ahead_keep_every_microsecond(partition: Any) -> None:
    by_moment(partition, accept_past=None, accept_future=None)
    moments = [-2_208_988_799_999_999, -2_208_988_799_999_998, -1, 0, 8_993_000_000_000_000, 8_993_000_000_000_001]
    for i, at in enumerate(reversed(moments)):
        partition.call(partition.entry(f"g{i}", f"u{i}", 5, at))
    prefixes = [(tie_digits(tie_place(at, len(moments) - i)), 5) for i, at in enumerate(moments)]
    assert [(digits, score) for _, score, digits in line(partition)] == prefixes


def test_a_correction_carries_digits_and_leaves_those_that_it_does_not_name(partition: Any) -> None:
    by_moment(partition)
    first, second = partition.entry("g1", "ann", 5, NOW - 9), partition.entry("g2", "bob", 7, NOW)
    partition.call(first, second)
    place = tie_digits(tie_place(NOW - 20, 1))
    changed = replace(partition.entry("x", "bob", 0), kind=CORRECTION, ops=cell_ops(f"w1+-2~{place}w2xw3+-2w4+0"))
    assert partition.codes(changed) == ["applied"]
    assert line(partition) == [("bob", 5, place), ("ann", 5, tie_digits(tie_place(NOW - 9, 1)))]
    assert [user for user, _, _ in line(partition, "2023-11")] == ["ann"]
    assert not partition.store.hexists(keys.tie_prefixes(P, 7, "2023-11"), "bob")
    week = line(partition, "2023-W46")
    assert week == [("ann", 5, tie_digits(tie_place(NOW - 9, 1))), ("bob", 5, tie_digits(tie_place(NOW, 2)))]


def test_a_score_of_nothing_but_zeros_stands_before_every_moment(partition: Any) -> None:
    by_moment(partition)
    grants = [("g1", "up", 1, NOW - 9), ("g2", "up", -1, NOW - 8), ("g3", "zero", 0, NOW), ("g4", "zero", 0, NOW + 1)]
    partition.call(*(partition.entry(*grant) for grant in grants))
    assert line(partition) == [("zero", 0, tie_digits(NO_MOMENT)), ("up", 0, tie_digits(tie_place(NOW - 8, 2)))]


def test_every_way_to_read_takes_the_name_out_of_its_member(partition: Any) -> None:
    by_moment(partition, ranking="ordinal")
    partition.call(*(partition.entry(f"g{i}", user, 5, NOW - i) for i, user in enumerate(USERS)))
    views: list[BoardView] = [Page(0, 9), Around("bob", 9), Users(tuple(USERS)), Sample((0.1, 0.2, 0.3, 0.4))]
    for view in views:
        call: list[Any] = list(board_call(partition.space, "all", view))
        reply = partition.eval(load(view.script), call[3 : 3 + call[2]], call[3 + call[2] :])
        assert [user.decode() for user in reply[8::4]] == USERS[::-1], view
    call = list(project_ranks_call(partition.space, "bob", [5, 6]))
    assert partition.eval(PROJECT_RANK, call[3 : 3 + call[2]], call[3 + call[2] :]) == [2, 0]

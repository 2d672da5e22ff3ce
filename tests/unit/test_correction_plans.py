"""A table of corrections: a user's grants, the requests, and the entries that they make."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.model.chain import cells_to_read, changes_of, entries_of, hold_since, is_loose, needs_joint_plan, steps_of
from app.model.correction import CorrectionRequest, GrantState, digest_request
from app.model.entry import key_claim
from app.model.entry_kinds import CORRECTION
from app.model.entry_names import entry_id
from app.model.namespace import Namespace, Rules
from app.model.ops import render_ops
from app.model.tie_break import tie_digits, tie_place
from tests.support.grant_history import DAY_US, cells_made_by, edit, grant, moves_of, restore, void

USER_SEQ = 7
NOW = 2 * DAY_US
DAY_0 = ("all", "1970-01-01")
Moves = dict[str, str]


def space(**rules: Any) -> Namespace:
    return Namespace(3, "race", 0, 1, Rules(**{"periods": ("all", "day")} | rules))


def plans(
    namespace: Namespace, history: Sequence[GrantState], *asks: CorrectionRequest, loose: bool = False
) -> list[Any]:
    """The entries of some asks upon a history, as they are planned where the ledger holds all of it."""
    steps = steps_of(namespace, asks, {one.grant_id: one for one in history}, {}, NOW, None)
    changing = {step.request.grant_id for step in changes_of(steps)}
    rest = cells_made_by(namespace, [one for one in history if one.grant_id not in changing])
    joint = needs_joint_plan(namespace, steps)
    cells = set(cells_to_read(namespace, steps))
    known = {cell: made for cell, made in rest.items() if cell in cells} if joint else None
    return list(entries_of(namespace, steps, known, USER_SEQ, loose=loose))


A, B, C = grant("a", 5, 10), grant("b", 9, 20), grant("c", 2, 30)
TODAY = [grant("a", 5, 10, windows=DAY_0), grant("b", 9, 20, windows=DAY_0)]
RED = {"category": "red", "source": "lap"}
VOIDED = {"voided": True, "revision": 2}

SUMS: list[tuple[str, list[GrantState], CorrectionRequest, Moves, int]] = [
    ("an amount grows in place", [A, B], edit("a", amount=8), {"all": "+3"}, 0),
    ("an amount shrinks below zero", [A], edit("a", amount=-1), {"all": "+-6"}, 0),
    (
        "an amount changes in every label of the grant",
        [grant("a", 5, 10, **RED)],
        edit("a", amount=8),
        {"all": "+3", "c:red": "+3", "s:lap": "+3"},
        0,
    ),
    ("the only grant goes", [A], void("a"), {"all": "x", "last": "x", "on": "u=7"}, -1),
    ("one of two goes", [A, B], void("a"), {"all": "+-5", "last": "=20", "on": "u=7"}, -1),
    ("the last one of two goes", [A, B], void("b"), {"all": "+-9", "last": "=10", "on": "u=7"}, -1),
    (
        "a grant comes back",
        [grant("a", 5, 10, **VOIDED), B],
        restore("a"),
        {"all": "+5", "last": "=20", "on": "u=7"},
        1,
    ),
    (
        "the last grant comes back",
        [A, grant("b", 9, 20, **VOIDED)],
        restore("b"),
        {"all": "+9", "last": "=20", "on": "u=7"},
        1,
    ),
    (
        "another category",
        [grant("a", 5, 10, category="red"), B],
        edit("a", category="blue"),
        {"all": "+0", "c:red": "x", "c:blue": "+5", "last": "=20", "on": "u=7"},
        0,
    ),
    (
        "another category, where others have the old one",
        [grant("a", 5, 10, category="red"), grant("b", 1, 20, category="red")],
        edit("a", category=None, amount=6),
        {"all": "+1", "c:red": "+-5", "last": "=20", "on": "u=7"},
        0,
    ),
    (
        "another day",
        TODAY,
        edit("a", granted_at=DAY_US),
        {"all": "+0", "1970-01-01": "+-5", "1970-01-02": "+5", "last": f"={DAY_US}", "on": "u=7"},
        0,
    ),
    ("a voided grant is edited", [grant("a", 5, 10, **VOIDED)], edit("a", amount=8), {}, 0),
]

BEST: list[tuple[str, list[GrantState], CorrectionRequest, Moves, int]] = [
    ("the best goes", [A, B], void("b"), {"all": "=5", "last": "=10", "on": "u=7"}, -1),
    ("another than the best goes", [A, B], void("a"), {"all": "=9", "last": "=20", "on": "u=7"}, -1),
    ("the only one goes", [A], void("a"), {"all": "x", "last": "x", "on": "u=7"}, -1),
    ("the best falls behind another", [A, B], edit("b", amount=1), {"all": "=5", "last": "=20", "on": "u=7"}, 0),
    ("another becomes the best", [A, B], edit("a", amount=12), {"all": "=12", "last": "=20", "on": "u=7"}, 0),
    ("the only one changes", [A], edit("a", amount=1), {"all": "=1", "last": "=10", "on": "u=7"}, 0),
    (
        "the best comes back",
        [A, grant("b", 9, 20, **VOIDED)],
        restore("b"),
        {"all": "=9", "last": "=20", "on": "u=7"},
        1,
    ),
]

LOWEST: list[tuple[str, list[GrantState], CorrectionRequest, Moves, int]] = [
    ("the best goes", [A, B], void("a"), {"all": "=9", "last": "=20", "on": "u=7"}, -1),
    ("another becomes the best", [A, B], edit("b", amount=1), {"all": "=1", "last": "=20", "on": "u=7"}, 0),
    ("the best falls behind another", [A, B], edit("a", amount=99), {"all": "=9", "last": "=20", "on": "u=7"}, 0),
]

LATEST: list[tuple[str, list[GrantState], CorrectionRequest, Moves, int]] = [
    ("the last goes", [A, B], void("b"), {"all": "=5@10", "last": "=10", "on": "u=7"}, -1),
    ("another than the last changes", [A, B], edit("a", amount=6), {"all": "=9@20", "last": "=20", "on": "u=7"}, 0),
    ("the last changes", [A, B], edit("b", amount=6), {"all": "=6@20", "last": "=20", "on": "u=7"}, 0),
    (
        "another becomes the last",
        TODAY,
        edit("a", granted_at=30),
        {"all": "=5@30", "1970-01-01": "=5@30", "last": "=30", "on": "u=7"},
        0,
    ),
    (
        "the last moves behind",
        TODAY,
        edit("b", granted_at=5),
        {"all": "=5@10", "1970-01-01": "=5@10", "last": "=10", "on": "u=7"},
        0,
    ),
    (
        "of one moment the later seq is the last",
        [grant("a", 5, 10, seq=2), grant("b", 9, 10, seq=1)],
        edit("b", amount=4),
        {"all": "=5@10", "last": "=10", "on": "u=7"},
        0,
    ),
    ("the only one goes", [A], void("a"), {"all": "x", "last": "x", "on": "u=7"}, -1),
]

RULES: dict[str, dict[str, Any]] = {
    "sum": {},
    "best": {"aggregation": "best"},
    "lowest": {"aggregation": "best", "order": "asc"},
    "latest": {"aggregation": "latest"},
}
ROWS = [
    pytest.param(rules, *row[1:], id=f"{rules}: {row[0]}")
    for rules, rows in (("sum", SUMS), ("best", BEST), ("lowest", LOWEST), ("latest", LATEST))
    for row in rows
]


@pytest.mark.parametrize(("rules", "history", "ask", "moves", "live_delta"), ROWS)
def test_one_correction_moves_what_it_must(
    rules: str, history: list[GrantState], ask: CorrectionRequest, moves: Moves, live_delta: int
) -> None:
    namespace = space(**RULES[rules])
    (entry,) = plans(namespace, history, ask)
    assert moves_of(entry) == moves
    assert entry.body.live_delta == live_delta


def test_its_entry_tells_the_grant_as_it_is_from_then_on() -> None:
    answer = grant("a", 5, 10, revision=4, **RED)
    namespace = space(category_boards=True)
    ask = edit("a", amount=8, category="blue", reason="a photo", key="k1")
    (entry,) = plans(namespace, [answer], ask)
    body = entry.body
    assert (body.kind, body.namespace_id, body.user, body.grant_id, body.revision) == ("correction", 3, "otter", "a", 5)
    assert (body.new_amount, body.category, body.source, body.windows, body.voided) == (
        8,
        "blue",
        "lap",
        ("all",),
        False,
    )
    assert (body.verb, body.reason, body.actor, body.idempotency_key) == ("edit", "a photo", "admin", "k1")
    digest = digest_request(namespace, ask)
    assert (body.request_digest, entry.claim) == (digest, key_claim(3, "k1", digest))
    assert entry.id == entry_id(CORRECTION, 3, "a", 5)
    assert (entry.boards, entry.labels) == (("all", "all:red", "all:blue"), ("c:red", "s:lap", "c:blue"))


def test_of_two_entries_of_one_revision_the_contents_differ() -> None:
    contents = {plans(space(), [A], edit("a", amount=amount))[0].content for amount in (6, 7)}
    ids = {plans(space(), [A], edit("a", amount=amount))[0].id for amount in (6, 7)}
    assert (len(contents), len(ids)) == (2, 1)


@pytest.mark.parametrize(
    ("others", "move"), [([], "x"), ([grant("b", 1, 20, day="1970-01-01")], "=1")], ids=["alone", "with another"]
)
def test_a_day_stays_while_it_has_a_live_grant(others: list[GrantState], move: str) -> None:
    namespace = space(streaks=True)
    (entry,) = plans(namespace, [grant("a", 5, 10, day="1970-01-01"), *others], void("a"))
    assert moves_of(entry)["d:1970-01-01"] == move


def test_a_day_is_left_out_where_an_amount_changes_in_place() -> None:
    (entry,) = plans(space(streaks=True), [grant("a", 5, 10, day="1970-01-01")], edit("a", amount=6))
    assert moves_of(entry) == {"all": "+1"}


@pytest.mark.parametrize(
    ("rules", "ask", "first"),
    [
        ({}, void("b"), A),
        ({}, edit("b", amount=0), A),
        ({}, edit("a", amount=1), B),
        ({"aggregation": "best"}, void("b"), A),
        ({"aggregation": "best"}, edit("a", amount=1), B),
        ({"aggregation": "best", "order": "asc"}, edit("b", amount=99), A),
    ],
)
def test_the_place_in_line_is_that_of_the_grant_that_made_the_score(
    rules: dict[str, Any], ask: CorrectionRequest, first: GrantState
) -> None:
    (entry,) = plans(space(tie_break="granted_at", **rules), [A, B], ask)
    assert f"~{tie_digits(tie_place(first.granted_at, first.seq))}" in render_ops(entry.kind, entry.ops)


CHAINS: list[tuple[str, dict[str, Any], list[GrantState], list[CorrectionRequest], list[Moves]]] = [
    (
        "of one grant each stands on the one before",
        {},
        [A],
        [edit("a", amount=8), edit("a", amount=2)],
        [{"all": "+3", "on": "u=7"}, {"all": "+-6", "on": "f="}],
    ),
    (
        "of two grants whose sums change in place none does",
        {},
        [A, B],
        [edit("a", amount=8), edit("b", amount=1)],
        [{"all": "+3"}, {"all": "+-8"}],
    ),
    (
        "both grants go",
        {},
        [A, B],
        [void("b"), void("a")],
        [{"all": "+-9", "last": "=10", "on": "u=7"}, {"all": "x", "last": "x", "on": "f="}],
    ),
    (
        "one goes and comes back",
        {},
        [A],
        [void("a"), restore("a")],
        [{"all": "x", "last": "x", "on": "u=7"}, {"all": "+5", "last": "=10", "on": "f="}],
    ),
    (
        "the best go one after the other",
        {"aggregation": "best"},
        [A, B, C],
        [void("b"), void("a")],
        [{"all": "=5", "last": "=30", "on": "u=7"}, {"all": "=2", "last": "=30", "on": "f="}],
    ),
    (
        "the last go one after the other",
        {"aggregation": "latest"},
        [A, B, C],
        [void("c"), void("b")],
        [{"all": "=9@20", "last": "=20", "on": "u=7"}, {"all": "=5@10", "last": "=10", "on": "f="}],
    ),
    (
        "an ask that cannot be is left out",
        {"aggregation": "best"},
        [A, B],
        [void("b"), void("nothing"), edit("a", amount=1)],
        [{"all": "=5", "last": "=10", "on": "u=7"}, {"all": "=1", "last": "=10", "on": "f="}],
    ),
]


@pytest.mark.parametrize(("rules", "history", "asks", "moves"), [pytest.param(*row[1:], id=row[0]) for row in CHAINS])
def test_corrections_in_one_go_know_what_those_before_them_do(
    rules: dict[str, Any], history: list[GrantState], asks: list[CorrectionRequest], moves: list[Moves]
) -> None:
    assert [moves_of(entry) for entry in plans(space(**rules), history, *asks)] == moves


def test_each_correction_of_one_grant_claims_the_next_revision() -> None:
    entries = plans(space(), [grant("a", 5, 10, revision=3)], edit("a", amount=8), edit("a", amount=2), void("a"))
    assert [entry.body.revision for entry in entries] == [4, 5, 6]
    assert [entry.body.new_amount for entry in entries] == [8, 2, 2]


LOOSE: list[tuple[str, list[GrantState], list[CorrectionRequest], list[Moves], bool]] = [
    ("a grant goes and others stay", [A, B], [void("a")], [{"all": "+-5", "last": "+20", "on": "g=7"}], True),
    ("the last one goes and others stay", [A, B], [void("b")], [{"all": "+-9", "last": "=10@20", "on": "g=7"}], True),
    ("nothing is left", [A], [void("a")], [{"all": "x", "last": "x", "on": "g=7"}], False),
    (
        "the last go in a chain",
        [A, B, C],
        [void("c"), void("b")],
        [{"all": "+-2", "last": "=20@30", "on": "g=7"}, {"all": "+-9", "last": "=10@20", "on": "f="}],
        False,
    ),
    (
        "none of a chain is the last",
        [A, B, C],
        [void("a"), void("b")],
        [{"all": "+-5", "last": "+30", "on": "g=7"}, {"all": "+-9", "last": "+30", "on": "f="}],
        True,
    ),
    (
        "a grant comes back",
        [grant("a", 5, 10, **VOIDED), B],
        [restore("a")],
        [{"all": "+5", "last": "+20", "on": "g=7"}],
        True,
    ),
]


@pytest.mark.parametrize(("history", "asks", "moves", "holds"), [pytest.param(*row[1:], id=row[0]) for row in LOOSE])
def test_a_loose_plan_lets_the_user_get_grants_meanwhile_where_it_takes_no_number_away(
    history: list[GrantState], asks: list[CorrectionRequest], moves: list[Moves], holds: bool
) -> None:
    entries = plans(space(), history, *asks, loose=True)
    assert [moves_of(entry) for entry in entries] == moves
    assert is_loose(entries) is holds


@pytest.mark.parametrize(("loose", "on"), [(False, "u=12"), (True, "g=12")])
def test_the_first_of_a_later_call_stands_on_what_the_call_before_did(loose: bool, on: str) -> None:
    first, second = plans(space(), [A, B, C], void("a"), void("b"), loose=loose)
    before = moves_of(first)
    for entry in (first, second):
        hold_since(entry, 12, loose=loose)
    assert moves_of(first) == before
    assert moves_of(second)["on"] == on

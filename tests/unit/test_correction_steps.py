"""What a correction makes of its grant: refused, done already, or another state; and what must be known for it."""

from typing import Any

import pytest

from app.model.chain import cells_to_read, changes_of, entries_of, needs_joint_plan, steps_of
from app.model.correction import CorrectionRequest, GrantState, IdempotencyRecord, digest_request
from app.model.errors import Problem
from app.model.namespace import Namespace, Rules
from tests.support.grant_history import DAY_US, edit, grant, moves_of, restore, void

NOW = 40 * DAY_US
A = grant("a", 5, 10)
VOIDED = {"voided": True, "revision": 2}
B = grant("b", 9, 20)
DAY_0, DAY_1 = ("all", "1970-01-01"), ("all", "1970-01-02")
QUARANTINED = grant("a", 5, 10, quarantined=True, voided=True)


def space(**rules: Any) -> Namespace:
    return Namespace(3, "race", 0, 1, Rules(**rules))


JOINT: list[tuple[str, dict[str, Any], list[CorrectionRequest], bool]] = [
    ("a sum in place", {}, [edit("a", amount=8)], False),
    ("sums in place", {}, [edit("a", amount=8), edit("b", amount=1)], False),
    ("a reason alone", {}, [edit("a", action="x")], False),
    ("one grant twice", {}, [edit("a", amount=8), edit("a", amount=1)], True),
    ("a void", {}, [void("a")], True),
    ("another label", {}, [edit("a", category="red")], True),
    ("another moment", {}, [edit("a", granted_at=30)], True),
    ("the best", {"aggregation": "best"}, [edit("a", amount=8)], True),
    ("the last", {"aggregation": "latest"}, [edit("a", amount=8)], True),
    ("a place in line", {"tie_break": "granted_at"}, [edit("a", amount=8)], True),
    ("what cannot be done", {}, [void("nothing")], False),
]


@pytest.mark.parametrize(("rules", "asks", "is_joint"), [pytest.param(*row[1:], id=row[0]) for row in JOINT])
def test_corrections_are_planned_jointly_where_they_hang_on_other_grants(
    rules: dict[str, Any], asks: list[CorrectionRequest], is_joint: bool
) -> None:
    steps = steps_of(space(**rules), asks, {"a": A, "b": B}, {}, 2 * DAY_US, None)
    assert needs_joint_plan(space(**rules), steps) is is_joint


def test_the_cells_to_be_known_are_those_of_every_change() -> None:
    namespace = space(category_boards=True, periods=("all", "day"))
    history = {"a": grant("a", 5, 10, windows=DAY_0, category="red", source="lap"), "b": B}
    asks = [edit("a", granted_at=DAY_US, category="blue"), edit("b", amount=9)]
    assert set(cells_to_read(namespace, steps_of(namespace, asks, history, {}, 2 * DAY_US, None))) == {
        *DAY_0,
        *DAY_1,
        *(f"{window}:red" for window in DAY_0),
        *(f"{window}:blue" for window in DAY_1),
        *("c:red", "c:blue", "s:lap"),
    }


DIGEST = digest_request(space(), void("a"))
PROBLEMS: list[tuple[str, dict[str, Any], list[GrantState], CorrectionRequest, list[IdempotencyRecord], str, str]] = [
    ("no such grant", {}, [], void("a"), [], "grant_not_found", "no grant 'a'"),
    ("another revision", {}, [A], edit("a", amount=8, revision=2), [], "revision_conflict", "at revision 1"),
    ("frozen", {"mode": "frozen"}, [A], void("a"), [], "namespace_frozen", ""),
    ("too precise", {}, [A], edit("a", amount=1.5), [], "amount_scale", ""),
    ("too small", {"amount_min": 1}, [A], edit("a", amount=0), [], "amount_range", "amount_min"),
    ("too large", {"amount_max": 9}, [A], edit("a", amount=10), [], "amount_range", "amount_max"),
    ("no amount", {}, [A], edit("a", amount=None), [], "invalid", "number"),
    ("no moment", {}, [A], edit("a", granted_at=None), [], "invalid", "null"),
    ("too old", {}, [A], edit("a", granted_at=1_000_000), [], "granted_at_range", "accept_past"),
    ("too late", {}, [A], edit("a", granted_at=41 * DAY_US), [], "granted_at_range", "accept_future"),
    (
        "a quarantined one is edited",
        {},
        [QUARANTINED],
        edit("a", amount=6),
        [],
        "invalid",
        "quarantine",
    ),
    (
        "a quarantined one without an admin",
        {},
        [QUARANTINED],
        restore("a"),
        [],
        "forbidden",
        "admin",
    ),
    (
        "a key of another grant",
        {},
        [A],
        void("a", key="k"),
        [IdempotencyRecord("b", 2, DIGEST)],
        "grant_conflict",
        "another grant",
    ),
    (
        "a key of another correction",
        {},
        [A],
        void("a", key="k"),
        [IdempotencyRecord("a", 2, b"x" * 16)],
        "grant_conflict",
        "another correction",
    ),
]


@pytest.mark.parametrize(
    ("rules", "history", "ask", "keyed", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in PROBLEMS]
)
def test_an_impossible_correction_is_answered_and_makes_no_entry(
    rules: dict[str, Any],
    history: list[GrantState],
    ask: CorrectionRequest,
    keyed: list[IdempotencyRecord],
    code: str,
    words: str,
) -> None:
    namespace = space(**rules)
    (step,) = steps_of(namespace, [ask], {one.grant_id: one for one in history}, {"k": keyed}, NOW, None)
    assert isinstance(step.problem, Problem)
    assert step.problem.code == code
    assert words in (step.problem.detail or "")
    assert list(entries_of(namespace, [step], None, 0)) == []


DONE: list[tuple[str, dict[str, Any], GrantState, CorrectionRequest, list[IdempotencyRecord], int]] = [
    ("the same amount", {}, A, edit("a", amount=5), [], 1),
    ("voided before", {}, grant("a", 5, **VOIDED), void("a"), [], 2),
    ("live already", {}, A, restore("a"), [], 1),
    ("nothing to do in a frozen namespace", {"mode": "frozen"}, A, restore("a"), [], 1),
    (
        "done with the same key",
        {},
        grant("a", 5, revision=5),
        void("a", key="k"),
        [IdempotencyRecord("a", 3, DIGEST)],
        3,
    ),
    ("done with a key, the ask unrecorded", {}, A, void("a", key="k"), [IdempotencyRecord("a", 4, None)], 4),
    (
        "done with the key, whatever the revision",
        {},
        grant("a", 5, revision=5),
        void("a", key="k"),
        [IdempotencyRecord("b", 9, DIGEST), IdempotencyRecord("a", 3, DIGEST)],
        3,
    ),
]


@pytest.mark.parametrize(
    ("rules", "state", "ask", "keyed", "revision"), [pytest.param(*row[1:], id=row[0]) for row in DONE]
)
def test_what_is_done_already_names_its_revision_and_brings_no_entry(
    rules: dict[str, Any], state: GrantState, ask: CorrectionRequest, keyed: list[IdempotencyRecord], revision: int
) -> None:
    namespace = space(**rules)
    (step,) = steps_of(namespace, [ask], {"a": state}, {"k": keyed}, NOW, None)
    assert (step.earlier_revision, step.problem, step.after) == (revision, None, None)
    assert list(entries_of(namespace, [step], None, 0)) == []


@pytest.mark.parametrize(("ask", "live_delta"), [(restore("a", admin=True), 1), (void("a", admin=True), 0)])
def test_an_admin_decides_about_a_grant_in_quarantine(ask: CorrectionRequest, live_delta: int) -> None:
    steps = steps_of(space(), [ask], {"a": QUARANTINED}, {}, NOW, None)
    (entry,) = entries_of(space(), steps, {}, 7)
    assert entry.body.live_delta == live_delta
    assert ("all" in moves_of(entry)) is (live_delta == 1)


def test_an_admin_moves_a_grant_however_far_back() -> None:
    ask = edit("a", granted_at=1_000_000)._replace(backfill=True)
    (step,) = steps_of(space(), [ask], {"a": A}, {}, NOW, None)
    assert step.after is not None
    assert step.after.granted_at == 1_000_000


def test_a_moved_grant_counts_for_the_day_of_its_user() -> None:
    namespace = space(streaks=True, timezone="UTC")
    answer, late = grant("a", 5, 10, day="1970-01-01"), 38 * DAY_US + DAY_US // 2
    for zone, day in ((None, "1970-02-08"), ("Pacific/Auckland", "1970-02-09")):
        (step,) = steps_of(namespace, [edit("a", granted_at=late)], {"a": answer}, {}, NOW, zone)
        assert step.after is not None
        assert step.after.day == day


def test_one_that_fails_does_not_change_what_the_next_one_meets() -> None:
    asks = [edit("a", amount=8), edit("a", amount=9, revision=1), edit("a", amount=9, revision=2)]
    steps = steps_of(space(), asks, {"a": A}, {}, NOW, None)
    assert [step.problem and step.problem.code for step in steps] == [None, "revision_conflict", None]
    assert [step.before and step.before.revision for step in changes_of(steps)] == [1, 2]

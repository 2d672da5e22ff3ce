"""A refusal of a grant names the bound that it passes, and the rule that sets it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.model.errors import Problem
from app.model.grant import Grant, plan
from app.model.grant_problem import amount_bound, grant_problem, moment_bound
from app.model.micros import to_micros
from app.model.namespace import Namespace, Rules, Velocity, check_change, rule_locked
from app.model.windows import Season

NOW = to_micros(datetime(2026, 11, 27, 12, tzinfo=UTC))
DAY = 24 * 3600 * 1_000_000
BACKFILL = "; with ?backfill=true an admin may go back further"


def namespace(**rules: Any) -> Namespace:
    return Namespace(1, "gp", 0, 1, Rules(**rules))


def problem(outcome: str, detail: str | None = None, **rules: Any) -> Problem:
    entry = plan(Grant("g", "ann", msgspec.Raw(b"5")), namespace(**rules), NOW)
    return grant_problem(entry, outcome, detail, NOW)


@pytest.mark.parametrize(
    ("rules", "days", "detail"),
    [
        ({}, -36, "granted_at lies before 2026-10-23T12:00:00Z; accept_past is P35D" + BACKFILL),
        ({}, 1, "granted_at lies after 2026-11-27T12:05:00Z; accept_future is PT5M"),
        (
            {"accept_past": timedelta()},
            -1,
            "granted_at lies before 2026-11-27T12:00:00Z; accept_past is PT0S" + BACKFILL,
        ),
        ({"accept_past": None}, 1, "granted_at lies after 2026-11-27T12:05:00Z; accept_future is PT5M"),
    ],
)
def test_names_the_moment_up_to_which_a_grant_is_taken(rules: dict[str, Any], days: int, detail: str) -> None:
    assert moment_bound(namespace(**rules), NOW + days * DAY, NOW) == detail


@pytest.mark.parametrize(
    ("low", "high", "detail"),
    [
        (0, 26, "the amount must lie from 0 (amount_min) to 26 (amount_max)"),
        (0.5, None, "the amount must be at least 0.5 (amount_min)"),
        (None, 26, "the amount must be at most 26 (amount_max)"),
    ],
)
def test_names_the_bounds_of_an_amount(low: float | None, high: float | None, detail: str) -> None:
    assert amount_bound(Rules(scale=1, amount_min=low, amount_max=high)) == detail


def test_names_every_velocity() -> None:
    limits = (Velocity(timedelta(seconds=10), 1, 50), Velocity(timedelta(days=1), 20))
    text = problem("velocity", velocity=limits)
    assert (text.code, text.field) == ("velocity", "$.user_id")
    assert text.detail.endswith(": at most 1 grant and 50 in amount in PT10S; at most 20 grants in P1D")


def test_names_how_far_a_score_may_go() -> None:
    reply = problem("score_overflow", scale=6)
    assert reply.detail == "a score or balance would leave ±999,999,999.999999 (at scale 6)"


def test_other_outcomes_have_the_problems_of_their_table() -> None:
    assert problem("log_full", "2 of 2").detail == "the ledger is too far behind: its log is full: 2 of 2"


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        (
            {"scale": 1},
            {"scale": 2},
            "the namespace holds grants: scale stays 1, and the request would set 2",
        ),
        (
            {"scale": 1},
            {},
            "the namespace holds grants: scale stays 1, and the request would set 0; "
            "a rule that is left out takes its default",
        ),
        (
            {"group": "teams"},
            {},
            'the namespace holds grants: group stays "teams", and the request would set null; '
            "a rule that is left out takes its default",
        ),
    ],
)
def test_a_locked_rule_is_refused_with_both_values(old: dict[str, Any], new: dict[str, Any], detail: str) -> None:
    before, after = Rules(**old), Rules(**new)
    changed = check_change(before, after, NOW)
    assert changed is not None
    reply = rule_locked(changed, before, after)
    assert (reply.field, reply.detail) == (f"$.{changed}", detail)


def test_a_locked_season_is_named() -> None:
    seasons = tuple(
        Season(n, datetime(y, 1, 1, tzinfo=UTC), datetime(y, 2, 1, tzinfo=UTC)) for n, y in (("a", 2024), ("b", 2025))
    )
    reply = rule_locked("seasons", Rules(seasons=seasons), Rules(seasons=seasons[:1]))
    assert reply.detail == "grants may lie in season 'b': it stays as it is"

"""The problem of a missing board names the existing ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.window_problem import window_problem
from app.model.windows import Season, is_window_name

PERIODS_TEXT = "it keeps all, month, week, day"
NAMED = "a window is named by one of these, or like 2026-11 (month), 2026-W48 (week), 2026-11-27 (day)"


def seasons(count: int) -> tuple[Season, ...]:
    starts, ends = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2))
    return tuple(Season(f"s{i}", starts, ends) for i in range(count))


@pytest.mark.parametrize(
    ("rules", "name", "detail"),
    [
        ({}, "year", f"'gp' keeps no board 'year': {PERIODS_TEXT}"),
        ({}, "2026-Q4", f"'gp' keeps no board '2026-Q4': {PERIODS_TEXT}"),
        ({}, "2026-11-27T13", f"'gp' keeps no board '2026-11-27T13': {PERIODS_TEXT}"),
        ({}, "W2026-11-22", f"'gp' keeps no board 'W2026-11-22': {PERIODS_TEXT}"),
        ({}, "season:s1", f"'gp' keeps no board 'season:s1': {PERIODS_TEXT}"),
        ({}, "2026-13", f"'gp' keeps no board '2026-13': {PERIODS_TEXT}; {NAMED}"),
        ({}, "today", f"'gp' keeps no board 'today': {PERIODS_TEXT}; {NAMED}"),
        (
            {"periods": ("all",)},
            "today",
            "'gp' keeps no board 'today': it keeps all; a window is named by one of these",
        ),
        (
            {"periods": ("all", "week", "hour"), "week_starts": "sunday"},
            "today",
            "'gp' keeps no board 'today': it keeps all, week, hour; a window is named by one of these, "
            "or like W2026-11-22 (week), 2026-11-27T12 (hour)",
        ),
        ({"seasons": seasons(2)}, "year", f"'gp' keeps no board 'year': {PERIODS_TEXT}, season:s0, season:s1"),
    ],
)
def test_names_the_boards_that_are_kept_and_how_windows_are_named(
    rules: dict[str, Any], name: str, detail: str
) -> None:
    problem = window_problem(Namespace(1, "gp", 0, 1, Rules(**rules)), name, "$.window")
    assert (problem.detail, problem.field, problem.code) == (detail, "$.window", "board_not_found")


def test_of_many_seasons_it_names_ten() -> None:
    detail = window_problem(Namespace(1, "gp", 0, 1, Rules(seasons=seasons(100))), "year", "{window}").detail
    assert detail.endswith("season:s8, season:s9, 90 more seasons")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("all", "hour", "quarter", "2026", "2026-W53", "2026-11", "season:x")),
        *((name, False) for name in ("", "2026-W54", "2026-02-30", "2026-11-27T24", "W2026-13-01", "ALL", "26")),
    ],
)
def test_knows_a_windows_name(name: str, is_one: bool) -> None:
    assert is_window_name(name) is is_one

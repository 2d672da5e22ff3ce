"""Refused rows are counted by kind of reason."""

import json
from typing import Any

import pytest

from app.transfer.import_client import MemberError
from app.transfer.import_reasons import KINDS_MAX, Refusals, count_refusal, reason_lines, reason_of


def test_reasons_that_differ_by_a_value_are_of_one_kind() -> None:
    reasons: dict[str, Refusals] = {}
    for line, reason in enumerate(("is empty", "has 6 cells", "has 7 cells", "'a' is no time", "'b' is no time"), 2):
        count_refusal(reasons, "invalid", line, reason)
    count_refusal(reasons, "other", 9, "is empty")
    assert reason_lines(reasons) == [
        "invalid: 2, first in line 3: has 6 cells",
        "invalid: 2, first in line 5: 'a' is no time",
        "invalid: 1, first in line 2: is empty",
        "other: 1, first in line 9: is empty",
    ]


def test_kinds_are_bounded() -> None:
    reasons: dict[str, Refusals] = {}
    for i in range(1_000):
        count_refusal(reasons, "invalid", i, "x" * i)
        count_refusal(reasons, "other", i, "y" * i)
    assert len(reasons) <= KINDS_MAX + 2
    assert sum(one.count for one in reasons.values()) == 2_000


@pytest.mark.parametrize(
    ("sent", "field", "reason"),
    [
        ({"amount": "12,5"}, "$.amount", "amount '12,5': is wrong"),
        ({"amount": 12.5}, "$.amount", "amount '12.5': is wrong"),
        ({"user_id": "x" * 41}, "$.user_id", f"user_id '{'x' * 40}…': is wrong"),
        ({"user_id": "é\n"}, "$.user_id", "user_id 'é\\n': is wrong"),
        ({"user_id": ""}, "$.user_id", "user_id: is wrong"),
        ({}, "$.user_id", "user_id: is wrong"),
        ({"meta": {"a": 1}}, "$.meta", "meta: is wrong"),
        ({"meta": {"a": 1}}, "$.meta.a", "meta.a: is wrong"),
        ({"amount": 1}, None, "is wrong"),
    ],
)
def test_a_reason_shows_the_value_that_was_sent(sent: dict[str, Any], field: str | None, reason: str) -> None:
    error = MemberError("invalid", "is wrong", field)
    assert reason_of(error, json.dumps(sent, ensure_ascii=False).encode()) == reason

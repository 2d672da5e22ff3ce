"""The plan of a grant: what a grant as sent becomes in the log, by rules, time and key."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.model.entry_kinds import BACKFILL, GRANT
from app.model.entry_names import entry_id
from app.model.errors import AmountScale, Invalid, Problem
from app.model.grant import Grant, plan
from app.model.micros import to_micros
from app.model.namespace import Namespace, Rules

NOW = to_micros(datetime(2026, 11, 27, 12, tzinfo=UTC))
MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
WINDOWS = ("all", "2026-11", "2026-W48", "2026-11-27")
EARLIER = "2026-11-26T23:30:00Z"


def sent(**fields: Any) -> Grant:
    body = {"grant_id": "g", "user_id": "ann", "amount": 5} | fields
    return msgspec.json.decode(msgspec.json.encode(body), type=Grant)


def space(**rules: Any) -> Namespace:
    return Namespace(7, "race", 3, 1, Rules(**rules))


@pytest.mark.parametrize(
    ("fields", "rules", "options", "body"),
    [
        pytest.param(
            {},
            {},
            {},
            {
                "user": "ann",
                "grant_id": "g",
                "amount": 5,
                "granted_at": NOW,
                "windows": WINDOWS,
                "meta": None,
                "day": None,
            },
            id="the least",
        ),
        pytest.param({"amount": 1.25}, {"scale": 2}, {}, {"amount": 125}, id="scaled"),
        pytest.param(
            {"granted_at": EARLIER},
            {},
            {},
            {"granted_at": NOW - 750 * MINUTE, "windows": ("all", "2026-11", "2026-W48", "2026-11-26")},
            id="sent time",
        ),
        pytest.param(
            {"granted_at": EARLIER},
            {"timezone": "Europe/Berlin", "streaks": True},
            {},
            {"windows": WINDOWS, "day": "2026-11-27"},
            id="the namespace's zone",
        ),
        pytest.param(
            {"granted_at": EARLIER},
            {"streaks": True},
            {"zone": "Asia/Tokyo"},
            {"day": "2026-11-27"},
            id="a user's zone",
        ),
        pytest.param({"meta": {"b": 1, "a": "x"}}, {}, {}, {"meta": b'{"a":"x","b":1}'}, id="meta in one order"),
        pytest.param({}, {}, {"actor": "key", "batch": "b1"}, {"actor": "key", "batch": "b1"}, id="who sent it"),
        pytest.param(
            {"category": "red", "source": "quiz", "source_id": "q1", "action": "won", "session_id": "s"},
            {},
            {},
            {"category": "red", "source": "quiz", "source_id": "q1", "action": "won", "session_id": "s"},
            id="labels",
        ),
    ],
)
def test_what_the_log_carries(
    fields: dict[str, Any], rules: dict[str, Any], options: dict[str, Any], body: dict[str, Any]
) -> None:
    entry = plan(sent(**fields), space(**rules), NOW, **options)
    assert {name: getattr(entry.body, name) for name in body} == body
    assert (entry.body.kind, entry.body.namespace_id, entry.body.revision, entry.body.live_delta) == ("grant", 7, 1, 1)
    assert entry.id == entry_id(GRANT, 7, "g", 1)


@pytest.mark.parametrize(
    ("fields", "rules", "boards", "labels"),
    [
        ({}, {}, WINDOWS, ()),
        ({}, {"periods": ["all"]}, ("all",), ()),
        ({"category": "red"}, {"periods": ["all"]}, ("all",), ("c:red",)),
        ({"category": "red"}, {"periods": ["all"], "category_boards": True}, ("all", "all:red"), ("c:red",)),
        ({"category": "red", "source": "quiz"}, {"periods": ["all"]}, ("all",), ("c:red", "s:quiz")),
        ({"source": "quiz"}, {"periods": ["all"], "streaks": True}, ("all",), ("s:quiz", "d:2026-11-27")),
    ],
)
def test_what_it_moves(
    fields: dict[str, Any], rules: dict[str, Any], boards: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    entry = plan(sent(**fields), space(**rules), NOW)
    assert (entry.boards, entry.labels) == (boards, labels)


@pytest.mark.parametrize(
    ("fields", "rules", "backfill", "verdict"),
    [
        ({}, {}, False, ""),
        ({}, {"mode": "frozen"}, False, "namespace_frozen"),
        ({"granted_at": "2026-10-22T12:00:00Z"}, {}, False, "granted_at_range"),
        ({"granted_at": "2026-10-22T12:00:00Z"}, {}, True, ""),
        ({"granted_at": "2026-10-22T12:00:00Z"}, {"accept_past": None}, False, ""),
        ({"granted_at": "2026-10-23T12:00:00Z"}, {}, False, ""),
        ({"granted_at": "2026-11-27T12:05:00Z"}, {}, False, ""),
        ({"granted_at": "2026-11-27T12:05:01Z"}, {}, False, "granted_at_range"),
        ({"granted_at": "2026-11-27T12:05:01Z"}, {}, True, "granted_at_range"),
        ({"amount": 11}, {"amount_max": 10}, False, "amount_range"),
        ({"amount": 10}, {"amount_max": 10}, False, ""),
        ({"amount": -1}, {"amount_min": 0}, False, "amount_range"),
        ({"amount": 11}, {"amount_max": 10, "suspicious": "quarantine"}, False, "quarantined"),
        ({"amount": 11}, {"amount_max": 10, "mode": "frozen"}, False, "namespace_frozen"),
    ],
)
def test_the_verdict_if_it_is_new(fields: dict[str, Any], rules: dict[str, Any], backfill: bool, verdict: str) -> None:
    entry = plan(sent(**fields), space(**rules), NOW, backfill=backfill)
    assert (entry.verdict, entry.kind) == (verdict, BACKFILL if backfill else GRANT)


@pytest.mark.parametrize(
    ("fields", "rules", "future_max", "known_since"),
    [
        ({}, {}, 0, NOW - 5 * MINUTE),
        ({"granted_at": EARLIER}, {}, 0, NOW - 755 * MINUTE),
        ({}, {"accept_future": timedelta(0)}, 0, NOW),
        ({}, {"accept_future": timedelta(0)}, DAY, NOW - DAY),
        ({}, {"accept_future": timedelta(days=2)}, DAY, NOW - 2 * DAY),
        ({}, {"accept_future": None}, DAY, None),
    ],
)
def test_since_when_it_may_have_been_sent(
    fields: dict[str, Any], rules: dict[str, Any], future_max: int, known_since: int | None
) -> None:
    """By the largest accept_future that was ever in force."""
    namespace = Namespace(7, "race", 3, 1, Rules(**rules), accept_future_max=future_max)
    assert plan(sent(**fields), namespace, NOW).known_since == known_since


@pytest.mark.parametrize(
    ("fields", "problem", "field"),
    [
        ({"grant_id": ""}, Invalid, "$.grant_id"),
        ({"user_id": "a\n"}, Invalid, "$.user_id"),
        ({"category": "x" * 65}, Invalid, "$.category"),
        ({"source": ""}, Invalid, "$.source"),
        ({"amount": "5"}, Invalid, "$.amount"),
        ({"amount": 0.5}, AmountScale, "$.amount"),
        ({"granted_at": "noon"}, Invalid, "$.granted_at"),
        ({"amount": "5", "granted_at": "noon"}, Invalid, "$.amount"),
        ({"grant_id": "", "amount": "5"}, Invalid, "$.grant_id"),
    ],
)
def test_what_no_rule_can_change_is_a_problem_at_once(
    fields: dict[str, Any], problem: type[Problem], field: str
) -> None:
    """The first field that is wrong is named, in this order."""
    with pytest.raises(problem) as raised:
        plan(sent(**fields), space(), NOW)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("change", "same"),
    [
        *((change, False) for change in ({"amount": 6}, {"user_id": "bob"}, {"category": "red"}, {"meta": {"a": 1}})),
        *((change, False) for change in ({"source": "s"}, {"source_id": "i"}, {"action": "a"}, {"session_id": "s"})),
        *((change, False) for change in ({"granted_at": EARLIER}, {"grant_id": "h"})),
        ({"amount": 5.0}, True),
        ({"category": None, "meta": None}, True),
    ],
)
def test_the_content_is_what_was_sent(change: dict[str, Any], same: bool) -> None:
    """When it came, and with which key, is no part of it: a retry is the same grant."""
    first, again = plan(sent(), space(), NOW, actor="a"), plan(sent(**change), space(), NOW + DAY, actor="b", batch="b")
    assert (first.content == again.content) is same

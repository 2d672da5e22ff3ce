"""The problem of a field says what the field must be, never how a decoder names its types."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from app.http.bodies import decode
from app.live.protocol import Message
from app.model.errors import BadRequest, Invalid
from app.model.field_problem import explain
from app.model.grant import Grant
from app.model.namespace import SentRules
from app.settings import SettingsError, read_settings
from app.write.correction_handlers import Correction
from tests.house_rules import ROOT

EVERY_RULE = ", ".join(SentRules.__struct_fields__)
SPAN = "an ISO 8601 duration such as P35D or PT5M"
PERIODS = "all, day, hour, month, quarter, week or year"
VIEW = '{"type":"subscribe","id":1,"namespace":"gp","view":'


@pytest.mark.parametrize(
    ("kind", "body", "field", "detail"),
    [
        (SentRules, '{"visibility":"open"}', "$.visibility", "must be private or public"),
        (SentRules, '{"visibility":5}', "$.visibility", "must be private or public"),
        (SentRules, '{"mode":"off"}', "$.mode", "must be frozen, live or shadow"),
        (SentRules, '{"scale":7}', "$.scale", "must be an integer from 0 to 6"),
        (SentRules, '{"scale":"2"}', "$.scale", "must be an integer from 0 to 6"),
        (SentRules, '{"scale":1e400}', "$.scale", "must be an integer from 0 to 6; this one is too large"),
        (SentRules, '{"amount_min":"2"}', "$.amount_min", "must be a number or null"),
        (SentRules, '{"streaks":1}', "$.streaks", "must be true or false"),
        (SentRules, '{"display_name":5}', "$.display_name", "must be a string or null"),
        (SentRules, '{"day_starts":"4"}', "$.day_starts", "must be of the form 04:00"),
        (SentRules, '{"accept_past":5}', "$.accept_past", f"must be {SPAN} or null"),
        (
            SentRules,
            '{"velocity":[{"per":"1d"}]}',
            "$.velocity[0].per",
            f"must be {SPAN}",
        ),
        (SentRules, '{"velocity":[{}]}', "$.velocity[0].per", "is required"),
        (SentRules, '{"seasons":5}', "$.seasons", "must be a list (each member: an object)"),
        (SentRules, '{"periods":"day"}', "$.periods", f"must be a list (each member: {PERIODS})"),
        (SentRules, '{"size":5}', "$.size", f"there is no such field; there are {EVERY_RULE}"),
        (SentRules, '{"aggregate":5}', "$.aggregate", "there is no such field; did you mean aggregation?"),
        (SentRules, "[]", "$", "must be an object"),
        (Grant, '{"grant_id":"a","user_id":"b","amount":1,"meta":[]}', "$.meta", "must be an object or null"),
        (Grant, '{"grant_id":5}', "$.grant_id", "must be a string"),
        (list[Correction], '[{"grant_id":"a","op":"undo"}]', "$[0].op", "must be edit, restore or void"),
        (list[Correction], '[{"grant_id":"a"}]', "$[0].op", "is required: edit, restore or void"),
        (list[Correction], "{}", "$", "must be a list (each member: an object)"),
        (Message, '{"type":"watch"}', "$.type", "must be auth, subscribe, unsubscribe or ping"),
        (Message, "{}", "$.type", "is required: auth, subscribe, unsubscribe or ping"),
        (Message, VIEW + '{"kind":"all"}}', "$.view.kind", "must be top, around, users or stats"),
    ],
)
def test_says_what_a_field_must_be(kind: Any, body: str, field: str, detail: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode(msgspec.json.Decoder(kind), body.encode())
    assert (refused.value.field, refused.value.detail) == (field, detail)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b'{"grant_id":', "the body ends too early"),
        (b'{"grant_id":"\\ud800', "a string holds a lone surrogate"),
        (b"{grant_id}", "the body is not JSON: object keys must be strings (byte 1)"),
        (b'{"grant_id":"\xff"}', "the body is not UTF-8"),
        (b'{"amount":NaN}', "the body is not JSON: JSON has no NaN and no Infinity (byte 10)"),
        (b'{"amount": -Infinity}', "the body is not JSON: JSON has no NaN and no Infinity (byte 12)"),
        (b'{"amount":None}', "the body is not JSON: invalid character (byte 10)"),
    ],
)
def test_says_why_a_body_cannot_be_read(body: bytes, detail: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(msgspec.json.Decoder(Grant), body)
    assert refused.value.detail == detail


def test_says_that_a_body_is_no_messagepack() -> None:
    with pytest.raises(BadRequest, match="the body is not MessagePack: invalid opcode"):
        decode(msgspec.msgpack.Decoder(Grant), b"\xc1")


def test_a_message_about_what_no_type_tells_stays() -> None:
    assert explain("Number out of range - at `$.odd`", Grant) == ("$.odd", "Number out of range")


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("PORT", "abc", "must be an integer from 0 to 65535"),
        ("PORT", "65536", "must be an integer from 0 to 65535"),
        ("WORKERS", "0", "must be an integer from 1 to 256"),
        ("DEDUP_S", "x", "must be an integer of at least 60"),
        ("NAMESPACE_LOG_SHARE_MAX", "2", "must be a number above 0, at most 1"),
        ("CHORES_S", "often", "must be a number from 0.1 to 3600"),
        ("QUOTAS", "maybe", "must be off or on"),
        ("METRICS_PORT", "abc", "must be an integer from 0 to 65535"),
        ("POSTGRES_URL", "me:secret@db", "must be of the form postgresql://postgres@127.0.0.1:5432/leaderboard"),
        ("API_KEY", "lb_x_short", "must be lb_<id>_<secret of 16 or more characters>"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "must be networks in CIDR notation: 10.0.0.1/8 has host bits set"),
        ("REDIS_URI", "redis://x", "there is no such setting; did you mean LEADERBOARD_REDIS_URL?"),
        ("COLOUR", "red", "there is no such setting"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_it_must_be(name: str, value: str, detail: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({f"LEADERBOARD_{name}": value})
    shown = "" if name.endswith(("_KEY", "_URL")) or "no such setting" in detail else f"={value}"
    assert str(refused.value) == f"LEADERBOARD_{name}{shown}: {detail}"


def test_variables_of_clients_may_stand_beside_the_settings() -> None:
    """Who imports and compares in one shell has both."""
    code = "".join(path.read_text() for path in (ROOT / "app" / "commands").glob("*.py"))
    names = set(re.findall(r'envvar="(\w+)"', code))
    assert names >= {"LEADERBOARD_URL", "LEADERBOARD_SQL_URL"}
    for name in names - {"LEADERBOARD_API_KEY"}:
        read_settings({name: "http://127.0.0.1:8123"})


def test_all_wrong_settings_are_named_at_once_without_secrets() -> None:
    wrong = {
        "LEADERBOARD_PORT": "abc",
        "LEADERBOARD_REDIS_URL": "https://:canary@h",
        "LEADERBOARD_DEDUP_S": "1",
        "LEADERBOARD_HOST": "127.0.0.1",
        "LEADERBOARD_API_KEY": "canary",
    }
    with pytest.raises(SettingsError) as refused:
        read_settings(wrong, workers=0)
    names = [fault.partition(":")[0] for fault in refused.value.faults]
    assert names == [
        *("LEADERBOARD_PORT=abc", "LEADERBOARD_REDIS_URL", "LEADERBOARD_DEDUP_S=1", "LEADERBOARD_API_KEY"),
        "LEADERBOARD_WORKERS=0",
    ]
    assert "canary" not in str(refused.value)

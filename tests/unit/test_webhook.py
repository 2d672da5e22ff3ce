"""What a client may write of a webhook, and how messages are signed."""

from typing import Any

import msgspec
import pytest

from app.access.keys import Principal
from app.model.errors import Invalid
from app.model.webhook import WebhookRequest, like_pattern, read_webhook

GOOD: dict[str, Any] = {"url": "https://example.com/hook", "namespaces": "f1-*", "types": ["granted"]}


def read(takes_loopback: bool = False, **settings: Any) -> Any:
    sent = msgspec.convert(GOOD | settings, WebhookRequest)
    return read_webhook(sent, takes_loopback=takes_loopback)


def test_types_stand_once_and_include_is_ordered() -> None:
    settings = read(types=["voided", "granted", "voided"], include=["reason", "meta", "meta"])
    assert (settings.types, settings.include) == (("voided", "granted"), ("meta", "reason"))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": "http://example.com"}, "$.url"),
        ({"url": "https://"}, "$.url"),
        ({"url": "https://user:pw@example.com"}, "$.url"),
        ({"url": "https://example.com/#part"}, "$.url"),
        ({"url": "https://example.com/a b"}, "$.url"),
        ({"url": "https://example.com\r\nx: y"}, "$.url"),
        ({"url": "https://example.com:99999"}, "$.url"),
        ({"url": "https://[::1"}, "$.url"),
        ({"url": "ftp://example.com"}, "$.url"),
        ({"url": "https://10.0.0.1/"}, "$.url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "$.url"),
        ({"url": "https://localhost/"}, "$.url"),
        ({"url": "https://bücher.example"}, "$.url"),
        ({"url": "https://example.com/" + "x" * 2048}, "$.url"),
        ({"namespaces": ""}, "$.namespaces"),
        ({"namespaces": "f1-[ab]"}, "$.namespaces"),
        ({"namespaces": "f1-?"}, "$.namespaces"),
        ({"types": []}, "$.types"),
        ({"types": ["entered"], "namespaces": "f1"}, "$.board"),
        ({"types": ["entered"], "board": {"window": "all"}}, "$.namespaces"),
        ({"board": {"window": "all"}, "namespaces": "f1"}, "$.board"),
        ({"secret": "whsec_" + "A" * 8}, "$.secret"),
        ({"secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "$.secret"),
        ({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "rotate": True}, "$.rotate"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(**settings)
    assert caught.value.field == field


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:9/x"])
def test_http_goes_to_this_machine_alone_and_only_by_the_setting(url: str) -> None:
    assert read(True, url=url).url == url
    with pytest.raises(Invalid):
        read(url=url)


def test_a_pattern_is_one_of_sql() -> None:
    assert like_pattern("a_b.*-c") == r"a\_b.%-c"


@pytest.mark.parametrize(
    ("scope", "pattern", "covers"),
    [
        ("admin:*", "*", True),
        ("admin:f1-*", "f1-*", True),
        ("admin:f1-*", "f1-2021-*", True),
        ("admin:f1-*", "f1-2021", True),
        ("admin:f1-*", "f*", False),
        ("admin:f1-*", "*", False),
        ("admin:f1-?", "f1-*", False),
        ("admin:f1-?", "f1-a", True),
        ("admin:f1-[!a]", "f1-*", False),
        ("admin:f1-[ab]", "f1-a", True),
        ("admin:f1-[z-a]", "f1-a", False),
        ("admin:f1", "f1", True),
        ("admin:*-2021", "f1-*-2021", True),
        ("admin:*-2021", "f1-*", False),
        ("write:*", "f1", False),
    ],
)
def test_a_key_covers_every_name_that_a_pattern_matches(scope: str, pattern: str, covers: bool) -> None:
    assert Principal("k", (scope,)).covers("admin", pattern) is covers

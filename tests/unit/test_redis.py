"""Replies that are errors: one check makes them RedisRefused for all callers."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from app.drivers.redis import RedisRefused, ask, ask_all, transact

DENIED = ResponseError("NOPERM this user has no permissions")
APP = Path(__file__).parents[2] / "app"


class Replies:
    """A connection that gives these replies."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.calls: list[Any] = []

    async def run(self, calls: Any) -> list[Any]:
        self.calls += calls
        return self.replies


def test_replies_come_in_the_order_of_the_calls() -> None:
    connection: Any = Replies(b"1", None)
    assert asyncio.run(ask_all(connection, [("GET", "a"), ("GET", "b")])) == [b"1", None]
    assert asyncio.run(ask(Replies(b"1"), ("GET", "a"))) == b"1"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("", "NOPERM this user has no permissions"),
        ("a profile", "Redis refuses a profile: NOPERM this user has no permissions"),
    ],
)
def test_an_error_among_replies_is_raised(what: str, text: str) -> None:
    with pytest.raises(RedisRefused, match=f"^{re.escape(text)}$"):
        asyncio.run(ask_all(Replies(b"1", DENIED), [("GET", "a"), ("GET", "b")], what))  # type: ignore[arg-type]


@pytest.mark.parametrize("replies", [("OK", b"QUEUED", DENIED), ("OK", b"QUEUED", [b"1", DENIED])])
def test_so_is_one_of_a_transaction(replies: tuple[Any, ...]) -> None:
    with pytest.raises(RedisRefused, match="NOPERM"):
        asyncio.run(transact(Replies(*replies), [("GET", "a")]))  # type: ignore[arg-type]


def test_a_transaction_gives_what_its_calls_gave() -> None:
    connection: Any = Replies("OK", b"QUEUED", [b"1"])
    assert asyncio.run(transact(connection, [("GET", "a")])) == [b"1"]
    assert connection.calls == [("MULTI",), ("GET", "a"), ("EXEC",)]

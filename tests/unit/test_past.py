import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.model.errors import Overloaded
from app.model.namespace import Namespace, Rules
from app.model.windows import ALL
from app.read.past import AT_ONCE_MAX, Past


class Slow:
    """A ledger that answers when it is let go, and a Redis that holds nothing."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        await self.go.wait()
        return [{"grants": 0, "grants_within": 0, "total": 0, "position": None, "last_seq": None}]

    async def fetch_one(self, query: str, *args: Any) -> None:
        return None

    async def call(self, call: Any) -> None:
        return None


def test_no_more_than_a_few_ask_about_the_past_at_once() -> None:
    async def run() -> None:
        slow = Slow()
        past = Past(slow, slow)  # type: ignore[arg-type]
        ask = (Namespace(1, "race", 0, 1, Rules()), ALL, None, datetime.now(UTC), "competition")
        asked = [asyncio.create_task(past.board(*ask)) for _ in range(AT_ONCE_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await past.board(*ask)
        slow.go.set()
        await asyncio.gather(*asked)
        assert (await past.board(*ask)).total == 0

    asyncio.run(run())

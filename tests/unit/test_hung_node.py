"""A node of a cluster that hangs delays who asks all nodes once, and not each time."""

import asyncio
from typing import Any

import pytest

from app.drivers.redis import HUNG_PAUSE_S, HUNG_TRY_S, NodeMap, RedisConnection
from app.drivers.redis_topology import SLOTS
from app.model.redis_url import Host
from app.store import keys
from tests.support.virtual_time import VirtualTime

URL = "redis+cluster://a:1,b:2"
GETS = [("HGET", keys.meta(p), "seq") for p in range(16)]


class Node:
    """Answers at once, or hangs for as long as a call is waited for."""

    def __init__(self) -> None:
        self.hangs = False
        self.calls: list[Any] = []

    async def run(self, calls: list[Any], _timeout_s: float | None = None) -> list[Any]:
        self.calls += calls
        if self.hangs:
            await asyncio.sleep(HUNG_PAUSE_S)
            raise TimeoutError
        return [b"7" for _ in calls]


def test_a_node_that_hung_is_sent_nothing_until_it_answers_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    time = VirtualTime(monkeypatch)
    nodes = NodeMap.of_url(URL)
    nodes._take([(0, SLOTS // 2 - 1, Host("a", 1)), (SLOTS // 2, SLOTS - 1, Host("b", 2))])

    async def learn() -> None:
        """The map stays."""

    monkeypatch.setattr(nodes, "learn", learn)
    redis, hung = RedisConnection(URL, [], nodes=nodes), Node()
    redis._links |= {"a:1": Node(), "b:2": hung}  # type: ignore[dict-item]

    async def ask() -> tuple[int, float]:
        """How many calls were answered, and in which time."""
        began = time.passed_s
        replies = await redis.run_apart(GETS)
        return sum(reply == b"7" for reply in replies), time.passed_s - began

    async def act() -> None:
        count, took_s = await ask()
        assert (count, took_s) == (len(GETS), 0)
        hung.hangs = True
        count, took_s = await ask()
        assert 0 < count < len(GETS)
        assert took_s == HUNG_PAUSE_S
        hung.calls.clear()
        assert await ask() == (count, 0)
        await asyncio.sleep(HUNG_PAUSE_S)
        assert await ask() == (count, HUNG_TRY_S)
        assert hung.calls == [("TIME",)]
        hung.hangs = False
        assert await ask() == (count, 0)
        await asyncio.sleep(HUNG_PAUSE_S)
        assert await ask() == (len(GETS), 0)

    time.run(act())

"""A node of a cluster that was away is compared before it is read again: it may lack what the others were told."""

import asyncio
from itertools import groupby
from typing import Any

import pytest

from app.drivers.store_contact import contact
from app.model.errors import Problem
from app.store import keys
from app.store.read_batcher import ReadBatcher
from tests.support.one_node import OneNode

QUESTION = ("HGET", keys.meta(3), "seq")


class Link:
    """A node that loses some rounds. events: what was asked of it, and that it was compared."""

    contact = contact("Redis", "redis://here:1")

    def __init__(self) -> None:
        self.losses: list[Exception] = []
        self.events: list[str] = []

    def server_id(self, key: str) -> str:
        return "here"

    async def run(self, calls: Any) -> list[Any]:
        await asyncio.sleep(0)
        if self.losses:
            self.events.append("lost")
            raise self.losses.pop(0)
        self.events.append("read")
        return [[b"here", None, b"1", None, None] if call[0] == "HMGET" else b"7" for call in calls]

    async def close(self) -> None:
        pass

    async def renew(self, name: str) -> None:
        self.events.append("compared")


class Nodes(OneNode):
    def __init__(self, link: Link, is_cluster: bool) -> None:
        super().__init__(link)
        self.is_cluster = is_cluster


def events(losses: list[Exception], is_cluster: bool, reads: int) -> tuple[list[str], list[Any]]:
    """What happens in some reads, one after the other, each once in a row, and their replies."""

    async def run() -> tuple[list[str], list[Any]]:
        link, replies = Link(), []
        reader = ReadBatcher(Nodes(link, is_cluster), link.renew)  # type: ignore[arg-type]
        loop = asyncio.create_task(reader.run())
        await reader.call(QUESTION)
        link.events.clear()
        link.losses = losses
        try:
            for _ in range(reads):
                try:
                    replies.append(await reader.call(QUESTION))
                except Problem as problem:
                    replies.append(problem.code)
        finally:
            loop.cancel()
        return [event for event, _ in groupby(link.events)], replies

    return asyncio.run(run())


@pytest.mark.parametrize("loss", [TimeoutError("silent"), ConnectionError("gone")])
def test_it_is_compared_once_and_then_read(loss: Exception) -> None:
    losses = [loss] * (1 if isinstance(loss, TimeoutError) else 2)  # a lost connection is tried again at once
    seen, replies = events(list(losses), True, 3)
    assert replies == ["store_unavailable", b"7", b"7"]
    assert seen == ["lost", "read", "compared", "read"]


def test_a_single_redis_was_told_everything_or_nothing_counted() -> None:
    seen, replies = events([TimeoutError("silent")], False, 2)
    assert replies == ["store_unavailable", b"7"]
    assert seen == ["lost", "read"]

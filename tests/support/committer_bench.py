"""A committer beside a fake connection, a ledger that answers as a test says, and a clock that is turned by hand."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

import msgspec
import pytest

from app.model.entry import PlannedEntry
from app.model.errors import Problem
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.store.apply import StorageLimits
from app.store.clock import StoreClock
from app.write.committer import Committer
from tests.support.fake_connection import FakeConnection, FakeNodes
from tests.support.virtual_time import VirtualTime

NOW = 1_800_000_000_000_000


class CommitterBench:
    """A committer with its Redis, its ledger and its time. renewals: how often it had partitions compared."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.redis = FakeConnection()
        self.clock = StoreClock(lambda: NOW, lambda: round(time() * 1e9))
        self.nodes = FakeNodes(self.redis)
        self.renewals = 0
        self.committer = Committer(self.nodes, lambda p: StorageLimits(), self.clock, self._renew)  # type: ignore[arg-type]

    async def _renew(self, _name: str) -> None:
        """Has partitions marked, where this Redis lacks nothing."""
        self.renewals += 1
        for partition in self.redis.partitions.values():
            if partition.is_whole:
                partition.checked = "here"

    def entries(self, *names: str, partition: int = 0) -> list[PlannedEntry]:
        """A grant each."""
        namespace = Namespace(1 + partition, "race", partition, 1, Rules())
        made = [plan(Grant(name, "otter", msgspec.Raw(b"5")), namespace, NOW) for name in names]
        self.redis.ids.update(entry.id for entry in made)
        return made

    def submit(
        self, entries: list[PlannedEntry], *, atomic: bool = False, together: bool = False
    ) -> "asyncio.Task[list[Any]]":
        """Begins to hand entries in."""
        partition = entries[0].namespace.partition
        return asyncio.create_task(self.committer.submit(partition, entries, atomic, together))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Runs a test's steps beside the committer's rounds."""

        async def both() -> None:
            rounds = asyncio.create_task(self.committer.run())
            try:
                await main
            finally:
                rounds.cancel()

        self.time.run(both())


def ids(*entries: Sequence[PlannedEntry]) -> list[bytes]:
    """Those of some entries, in order."""
    return [entry.id for part in entries for entry in part]


async def codes(waiting: Awaitable[list[Any]]) -> list[str]:
    """Those of the outcomes."""
    return [outcome.code for outcome in await waiting]


async def failure(waiting: Awaitable[Any]) -> Problem:
    """What it ends with."""
    with pytest.raises(Problem) as caught:
        await waiting
    return caught.value

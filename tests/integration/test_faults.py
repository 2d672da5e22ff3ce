"""What persisters record of failing work: each speaks for itself."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from app.persist.faults import EVERYWHERE, WorkUnit
from app.persist.heartbeat import beat
from app.persist.ledger_session import LedgerSession
from app.task_end import cancel_and_wait
from tests.conftest import Stack
from tests.support.waits import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def client(own_stack: Stack) -> Iterator[httpx.Client]:
    with own_stack.client() as client:
        yield client


def test_a_persister_that_starts_leaves_the_faults_of_others(own_stack: Stack, client: httpx.Client) -> None:
    """A fault without a partition is reported until its persister clears it, or ends and another one starts."""

    def lines() -> list[str]:
        return [line for line in client.get("/readyz").json()["degraded"] if "planted" in line]

    def persister() -> Any:
        """The number of the stack's own, once it holds a partition."""
        with psycopg.connect(own_stack.postgres.url) as db:
            return db.execute("SELECT max(holder) FROM leases").fetchone()

    async def work() -> None:
        other = await LedgerSession.connect(own_stack.postgres.url)
        beats = asyncio.create_task(beat(own_stack.postgres.url, other.leases.number, time.monotonic))
        try:
            await other.report_fault(WorkUnit(EVERYWHERE, "clock", ""), "planted")
            await other.report_fault(WorkUnit(EVERYWHERE, "namespace", "7"), "planted too")
            assert lines() == ["clock fails: planted", "namespace 7 fails: planted too"]
            first = await asyncio.to_thread(persister)
            own_stack.stop("persist")
            own_stack.start("persist")
            await asyncio.to_thread(until, lambda: persister() not in (None, first), "the persister starts")
            assert lines() == ["clock fails: planted", "namespace 7 fails: planted too"]
            await other.report_fault(WorkUnit(EVERYWHERE, "clock", ""), None)
            assert lines() == ["namespace 7 fails: planted too"]
        finally:
            await cancel_and_wait(beats)
            other.terminate()
        assert lines() == ["namespace 7 fails: planted too"], "why a persister ended is told after its end"
        own_stack.stop("persist")
        own_stack.start("persist")
        await asyncio.to_thread(until, lambda: lines() == [], "the next one that starts takes it back")

    asyncio.run(work())


def test_one_fault_of_two_persisters_is_reported_once(own_stack: Stack, client: httpx.Client) -> None:
    """It is over when both say so."""

    def lines() -> list[str]:
        return [line for line in client.get("/readyz").json()["degraded"] if "planted" in line]

    async def work() -> None:
        one, two = [await LedgerSession.connect(own_stack.postgres.url) for _ in range(2)]
        try:
            for session in (one, two):
                await session.report_fault(WorkUnit(EVERYWHERE, "clock", ""), "planted")
            assert lines() == ["clock fails: planted"]
            await one.report_fault(WorkUnit(EVERYWHERE, "clock", ""), None)
            assert lines() == ["clock fails: planted"]
            await two.report_fault(WorkUnit(EVERYWHERE, "clock", ""), None)
            assert lines() == []
        finally:
            one.terminate()
            two.terminate()

    asyncio.run(work())

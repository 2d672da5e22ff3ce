"""Connections to Postgres are shared out: by way in, and in each by client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from app.drivers.caller import CALLER, OWN, stranger
from app.drivers.pools import CONNECTIONS_MAX, WAITING_MAX, PoolName
from app.drivers.postgres import Postgres
from app.model.errors import Overloaded
from tests.support.template import tables_alone

DEADLINE_S = 5.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tables_alone(tmp_path_factory.mktemp("pools"), tmp_path_factory) as cluster:
        yield cluster.url


@asynccontextmanager
async def connected(url: str, timeout_s: float) -> AsyncIterator[Postgres]:
    postgres = Postgres(url, timeout_s)
    try:
        yield postgres
    finally:
        await postgres.close()


async def hold(stack: AsyncExitStack, postgres: Postgres, caller: str, count: int) -> None:
    """Connections that a caller does not give back."""
    CALLER.set(caller)
    for _ in range(count):
        await stack.enter_async_context(postgres.snapshot())


def test_reads_without_a_key_take_nobody_elses_connections(url: str) -> None:
    async def run() -> None:
        async with connected(url, DEADLINE_S) as postgres, AsyncExitStack() as resources:
            for client in range(CONNECTIONS_MAX[PoolName.ANONYMOUS]):
                await hold(resources, postgres, stranger(f"10.0.0.{client}"), 1)
            CALLER.set("key")
            assert await postgres.fetch("get_offsets") == []
            assert await postgres.writes.fetch("get_offsets") == []
            CALLER.set(OWN)
            assert await postgres.fetch("get_offsets") == []

    asyncio.run(run())


@pytest.mark.parametrize("lane", list(PoolName))
def test_one_client_cannot_take_a_whole_lane(url: str, lane: PoolName) -> None:
    async def run() -> None:
        async with connected(url, DEADLINE_S) as postgres, AsyncExitStack() as resources:
            others = {PoolName.WRITES: postgres.writes, PoolName.SEARCHES: postgres.searches}
            postgres = others.get(lane, postgres)
            name = stranger if lane in (PoolName.ANONYMOUS, PoolName.SEARCHES) else str
            await hold(resources, postgres, name("greedy"), CONNECTIONS_MAX[lane] - 1)
            waiting = asyncio.create_task(postgres.fetch("get_offsets"))
            await asyncio.sleep(0)
            CALLER.set(name("modest"))
            assert await postgres.fetch("get_offsets") == []
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(run())


def test_a_query_beyond_the_waiting_ones_fails_at_once_and_a_waiting_one_by_the_deadline(url: str) -> None:
    async def run() -> None:
        async with connected(url, 1.0) as postgres, AsyncExitStack() as resources:
            share = CONNECTIONS_MAX[PoolName.READS] - 1
            await hold(resources, postgres, "greedy", share)
            requests = [asyncio.create_task(postgres.fetch("get_offsets")) for _ in range(WAITING_MAX + 8)]
            first, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
            assert len(first) == 8 + share
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert {type(error) for error in results} == {Overloaded}
        async with connected(url, 1.0) as postgres:
            assert await postgres.fetch("get_offsets") == []

    asyncio.run(run())


def test_what_was_refused_holds_nothing(url: str) -> None:
    async def run() -> None:
        async with connected(url, 0.3) as postgres:
            async with AsyncExitStack() as resources:
                await hold(resources, postgres, stranger("greedy"), 1)
                for _ in range(3):
                    with pytest.raises(Overloaded):
                        await postgres.fetch("get_offsets")
            for _ in range(5):
                assert await postgres.fetch("get_offsets") == []

    asyncio.run(run())

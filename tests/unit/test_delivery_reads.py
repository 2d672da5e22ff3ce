"""Reads of the deliverer: what hangs leaves connections to the others."""

import asyncio
from typing import Any

import pytest

from app.drivers.postgres import Fetch
from app.webhooks import delivery_reads
from app.webhooks.delivery_reads import CONNECTIONS_MAX, KEY_READS_MAX, DeliveryReads


class Postgres:
    """Hangs for `get_webhook_rights` of the numbers in `hung`. connections: those that were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hung: set[int] = set()
        self.under_way = 0
        self.connections: list[Connection] = []
        monkeypatch.setattr(delivery_reads, "connect", self._connect)
        monkeypatch.setattr(delivery_reads, "queries", lambda: {"read": "read"})

    async def _connect(self, *_: Any) -> "Connection":
        self.connections.append(Connection(self))
        return self.connections[-1]


class Connection:
    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self.is_open = True

    async def fetch(self, _: str, number: int) -> list[Any]:
        self._postgres.under_way += 1
        try:
            if number in self._postgres.hung:
                await asyncio.sleep(0.05)
                raise TimeoutError
            return [number]
        finally:
            self._postgres.under_way -= 1

    def terminate(self) -> None:
        self.is_open = False


async def read(fetch: Fetch, number: int) -> list[Any]:
    rows: list[Any] = await fetch("read", number)
    return rows


def test_a_key_whose_reads_hang_leaves_connections_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        postgres, reads = Postgres(monkeypatch), DeliveryReads("")
        postgres.hung = {1}
        tasks = [asyncio.create_task(read(reads.of("a"), 1)) for _ in range(20)]
        await asyncio.sleep(0)
        assert await read(reads.of("b"), 2) == [2]
        assert postgres.under_way == KEY_READS_MAX
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_webhooks_that_failed_share_one_connection_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        postgres, reads = Postgres(monkeypatch), DeliveryReads("")
        postgres.hung = {1}
        doubtful = [reads.of(f"k{i}", is_doubtful=True) for i in range(20)]
        tasks = [asyncio.create_task(read(fetch, 1)) for fetch in doubtful]
        await asyncio.sleep(0)
        assert await read(reads.of("k0"), 2) == [2]
        assert postgres.under_way == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        monkeypatch.setattr(delivery_reads, "monotonic", lambda: 10**9)
        await asyncio.gather(*(read(fetch, 2) for fetch in doubtful))
        assert len([one for one in postgres.connections if one.is_open]) <= CONNECTIONS_MAX

    asyncio.run(run())


def test_a_connection_whose_read_failed_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        postgres, reads = Postgres(monkeypatch), DeliveryReads("")
        postgres.hung = {1}
        with pytest.raises(TimeoutError):
            await read(reads.fetch, 1)
        assert await read(reads.fetch, 2) == [2]
        assert await read(reads.fetch, 3) == [3]
        assert [one.is_open for one in postgres.connections] == [False, True]
        reads.end()
        assert [one.is_open for one in postgres.connections] == [False, False]

    asyncio.run(run())

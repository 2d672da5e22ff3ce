"""A swarm without a key leaves the reads of a key alone, whatever names it asks for."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

SWARM = 120
BOARDS = 100
ROUNDS = 2


@pytest.mark.timeout(120)
def test_a_swarm_of_unknown_names_refuses_no_read_with_a_key(live_server: Any, api: httpx.Client, space: str) -> None:
    body = {"grant_id": "g1", "user_id": "otter", "amount": 1}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
    statuses: Counter[int] = Counter()

    async def act() -> None:
        limits = httpx.Limits(max_connections=None)
        options: Any = {"base_url": live_server.url, "timeout": 60, "limits": limits}
        async with httpx.AsyncClient(**options) as swarm, httpx.AsyncClient(**options, headers=api.headers) as mine:
            over = asyncio.Event()

            async def ask(number: int) -> None:
                for turn in range(ROUNDS):
                    names = [{"namespace": f"unknown-{number}-{turn}-{i}"} for i in range(BOARDS)]
                    answer = await swarm.post("/v1/boards", json={"boards": names})
                    # Each board is refused on its own, or the whole where this address asks for too much at once.
                    assert answer.status_code in (200, 429), answer.text

            async def read(number: int) -> None:
                i = 0
                while not over.is_set():
                    i += 1
                    path = f"/v1/namespaces/{space}/boards/all?limit={number * 40 + i % 40 + 1}"
                    statuses[(await mine.get(path)).status_code] += 1

            readers = [asyncio.create_task(read(number)) for number in range(10)]
            await asyncio.gather(*(ask(number) for number in range(SWARM)))
            over.set()
            await asyncio.gather(*readers)

    asyncio.run(act())
    assert set(statuses) == {200}
    assert statuses[200] >= 10

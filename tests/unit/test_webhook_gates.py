"""Attempts under way: those of one key have a bound of their own."""

import asyncio
from time import monotonic

import pytest

from app.webhooks import webhook_task
from app.webhooks.webhook_task import Gates


def test_slow_receivers_of_one_key_leave_room_for_other_keys() -> None:
    async def run() -> list[str]:
        gates = Gates(lambda: False, key_attempts_max=2, attempts_max=4)
        under_way: list[str] = []
        end = asyncio.Event()

        async def attempt(key: str) -> None:
            async with gates.attempt(key):
                under_way.append(key)
                await end.wait()

        tasks = [asyncio.create_task(attempt(key)) for key in "aaaaab"]
        while len(under_way) < 3:
            await asyncio.sleep(0)
        seen = sorted(under_way)
        end.set()
        await asyncio.gather(*tasks)
        return seen

    assert asyncio.run(run()) == ["a", "a", "b"]


def test_attempts_begin_one_by_one_while_the_process_is_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(webhook_task, "CROWD_PAUSE_S", 0.02)
        is_crowded = True
        gates = Gates(lambda: is_crowded, key_attempts_max=100, attempts_max=100)
        begun: list[float] = []

        async def attempt() -> None:
            async with gates.attempt("a"):
                begun.append(monotonic())

        await asyncio.gather(*(attempt() for _ in range(5)))
        assert begun[-1] - begun[0] >= 0.07
        is_crowded = False
        begun.clear()
        await asyncio.gather(*(attempt() for _ in range(50)))
        assert begun[-1] - begun[0] < 0.5

    asyncio.run(run())

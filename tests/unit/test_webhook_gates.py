"""Attempts under way: those of one key have a bound of their own."""

import asyncio

from app.webhooks.webhook_task import Gates


def test_slow_receivers_of_one_key_leave_room_for_other_keys() -> None:
    async def run() -> list[str]:
        gates = Gates(key_attempts_max=2, attempts_max=4)
        under_way: list[str] = []
        end = asyncio.Event()

        async def attempt(key: str) -> None:
            async with gates.of(key), gates.all:
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

"""What a persister brings back by itself: no error of one look ends the looks that follow."""

import asyncio

import pytest

from app.recover import auto_recovery
from app.recover.auto_recovery import AutoRecovery
from app.settings import Settings


def test_a_look_that_breaks_off_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        looks: asyncio.Queue[int] = asyncio.Queue()

        async def break_off(_recovery: AutoRecovery) -> None:
            looks.put_nowait(1)
            raise ValueError("a row that nobody expected")

        monkeypatch.setattr(auto_recovery, "LOOK_S", 0.0)
        monkeypatch.setattr(AutoRecovery, "_look", break_off)
        task = asyncio.create_task(AutoRecovery(Settings(recover="auto")).run())
        try:
            for _ in range(2):
                assert await asyncio.wait_for(looks.get(), 5) == 1
            assert not task.done()
        finally:
            task.cancel()

    asyncio.run(check())

"""A task that is to end."""

import asyncio

import pytest

from app import task_end
from app.task_end import cancel_and_wait, complete


def test_one_that_does_not_hear_the_first_word_ends_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = 2
    monkeypatch.setattr(task_end, "AGAIN_S", 0.01)

    async def work() -> None:
        nonlocal deaf
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                deaf -= 1
                if deaf < 0:
                    raise

    async def both() -> None:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        await cancel_and_wait(task)
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(both(), 10))
    assert deaf == -1


def test_one_that_is_done_is_left_alone() -> None:
    async def both() -> int:
        task = asyncio.ensure_future(asyncio.sleep(0, 5))
        await task
        await cancel_and_wait(task)
        return task.result()

    assert asyncio.run(both()) == 5


def test_an_end_that_takes_longer_than_a_second_is_not_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends a persister cancels it again every second; its tasks would stay, and the process with them."""
    monkeypatch.setattr(task_end, "AGAIN_S", 0.01)
    ended = []

    async def end() -> None:
        await asyncio.sleep(0.1)
        ended.append("connections")

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await complete(end())

    async def both() -> None:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        await cancel_and_wait(task)
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(both(), 10))
    assert ended == ["connections"]


def test_an_end_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_end, "END_S_MAX", 0.02)

    async def both() -> None:
        await complete(asyncio.sleep(60))

    asyncio.run(asyncio.wait_for(both(), 10))


def test_what_an_end_raises_is_raised() -> None:
    async def end() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        asyncio.run(complete(end()))

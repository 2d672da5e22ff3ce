"""Calls under way to a former primary are given up; others are waited for."""

import asyncio
import gc
from typing import Any

import pytest

from app.drivers.primary_watch import QUESTION_S, SILENT_S, TICK_S, PrimaryWatch
from app.drivers.redis import RedisRefused
from tests.support.virtual_time import VirtualTime


class Link:
    def __init__(self, watch: PrimaryWatch, url: str, waits_since_s: float | None = None) -> None:
        self.url, self.waits_since_s, self.is_open = url, waits_since_s, True
        watch.add(self)

    async def close(self) -> None:
        self.is_open, self.waits_since_s = False, None


class Nodes:
    """Who is asked for the primaries. questions: when that was, in seconds since the beginning."""

    def __init__(self, time: VirtualTime, *, asks_always: bool = False) -> None:
        self.primaries: set[str] | Exception = {"a", "b"}
        self.questions: list[float] = []
        self._time = time
        self.watch = PrimaryWatch(self._read, asks_always=asks_always)

    async def _read(self) -> set[str]:
        self.questions.append(self._time.passed_s)
        await asyncio.sleep(0.01)
        if isinstance(self.primaries, Exception):
            raise self.primaries
        return self.primaries


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


def test_a_call_that_waits_is_given_up_once_another_node_took_the_place(time: VirtualTime) -> None:
    nodes = Nodes(time)
    late, other = Link(nodes.watch, "a", time()), Link(nodes.watch, "b", time())

    async def act() -> None:
        nodes.watch.note_call()
        await asyncio.sleep(1)
        assert nodes.questions[0] == pytest.approx(SILENT_S, abs=TICK_S)
        assert (late.is_open, other.is_open) == (True, True)  # It hangs, and nobody took its place.
        nodes.primaries = {"b", "c"}
        await asyncio.sleep(3 * TICK_S)
        assert (late.is_open, other.is_open) == (False, True)

    time.run(act())


def test_nobody_is_asked_while_calls_are_answered(time: VirtualTime) -> None:
    nodes = Nodes(time)
    link = Link(nodes.watch, "former")

    async def act() -> None:
        for _ in range(100):
            link.waits_since_s = time()
            nodes.watch.note_call()
            await asyncio.sleep(SILENT_S / 2)
        link.waits_since_s = None
        await asyncio.sleep(10)
        assert (nodes.questions, link.is_open) == ([], True)

    time.run(act())


@pytest.mark.parametrize(
    "error",
    [ConnectionError("no Sentinel answers"), RedisRefused("NOPERM"), ValueError("no port: 'soon'")],
    ids=lambda error: type(error).__name__,
)
def test_where_nobody_tells_the_primaries_all_links_stay_and_they_are_asked_for_again(
    time: VirtualTime, error: Exception
) -> None:
    nodes = Nodes(time)
    nodes.primaries = error
    link = Link(nodes.watch, "former", time())

    async def act() -> None:
        unseen: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        nodes.watch.note_call()
        await asyncio.sleep(1)
        assert (link.is_open, len(nodes.questions) > 2) == (True, True)
        nodes.primaries = {"a"}
        await asyncio.sleep(1)
        assert (link.is_open, link.waits_since_s) == (False, None)
        gc.collect()
        assert not unseen  # Nobody waits for the question: what it raised would be told by nobody but asyncio.

    time.run(act())


def test_sentinels_are_asked_also_while_a_former_primary_answers(time: VirtualTime) -> None:
    nodes = Nodes(time, asks_always=True)
    link, unused = Link(nodes.watch, "former"), Link(nodes.watch, "")

    async def act() -> None:
        for _ in range(20):
            nodes.watch.note_call()
            await asyncio.sleep(QUESTION_S / 10)
        assert (link.is_open, unused.is_open) == (False, True)
        assert len(nodes.questions) <= 2

    time.run(act())

"""The one reader of a process, on a connection that answers when the test lets it."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from app.drivers.caller import CALLER, stranger
from app.drivers.store_contact import contact
from app.model.errors import Overloaded, Problem, RateLimited, StoreUnavailable
from app.store import node_reader
from app.store.node_reader import ROUND_CALLS_MAX, ROUND_STRANGERS_MIN, STRANGERS_CALLS_MAX
from app.store.read_batcher import ReadBatcher
from tests.support.fake_connection import no_renewal
from tests.support.one_node import OneNode

#: Seconds that a test may take: one that fails may wait for a round that never comes.
ACT_S_MAX = 30.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counts rounds goes by no clock: on a busy machine two seconds pass, and all that waits is refused."""
    monkeypatch.setattr(node_reader, "WAIT_S_MAX", 3600.0)


class Wire:
    """Rounds as they were asked for; each waits until it is let go."""

    contact = contact("Redis", "redis://here:1")

    def server_id(self, key: str) -> str:
        return "here"

    def __init__(self) -> None:
        self.rounds: list[list[Any]] = []
        self.gate = asyncio.Semaphore(0)
        self.fault: Exception | None = None

    async def run(self, calls: Sequence[Any]) -> list[Any]:
        self.rounds.append([call[1] for call in calls[1:]])
        await self.gate.acquire()
        if self.fault is not None:
            raise self.fault
        return [[b"id", b"here"], *(call[1] for call in calls[1:])]

    def go(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.gate.release()


def within(act: Any) -> None:
    async def run() -> None:
        wire = Wire()
        reader = ReadBatcher(OneNode(wire), no_renewal)  # type: ignore[arg-type]
        loop = asyncio.create_task(reader.run())
        try:
            async with asyncio.timeout(ACT_S_MAX):
                await act(wire, reader)
        finally:
            loop.cancel()

    asyncio.run(run())


def ask(reader: ReadBatcher, caller: str, *names: Any) -> list[asyncio.Task[Any]]:
    CALLER.set(caller)
    return [asyncio.create_task(_outcome(reader.call(("GET", name)))) for name in names]


async def _outcome(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except Problem as problem:
        return problem


async def until(is_true: Any) -> None:
    while not is_true():
        await asyncio.sleep(0)


def test_a_swarm_without_a_key_leaves_the_next_round_to_a_key() -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        first = ask(reader, "k", "first")
        await until(lambda: wire.rounds)
        for address in range(40):
            ask(reader, stranger(str(address)), *((address, i) for i in range(100)))
        mine = ask(reader, "k", *range(100))
        await asyncio.sleep(0)
        wire.go(2)
        await asyncio.gather(*first, *mine)
        assert set(range(100)) <= set(wire.rounds[1])
        assert len(wire.rounds[1]) == ROUND_CALLS_MAX

    within(act)


def test_a_swarm_with_a_key_leaves_some_of_each_round_to_those_without() -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        ask(reader, "k", "first")
        await until(lambda: wire.rounds)
        ask(reader, "k", *range(2_000))
        ask(reader, stranger("a"), *(("a", i) for i in range(100)))
        other = ask(reader, "other", "theirs")
        await asyncio.sleep(0)
        wire.go(2)
        assert await other[0] == "theirs"
        assert sum(isinstance(name, tuple) for name in wire.rounds[1]) == ROUND_STRANGERS_MIN

    within(act)


def test_one_address_never_takes_all_that_may_wait() -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        ask(reader, "k", "first")
        await until(lambda: wire.rounds)
        swarm = ask(reader, stranger("a"), *range(STRANGERS_CALLS_MAX))
        other = ask(reader, stranger("b"), *(("b", i) for i in range(100)))
        await asyncio.sleep(0)
        refused = [task.result() for task in swarm if task.done()]
        assert refused
        assert all(isinstance(problem, RateLimited) and problem.retry_after_s for problem in refused)
        wire.go(100)
        assert await asyncio.gather(*other) == [("b", i) for i in range(100)]

    within(act)


def test_an_equal_call_takes_the_first_turn_that_comes() -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        ask(reader, "k", "first")
        await until(lambda: wire.rounds)
        ask(reader, stranger("a"), *range(1_000))
        shared = ask(reader, "k", 999)
        await asyncio.sleep(0)
        wire.go(2)
        assert await shared[0] == 999
        assert 999 in wire.rounds[1]
        wire.go(10)
        await until(lambda: sum(map(len, wire.rounds)) == 1_001)
        assert [name for calls in wire.rounds for name in calls].count(999) == 1

    within(act)


def test_a_redis_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_reader, "WAIT_S_MAX", 0.2)
    monkeypatch.setattr(node_reader, "SWEEP_S", 0.01)

    async def act(wire: Wire, reader: ReadBatcher) -> None:
        sent = ask(reader, "k", "sent")
        await until(lambda: wire.rounds)
        waiting = ask(reader, "k", "waiting")
        assert [type(hit) for hit in await asyncio.gather(*sent, *waiting)] == [StoreUnavailable] * 2
        # The round is still under way: who comes now is refused at once, and nothing is queued.
        late = ask(reader, "k", "late")
        await asyncio.sleep(0)
        assert isinstance(late[0].result(), StoreUnavailable)
        wire.go()
        await until(lambda: not reader.reader("")._is_hung())
        again = ask(reader, "k", "again")
        wire.go()
        assert await again[0] == "again"
        assert wire.rounds == [["sent"], ["again"]]

    within(act)


def test_calls_that_are_not_answered_in_time_fail_while_redis_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_reader, "WAIT_S_MAX", 0.2)
    monkeypatch.setattr(node_reader, "SWEEP_S", 0.01)
    monkeypatch.setattr(node_reader, "ROUND_CALLS_MAX", 1)
    monkeypatch.setattr(node_reader, "ROUND_STRANGERS_MIN", 0)

    async def act(wire: Wire, reader: ReadBatcher) -> None:
        answer = ask(reader, "k", *range(50))
        while not all(task.done() for task in answer):
            wire.go()
            await asyncio.sleep(0.05)
        results = [task.result() for task in answer]
        assert results[0] == 0
        assert isinstance(results[-1], Overloaded)

    within(act)


def test_a_redis_that_hung_is_tried_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        wire.fault = TimeoutError()
        wire.go(3)
        lost = ask(reader, "k", "lost")
        assert isinstance(await lost[0], StoreUnavailable)
        await until(lambda: len(wire.rounds) == 4)
        wire.fault = None
        wire.go()
        await until(lambda: not reader.reader("").is_silent)
        assert wire.rounds == [["lost"], [], [], []]

    within(act)


def test_a_call_that_asks_for_much_counts_as_several() -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        CALLER.set("k1")
        first = asyncio.create_task(_outcome(reader.call(("GET", "first"))))
        await asyncio.sleep(0)
        heavy = [asyncio.create_task(_outcome(reader.call(("GET", f"h{i}"), 100))) for i in range(6)]
        await asyncio.sleep(0)
        CALLER.set("k2")
        light = asyncio.create_task(_outcome(reader.call(("GET", "light"))))
        await asyncio.sleep(0)
        wire.go(9)
        assert await asyncio.gather(first, *heavy, light) == ["first", *(f"h{i}" for i in range(6)), "light"]
        second = next(one for one in wire.rounds if "light" in one)
        assert wire.rounds.index(second) == 1, "another client does not wait for all of them"
        assert max(len([name for name in one if name.startswith("h")]) for one in wire.rounds) <= 3

    within(act)


def test_the_backlog_counts_weights() -> None:
    async def act(wire: Wire, reader: ReadBatcher) -> None:
        CALLER.set("k1")
        asks = [asyncio.create_task(_outcome(reader.call(("GET", i), 1_000))) for i in range(20)]
        await asyncio.sleep(0.01)
        refused = [ask for ask in asks if ask.done() and isinstance(ask.result(), RateLimited)]
        assert 10 < len(refused) < 20
        wire.go(30)
        await asyncio.gather(*asks)

    within(act)

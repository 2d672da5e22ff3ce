"""Waits for replicas on a connection that answers as a test says: who shares a WAIT, and who is told what."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ReadOnlyError, ResponseError

from app.drivers.redis import Call
from app.model.errors import StoreUnavailable
from app.store import keys
from app.store.replicas import ReplicaNeed
from app.write.replica_wait import NEXT_WAIT_S, ReplicaWait
from tests.support.fake_connection import FakeConnection, FakeNodes
from tests.support.virtual_time import VirtualTime

LOST = ConnectionError("connection lost")


class Link(FakeConnection):
    """A node with partitions at (epoch 1, seq 9). counts: what its waits answer, one trip after the other, or what
    comes instead; the last one stays. trips: the partitions whose seq was written, and the waits, of each."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[int, tuple[int, int]] = {}
        self.counts: deque[Any] = deque([1])
        self.connected_replicas = 1
        self.trips: list[tuple[list[int], list[str]]] = []

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        partitions = [self._partition(call) for call in calls if call[0] == "EVALSHA"]
        waits = [call for call in calls if str(call[0]).startswith("WAIT")]
        self.trips.append((partitions, [str(call[0]) for call in waits]))
        count = self.counts[0]
        if len(self.counts) > 1:
            self.counts.popleft()
        await asyncio.sleep(0.001)
        if count == 0:
            await asyncio.sleep(sum(int(call[-1]) for call in waits) / 1000)
        if isinstance(count, ConnectionError):
            raise count
        return [self._answer(call, count) for call in calls]

    @staticmethod
    def _partition(call: Call) -> int:
        return next(p for p in range(16) if keys.meta(p) == call[3])

    def _answer(self, call: Call, count: Any) -> Any:
        if call[0] == "INFO":
            return f"role:master\r\nconnected_slaves:{self.connected_replicas}\r\n".encode()
        if isinstance(count, Exception):
            return count
        if call[0] == "EVALSHA":
            return list(self.places.get(self._partition(call), (1, 9)))
        return count if call[0] == "WAIT" else [1, count]


class Bench:
    def __init__(self, time: VirtualTime, is_on_disk: bool = True) -> None:
        self.time = time
        self.link = Link()
        self.nodes = FakeNodes(self.link)
        self.replicas = ReplicaWait(self.nodes, ReplicaNeed(1, is_on_disk))  # type: ignore[arg-type]

    def wait(self, p: int = 0, place: tuple[int, int] = (1, 9), wait_s: float = 5.0) -> asyncio.Task[str]:
        """What comes of a wait: "", or the cause."""

        async def wait() -> str:
            try:
                await self.replicas.wait(p, place, self.time() + wait_s)
            except StoreUnavailable as problem:
                return problem.detail
            return ""

        return asyncio.ensure_future(wait())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(VirtualTime(monkeypatch))


def test_all_that_wait_share_one_wait(bench: Bench) -> None:
    async def steps() -> list[str]:
        return list(await asyncio.gather(*(bench.wait(i % 3, (1, i)) for i in range(9))))

    assert bench.time.run(steps()) == [""] * 9
    assert bench.link.trips == [([0, 1, 2], ["WAIT", "WAITAOF"])]


def test_those_who_come_during_a_round_have_the_next(bench: Bench) -> None:
    bench.link.counts = deque([0, 0, 1])

    async def steps() -> list[str]:
        first = bench.wait(0)
        await asyncio.sleep(0.01)
        return list(await asyncio.gather(first, bench.wait(1), bench.wait(2)))

    assert bench.time.run(steps()) == ["", "", ""]
    assert [partitions for partitions, _ in bench.link.trips] == [[0], [], [], [1, 2]], "its own seq, once"


def test_a_replica_that_does_not_acknowledge_is_told_in_time(bench: Bench) -> None:
    bench.link.counts = deque([0])

    async def steps() -> list[str]:
        return list(await asyncio.gather(bench.wait(0, wait_s=2.0), bench.wait(1, wait_s=1.0)))

    assert bench.time.run(steps()) == ["0 of 1 replica of Redis acknowledged it in time"] * 2
    assert 2.0 <= bench.time.passed_s < 2.01


def test_after_those_who_gave_up_a_round_begins_anew(bench: Bench) -> None:
    bench.link.counts = deque([0])

    async def steps() -> str:
        await bench.wait(0, wait_s=1.0)
        bench.link.counts = deque([1])
        began = bench.time.passed_s
        reply = await bench.wait(0, wait_s=1.0)
        assert bench.time.passed_s - began < 3 * NEXT_WAIT_S
        return reply

    assert bench.time.run(steps()) == ""


def test_where_too_few_replicas_are_connected_nobody_waits_long(bench: Bench) -> None:
    bench.link.counts, bench.link.connected_replicas = deque([0]), 0

    async def steps() -> str:
        return await bench.wait()

    assert bench.time.run(steps()) == "Redis has 0 replicas, and 1 must hold it"
    assert bench.time.passed_s < 1.0


@pytest.mark.parametrize(("place", "is_there"), [((1, 9), True), ((1, 10), False), ((0, 9), False), ((2, 9), False)])
def test_a_redis_that_may_lack_the_entry_acknowledges_nothing(
    bench: Bench, place: tuple[int, int], is_there: bool
) -> None:
    """A promoted one may have lost it, though its seq is further by now."""

    async def steps() -> list[str]:
        return list(await asyncio.gather(bench.wait(0, place), bench.wait(1)))

    reply, other = bench.time.run(steps())
    assert other == ""
    assert reply == ("" if is_there else f"partition 0 stands at 1-9, and it counted at {place[0]}-{place[1]}")


@pytest.mark.parametrize(
    "error",
    [LOST, ReadOnlyError("You can't write against a read only replica."), ResponseError("UNBLOCKED force unblock")],
)
def test_a_lost_or_demoted_redis_is_asked_again_by_a_new_round(bench: Bench, error: Exception) -> None:
    bench.link.counts = deque([error, error, 1])

    async def steps() -> str:
        return await bench.wait()

    assert bench.time.run(steps()) == ""
    assert [partitions for partitions, _ in bench.link.trips] == [[0], [0], [0]]
    assert bench.nodes.doubts == 2


def test_a_redis_that_stays_away_is_the_cause(bench: Bench) -> None:
    bench.link.counts = deque([LOST])

    async def steps() -> str:
        return await bench.wait(wait_s=1.0)

    assert bench.time.run(steps()) == bench.link.contact.silence
    assert bench.time.passed_s == pytest.approx(1.0)


def test_a_refused_wait_is_told_with_its_reason(bench: Bench) -> None:
    bench.link.counts = deque([1, ResponseError("NOPERM no permission to run 'waitaof'")])

    async def steps() -> str:
        await bench.wait()
        return await bench.wait()

    assert "NOPERM" in bench.time.run(steps())


def test_a_redis_without_waitaof_counts_what_its_replicas_received(bench: Bench) -> None:
    answer = bench.link._answer

    def old(call: Call, count: Any) -> Any:
        return ResponseError("unknown command 'WAITAOF'") if call[0] == "WAITAOF" else answer(call, count)

    bench.link._answer = old  # type: ignore[method-assign]

    async def steps() -> str:
        return await bench.wait()

    assert bench.time.run(steps()) == ""


def test_where_redis_itself_keeps_nothing_on_disk_replicas_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(VirtualTime(monkeypatch), is_on_disk=False)

    async def steps() -> str:
        return await bench.wait()

    assert bench.time.run(steps()) == ""
    assert bench.link.trips == [([0], ["WAIT"])]


def test_a_partition_that_moves_is_waited_for_at_its_new_node(bench: Bench) -> None:
    there = Link()
    bench.nodes.links["there"] = there
    bench.link.counts = deque([LOST])

    async def steps() -> str:
        reply = bench.wait()
        await asyncio.sleep(0.01)
        bench.nodes.move(0, "there")
        return await reply

    assert bench.time.run(steps()) == ""
    assert there.trips == [([0], ["WAIT", "WAITAOF"])]

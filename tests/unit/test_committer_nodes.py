"""Committers of several nodes: one that is away stalls its own partitions, and a partition that moves loses nothing."""

import asyncio

import pytest
from redis.exceptions import MovedError, TryAgainError

from app.model.errors import StoreUnavailable
from app.write.node_committer import ELSEWHERE_PAUSE_S, SWEEP_S, UNSENT_S_MAX
from tests.support.committer_bench import CommitterBench, codes, failure, ids
from tests.support.fake_connection import LOST, REPLY_LOST, FakeConnection, Round
from tests.support.virtual_time import VirtualTime


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> CommitterBench:
    """Partition 0 is at one node, partition 1 at `b`; `c` has what `b` has."""
    bench = CommitterBench(VirtualTime(monkeypatch))
    b, c = (FakeConnection() for _ in range(2))
    b.ids = c.ids = bench.redis.ids
    c.partitions = b.partitions
    bench.nodes.links |= {"b": b, "c": c}
    bench.nodes.move(1, "b")
    return bench


def test_a_node_that_is_away_stalls_its_own_partitions(bench: CommitterBench) -> None:
    async def steps() -> None:
        bench.nodes.link("b").away = LOST
        stalled = bench.submit(bench.entries("a", partition=1))
        for name in "xyz":
            assert await codes(bench.submit(bench.entries(name))) == ["applied"]
        assert bench.time.passed_s == 0
        assert isinstance(await failure(stalled), StoreUnavailable)
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S
        # Its backlog is its own, too: it is refused at once by now, and others are not.
        assert isinstance(await failure(bench.submit(bench.entries("b", partition=1))), StoreUnavailable)
        assert await codes(bench.submit(bench.entries("w"))) == ["applied"]
        bench.nodes.link("b").away = None
        await asyncio.sleep(SWEEP_S)
        assert await codes(bench.submit(bench.entries("c", partition=1))) == ["applied"]

    bench.run(steps())


def test_what_waits_for_a_node_goes_with_its_partition(bench: CommitterBench) -> None:
    first, second = bench.entries("a", partition=1), bench.entries("b", partition=1)

    async def steps() -> None:
        bench.nodes.link("b").away = LOST
        waiting = [bench.submit(first), bench.submit(second)]
        await asyncio.sleep(1)
        bench.nodes.move(1, "c")
        assert [await codes(one) for one in waiting] == [["applied"], ["applied"]]
        assert 1 <= bench.time.passed_s < 1 + SWEEP_S

    bench.run(steps())
    assert bench.nodes.link("b").sent == []
    assert sorted(entry for call in bench.nodes.link("c").calls() for entry in call) == sorted(ids(first, second))


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_call_whose_reply_was_lost_is_told_by_the_next_node(bench: CommitterBench, is_counted: bool) -> None:
    """The replica that was promoted has the entries, or lacks them: they count once."""
    before, entries = bench.entries("z", partition=1), bench.entries("a", partition=1)
    b, c = bench.nodes.link("b"), bench.nodes.link("c")

    async def steps() -> None:
        await bench.submit(before)
        b.rounds.append(REPLY_LOST if is_counted else Round(before=LOST))
        waiting = bench.submit(entries)
        await asyncio.sleep(0.01)
        b.away = LOST
        await asyncio.sleep(3)
        bench.nodes.move(1, "c")
        (outcome,) = await waiting
        assert (outcome.code, outcome.seq) == ("applied", 2)

    bench.run(steps())
    assert c.partition(1).seq == 2
    assert [(call.ids, call.resend_after, call.known[1]) for (call,) in c.sent] == [(ids(entries), 1, 1)]


def test_a_call_that_a_node_sent_away_goes_again_as_new(bench: CommitterBench) -> None:
    entries = bench.entries("a", partition=1)
    b, c = bench.nodes.link("b"), bench.nodes.link("c")

    async def steps() -> None:
        await bench.submit(bench.entries("z", partition=1))
        b.partition(1).refusal = MovedError("1 127.0.0.1:7")
        waiting = bench.submit(entries)
        await asyncio.sleep(0)
        await asyncio.sleep(3 * ELSEWHERE_PAUSE_S)
        assert bench.nodes.doubts >= 2
        b.partition(1).refusal = None
        bench.nodes.move(1, "c")
        assert await codes(waiting) == ["applied"]

    bench.run(steps())
    assert [call.resend_after for (call,) in c.sent] == [-1]


def test_a_partition_between_two_nodes_is_waited_for_no_longer_than_a_node(bench: CommitterBench) -> None:
    async def steps() -> None:
        bench.nodes.link("b").partition(1).refusal = TryAgainError()
        problem = await failure(bench.submit(bench.entries("a", partition=1)))
        assert problem.detail == "partition 1 is between two nodes of Redis"
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S

    bench.run(steps())


def test_a_call_under_way_is_told_by_its_node_and_the_next_goes_to_the_new_one(bench: CommitterBench) -> None:
    first, second = bench.entries("a", partition=1), bench.entries("b", partition=1)
    b, c = bench.nodes.link("b"), bench.nodes.link("c")

    async def steps() -> None:
        b.rounds.append(Round(seconds=1))
        early = bench.submit(first)
        await asyncio.sleep(0.5)
        bench.nodes.move(1, "c")
        late = bench.submit(second)
        await asyncio.sleep(0)
        assert c.sent == []  # never are two calls of a partition under way
        assert [(await early)[0].seq, (await late)[0].seq] == [1, 2]
        assert bench.time.passed_s == 1

    bench.run(steps())
    assert (b.calls(), c.calls()) == ([ids(first)], [ids(second)])

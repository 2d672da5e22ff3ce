"""The committer on a fake connection: the contents of each call, and the answer to each caller."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.drivers.caller import CALLER
from app.model.errors import Overloaded, RateLimited
from app.write.node_committer import RETRY_PAUSE_S, UNSENT_S_MAX
from tests.support.committer_bench import CommitterBench, codes, failure, ids
from tests.support.fake_connection import LOST, Round
from tests.support.virtual_time import VirtualTime


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> CommitterBench:
    return CommitterBench(VirtualTime(monkeypatch))


def test_what_comes_while_a_round_is_under_way_shares_the_next_call(bench: CommitterBench) -> None:
    first, *others = (bench.entries(name) for name in ("a", "b", "c"))
    bench.redis.rounds.append(Round(seconds=1.0))

    async def steps() -> None:
        waiting = [bench.submit(first)]
        await asyncio.sleep(0.5)
        waiting += [bench.submit(entries) for entries in others]
        outcomes = [await task for task in waiting]
        assert [outcome.seq for (outcome,) in outcomes] == [1, 2, 3]

    bench.run(steps())
    assert bench.redis.calls() == [ids(first), ids(*others)]


def test_each_request_gets_the_outcomes_of_its_own_entries(bench: CommitterBench) -> None:
    pair, single = bench.entries("a", "b"), bench.entries("c")
    bench.redis.partition().codes[pair[1].id] = "amount_range"

    async def steps() -> None:
        both, one = bench.submit(pair), bench.submit(single)
        assert await codes(both) == ["applied", "amount_range"]
        assert await codes(one) == ["applied"]

    bench.run(steps())
    assert len(bench.redis.calls()) == 1


def test_partitions_go_in_one_round_each_in_a_call_of_its_own(bench: CommitterBench) -> None:
    here, there = bench.entries("a"), bench.entries("b", partition=3)

    async def steps() -> None:
        await asyncio.gather(bench.submit(here), bench.submit(there))

    bench.run(steps())
    assert [[call.partition for call in sent] for sent in bench.redis.sent] == [[0, 3]]


def test_a_large_request_goes_in_several_calls_and_together_in_one(bench: CommitterBench) -> None:
    large, whole = (bench.entries(*(f"{kind}{i}" for i in range(1_500))) for kind in "ab")

    async def steps() -> None:
        outcomes = await bench.submit(large)
        assert [outcome.seq for outcome in outcomes] == list(range(1, 1_501))
        assert len(bench.redis.sent) > 1
        await bench.submit(whole, together=True)

    bench.run(steps())
    assert [entry_id for call in bench.redis.calls()[:-1] for entry_id in call] == ids(large)
    assert bench.redis.calls()[-1] == ids(whole)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_an_atomic_request_shares_its_call_with_nobody(bench: CommitterBench, order: tuple[int, ...]) -> None:
    """Whichever comes first, and though it does not come alone."""
    requests = [bench.entries("a"), bench.entries("b", "c"), bench.entries("d", "e")]

    async def steps() -> None:
        await asyncio.gather(*(bench.submit(requests[i], atomic=i == 1) for i in order))

    bench.run(steps())
    calls = {tuple(call.ids): call.atomic for sent in bench.redis.sent for call in sent}
    assert calls[tuple(ids(requests[1]))] is True
    assert list(calls.values()).count(True) == 1


def test_a_large_request_that_is_begun_waits_for_its_end(bench: CommitterBench) -> None:
    large = bench.entries(*map(str, range(1_500)))
    bench.redis.rounds += [Round(seconds=1.5)] * 2

    async def steps() -> None:
        assert await codes(bench.submit(large)) == ["applied"] * 1_500
        assert bench.time.passed_s > UNSENT_S_MAX

    bench.run(steps())
    assert len(bench.redis.calls()) > 2


def test_an_atomic_request_of_which_one_is_refused_leaves_no_trace(bench: CommitterBench) -> None:
    entries, next_one = bench.entries("a", "b"), bench.entries("c")
    bench.redis.partition().codes[entries[1].id] = "amount_range"

    async def steps() -> None:
        assert await codes(bench.submit(entries, atomic=True)) == ["unapplied", "amount_range"]
        (outcome,) = await bench.submit(next_one)
        assert outcome.seq == 1

    bench.run(steps())
    assert [call.known[:2] for (call,) in bench.redis.sent] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("change", [{"generations": "2,1"}, {"epoch": 2}])
def test_a_partition_that_has_changed_sends_its_entries_back_to_be_planned(
    bench: CommitterBench, change: dict[str, Any]
) -> None:
    first, entries = bench.entries("z"), bench.entries("a", "b")

    async def steps() -> None:
        await bench.submit(first)
        for name, value in change.items():
            setattr(bench.redis.partition(), name, value)
        assert await codes(bench.submit(entries)) == ["stale_plan"] * 2
        assert await codes(bench.submit(entries)) == ["applied"] * 2
        head = bench.committer.head(0)
        assert head is not None
        assert {name: getattr(head, name) for name in change} == change

    bench.run(steps())
    assert bench.redis.heads_read == 2


def test_entries_judged_by_generations_that_are_gone_are_not_sent(bench: CommitterBench) -> None:
    old, current, any_time = bench.entries("a"), bench.entries("b"), bench.entries("c")
    bench.redis.partition().generations = "2,1"
    old[0].generations, current[0].generations = "1", "2,1"

    async def steps() -> None:
        assert await codes(bench.submit(old)) == ["stale_plan"]
        assert await codes(bench.submit(current)) == ["applied"]
        assert await codes(bench.submit(any_time)) == ["applied"]

    bench.run(steps())
    assert bench.redis.calls() == [ids(current), ids(any_time)]


def test_the_last_entry_that_counted_is_named_with_the_next_call(bench: CommitterBench) -> None:
    refused, entries, later = bench.entries("x"), bench.entries("a", "b"), bench.entries("c")
    bench.redis.partition().codes |= {refused[0].id: "amount_range", entries[1].id: "quarantined"}

    async def steps() -> None:
        for each in (refused, entries, later):
            await bench.submit(each)

    bench.run(steps())
    assert [call.known for (call,) in bench.redis.sent] == [(0, 0, b""), (0, 0, b""), (1, 2, entries[1].content)]


def test_a_question_to_a_partition_learns_its_head_and_sends_no_entry(bench: CommitterBench) -> None:
    async def steps() -> None:
        assert bench.committer.head(0) is None
        await bench.committer.contact(0)
        head = bench.committer.head(0)
        assert head is not None
        assert (head.epoch, head.generations) == (1, "1")

    bench.run(steps())
    assert bench.redis.calls() == [[]]


def test_a_partition_that_takes_no_grant_still_tells_its_head(bench: CommitterBench) -> None:
    bench.redis.partition().refusal = ("log_full", "1000 entries are not in the ledger")

    async def steps() -> None:
        assert isinstance(await failure(bench.committer.contact(0)), Overloaded)
        assert bench.committer.head(0) is not None

    bench.run(steps())


def test_who_holds_a_share_of_the_backlog_gives_it_back(bench: CommitterBench) -> None:
    """Whatever comes of the entries: fails, is cancelled, or counts."""
    entries = bench.entries(*map(str, range(200)))

    async def one_client() -> None:
        CALLER.set("client")
        tasks: list[asyncio.Task[list[Any]]] = []
        bench.redis.away = LOST
        while True:
            task = bench.submit(entries)
            await asyncio.sleep(0)
            if task.done():
                assert isinstance(task.exception(), RateLimited)
                break
            tasks.append(task)
        with pytest.raises(RateLimited):
            bench.committer.check_room(len(entries))
        for task in tasks[::2]:
            task.cancel()
        for task in tasks[1::2]:
            await failure(task)
        bench.committer.check_room(len(entries))
        bench.redis.away = None
        await asyncio.sleep(RETRY_PAUSE_S)
        assert await codes(bench.submit(entries)) == ["applied"] * len(entries)

    bench.run(one_client())


def test_the_clock_of_redis_is_read_with_the_calls_now_and_then(bench: CommitterBench) -> None:
    async def steps() -> None:
        for name in "abc":
            await bench.submit(bench.entries(name))
        assert bench.redis.times_read == 1
        await asyncio.sleep(1.0)
        await bench.submit(bench.entries("d"))
        assert bench.redis.times_read == 2

    bench.run(steps())
    assert bench.redis.partition().seq == 4


def test_nothing_is_taken_while_the_clocks_differ(bench: CommitterBench) -> None:
    bench.clock.learn([b"1800000031", b"0"], 0)

    async def steps() -> None:
        assert "clock" in str((await failure(bench.submit(bench.entries("a")))).detail)
        assert "clock" in str((await failure(bench.committer.contact(0))).detail)

    bench.run(steps())
    assert bench.redis.calls() == []


def test_asking_all_partitions_at_once_is_one_read_of_heads_and_one_call(bench: CommitterBench) -> None:
    """As /readyz does. Heads that are known are not read again."""
    trips: list[set[str]] = []
    run = bench.redis.run

    async def counted(calls: Sequence[Any], timeout_s: float | None = None) -> list[Any]:
        trips.append({str(call[0]) for call in calls} - {"TIME"})
        return await run(calls, timeout_s)

    bench.redis.run = counted  # type: ignore[method-assign]

    async def steps() -> None:
        for _ in range(2):
            await asyncio.gather(*(bench.committer.contact(p) for p in range(16)))

    bench.run(steps())
    assert (trips, bench.redis.heads_read) == ([{"HGETALL"}, {"EVALSHA"}, {"EVALSHA"}], 16)

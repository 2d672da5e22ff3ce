"""The committer while a store fails: what it sends again, how long callers wait, and their answers then."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from app.drivers.redis import RedisRefused
from app.model.errors import Overloaded, Problem, Recovering, StoreUnavailable
from app.write.node_committer import RETRY_PAUSE_S, SWEEP_S, UNKNOWN_S_MAX, UNSENT_S_MAX
from tests.support.committer_bench import CommitterBench, codes, failure, ids
from tests.support.fake_connection import LOST, REPLY_LOST, REQUEST_LOST, Round
from tests.support.virtual_time import VirtualTime


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> CommitterBench:
    return CommitterBench(VirtualTime(monkeypatch))


@pytest.mark.parametrize(("fate", "is_counted"), [(REPLY_LOST, True), (REQUEST_LOST, False)])
def test_a_call_whose_reply_is_lost_goes_again_as_it_was(bench: CommitterBench, fate: Round, is_counted: bool) -> None:
    """What came meanwhile does not join it; what was known at its first sending tells the script what is its own."""
    before, entries, later = bench.entries("z"), bench.entries("a", "b"), bench.entries("c")

    async def steps() -> None:
        await bench.submit(before)
        bench.redis.rounds += [fate, fate]
        waiting = bench.submit(entries)
        await asyncio.sleep(0)
        await asyncio.sleep(RETRY_PAUSE_S / 2)
        assert (bench.redis.partition().seq == 3) is is_counted
        afterwards = bench.submit(later)
        assert [(outcome.code, outcome.seq) for outcome in await waiting] == [("applied", 2), ("applied", 3)]
        assert [(outcome.code, outcome.seq) for outcome in await afterwards] == [("applied", 4)]

    bench.run(steps())
    assert bench.redis.calls() == [ids(before), *[ids(entries)] * 3, ids(later)]
    assert [call.resend_after for (call,) in bench.redis.sent] == [-1, -1, 1, 1, -1]
    assert bench.redis.connects == 3


def test_a_retry_of_a_client_is_a_duplicate_and_no_resending(bench: CommitterBench) -> None:
    entries = bench.entries("a")

    async def steps() -> None:
        assert await codes(bench.submit(entries)) == ["applied"]
        assert await codes(bench.submit(entries)) == ["duplicate"]

    bench.run(steps())
    assert [call.resend_after for (call,) in bench.redis.sent] == [-1, -1]


def test_what_was_sent_waits_longer_for_its_outcome_than_what_was_not(bench: CommitterBench) -> None:
    sent, unsent = bench.entries("a"), bench.entries("b")

    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        first = bench.submit(sent)
        await asyncio.sleep(RETRY_PAUSE_S / 4)
        second = bench.submit(unsent)
        await asyncio.sleep(RETRY_PAUSE_S / 4)
        bench.redis.away = LOST
        assert isinstance(await failure(second), StoreUnavailable)
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S
        assert isinstance(await failure(first), StoreUnavailable)
        assert UNKNOWN_S_MAX <= bench.time.passed_s <= UNKNOWN_S_MAX + SWEEP_S

    bench.run(steps())
    assert bench.redis.calls() == [ids(sent)]


def test_an_outcome_that_comes_back_in_time_is_answered(bench: CommitterBench) -> None:
    entries = bench.entries("a")

    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        waiting = bench.submit(entries)
        await asyncio.sleep(0.01)
        bench.redis.away = LOST
        await asyncio.sleep(UNKNOWN_S_MAX - 1)
        bench.redis.away = None
        assert await codes(waiting) == ["applied"]
        assert bench.redis.partition().seq == 1

    bench.run(steps())


def test_a_redis_that_hangs_makes_nobody_else_wait(bench: CommitterBench) -> None:
    stuck, queued, late = bench.entries("a"), bench.entries("b"), bench.entries("c")

    async def steps() -> None:
        bench.redis.rounds.append(Round(seconds=60.0))
        first = bench.submit(stuck)
        await asyncio.sleep(1.0)
        second = bench.submit(queued)
        assert isinstance(await failure(second), StoreUnavailable)
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + 2 * SWEEP_S
        began = bench.time.passed_s
        assert isinstance(await failure(bench.submit(late)), StoreUnavailable)
        assert bench.time.passed_s == began, "at once"
        assert isinstance(await failure(first), StoreUnavailable)
        assert UNKNOWN_S_MAX <= bench.time.passed_s <= UNKNOWN_S_MAX + 2 * SWEEP_S

    bench.run(steps())


def test_a_redis_that_is_refused_by_name_makes_nobody_wait(bench: CommitterBench) -> None:
    entries = bench.entries("a")
    bench.redis.away = RedisRefused("Redis has appendonly no")

    async def steps() -> None:
        problem = await failure(bench.submit(entries))
        assert (type(problem), problem.detail) == (StoreUnavailable, "Redis has appendonly no")
        assert bench.time.passed_s < SWEEP_S
        assert isinstance(bench.committer.at(0).refused, StoreUnavailable)
        bench.redis.away = None
        assert await codes(bench.submit(entries)) == ["applied"]
        assert bench.committer.at(0).refused is None

    bench.run(steps())
    assert bench.redis.calls() == [ids(entries)]


def test_entries_that_wait_behind_slow_rounds_are_refused(bench: CommitterBench) -> None:
    """Atomic requests go in calls of their own: the third would be sent after three seconds."""
    first, second, third = (bench.entries(name, name + name) for name in "abc")

    async def steps() -> None:
        bench.redis.rounds += [Round(seconds=1.5)] * 2
        waiting = [bench.submit(entries, atomic=True) for entries in (first, second, third)]
        problem = await failure(waiting[2])
        assert (type(problem), problem.detail) == (Overloaded, "the grants before this one take too long")
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S
        assert [await codes(task) for task in waiting[:2]] == [["applied"] * 2] * 2

    bench.run(steps())
    assert bench.redis.calls() == [ids(first), ids(second)]


def test_a_call_that_was_lost_before_a_change_is_not_taken_for_done(bench: CommitterBench) -> None:
    """Sent again to a partition of other generations it is refused, and planned anew: the script looks at ids then."""
    entries = bench.entries("a")

    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        waiting = bench.submit(entries)
        await asyncio.sleep(RETRY_PAUSE_S / 2)
        bench.redis.partition().generations = "2,1"
        assert await codes(waiting) in (["stale_plan"], ["applied"])
        assert await codes(bench.submit(entries)) == ["duplicate"]

    bench.run(steps())
    assert bench.redis.partition().seq == 1


def test_what_was_acknowledged_is_known_after_a_reconnect(bench: CommitterBench) -> None:
    """Also where Postgres is behind, or away: a Redis that lost its tail is noticed."""
    entries, later = bench.entries("a"), bench.entries("b")

    async def steps() -> None:
        await bench.submit(entries)
        bench.redis.connected, bench.redis.partition().seq = False, 0
        assert isinstance(await failure(bench.submit(later)), Recovering)

    bench.run(steps())
    assert [call.known for (call,) in bench.redis.sent] == [(0, 0, b""), (1, 1, entries[0].content)]


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        (("lost_tail", "1-5"), Recovering),
        (("unopened", "lb:{0}:meta"), Recovering),
        (("corrupt", "a board"), StoreUnavailable),
        (("unwritable", "OOM"), StoreUnavailable),
        (ResponseError("WRONGTYPE"), StoreUnavailable),
    ],
)
def test_a_partition_that_refuses_fails_its_entries_and_is_looked_at_again(
    bench: CommitterBench, refusal: tuple[str, str] | Exception, problem: type[Problem]
) -> None:
    entries, there = bench.entries("a"), bench.entries("b", partition=1)

    async def steps() -> None:
        bench.redis.partition().refusal = refusal
        refused, elsewhere = bench.submit(entries), bench.submit(there)
        reply = await failure(refused)
        assert type(reply) is problem
        assert reply.detail is not None
        assert reply.detail.startswith("partition 0: ")
        assert await codes(elsewhere) == ["applied"]
        assert bench.committer.head(0) is None
        bench.redis.partition().refusal = bench.redis.partition().closed = None
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())


def test_a_partition_that_was_never_opened_is_sent_nothing(bench: CommitterBench) -> None:
    entries = bench.entries("a")
    bench.redis.partition().is_open = False

    async def steps() -> None:
        assert isinstance(await failure(bench.submit(entries)), Recovering)
        bench.redis.partition().is_open = True
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())
    assert bench.redis.calls() == [ids(entries)]


def test_a_redis_that_became_a_replica_is_left(bench: CommitterBench) -> None:
    entries = bench.entries("a")

    async def steps() -> None:
        bench.redis.partition().refusal = ("unwritable", "READONLY You can't write against a read only replica.")
        await failure(bench.submit(entries))
        await asyncio.sleep(0)
        assert not bench.redis.connected
        bench.redis.partition().refusal = bench.redis.partition().closed = None
        assert await codes(bench.submit(entries)) == ["applied"]
        assert bench.redis.connected

    bench.run(steps())
    assert bench.redis.connects == 2


def test_a_question_whose_answer_is_lost_waits_no_longer_than_what_was_not_sent(bench: CommitterBench) -> None:
    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        waiting = asyncio.create_task(bench.committer.contact(0))
        await asyncio.sleep(0.01)
        bench.redis.away = LOST
        assert isinstance(await failure(waiting), StoreUnavailable)
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S

    bench.run(steps())


def test_what_nobody_waits_for_any_more_is_not_sent(bench: CommitterBench) -> None:
    first, gone, last = (bench.entries(name) for name in "abc")

    async def steps() -> None:
        bench.redis.away = LOST
        waiting = [bench.submit(entries) for entries in (first, gone, last)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        await asyncio.sleep(0.01)
        bench.redis.away = None
        await asyncio.sleep(0.2)
        assert waiting[0].cancelled()

    bench.run(steps())
    assert all(call != ids(first) for call in bench.redis.calls())


def test_what_was_sent_goes_again_though_nobody_waits(bench: CommitterBench) -> None:
    """It may have counted, and its place in the log is needed for what comes next."""
    entries, later = bench.entries("a"), bench.entries("b")

    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        waiting = bench.submit(entries)
        await asyncio.sleep(RETRY_PAUSE_S / 2)
        waiting.cancel()
        await asyncio.sleep(2 * RETRY_PAUSE_S)
        assert await codes(bench.submit(later)) == ["applied"]

    bench.run(steps())
    assert bench.redis.calls() == [ids(entries), ids(entries), ids(later)]
    assert bench.redis.sent[-1][0].known[:2] == (1, 1)

"""The committer on a fake connection: what goes into which call, what goes again, and what each caller is told."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from app.drivers.caller import CALLER
from app.drivers.redis import RedisRefused
from app.model.entry import PlannedEntry
from app.model.errors import Overloaded, Problem, RateLimited, Recovering, StoreUnavailable
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.store.apply import StorageLimits
from app.store.clock import StoreClock
from app.write.committer import (
    OFFSETS_PAUSE_S,
    RETRY_PAUSE_S,
    SWEEP_S,
    UNKNOWN_S_MAX,
    UNSENT_S_MAX,
    Committer,
)
from tests.support.fake_connection import LOST, REPLY_LOST, REQUEST_LOST, FakeConnection, Round
from tests.support.virtual_time import VirtualTime

NOW = 1_800_000_000_000_000
Offsets = dict[int, tuple[int, int, bytes]]


class Bench:
    """A committer with its Redis, its ledger and its time. offsets: what Postgres answers, or how it fails."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.redis = FakeConnection()
        self.clock = StoreClock(lambda: NOW, lambda: round(time() * 1e9))
        self.offsets: Offsets | Exception = {}
        self.offsets_s = 0.0
        self.offsets_asked = 0
        self.committer = Committer(self.redis, self._offsets, StorageLimits(), self.clock)  # type: ignore[arg-type]

    def entries(self, *names: str, partition: int = 0) -> list[PlannedEntry]:
        """A grant each."""
        namespace = Namespace(1 + partition, "race", partition, 1, Rules())
        made = [plan(Grant(name, "otter", msgspec.Raw(b"5")), namespace, NOW) for name in names]
        self.redis.ids.update(entry.id for entry in made)
        return made

    def submit(
        self, entries: list[PlannedEntry], *, atomic: bool = False, together: bool = False
    ) -> "asyncio.Task[list[Any]]":
        """Begins to hand entries in."""
        partition = entries[0].namespace.partition
        return asyncio.create_task(self.committer.submit(partition, entries, atomic, together))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Runs a test's steps beside the committer's rounds."""

        async def both() -> None:
            rounds = asyncio.create_task(self.committer.run())
            try:
                await main
            finally:
                rounds.cancel()

        self.time.run(both())

    async def _offsets(self) -> Offsets:
        self.offsets_asked += 1
        await asyncio.sleep(self.offsets_s)
        if isinstance(self.offsets, Exception):
            raise self.offsets
        return self.offsets


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(VirtualTime(monkeypatch))


def ids(*entries: Sequence[PlannedEntry]) -> list[bytes]:
    return [entry.id for part in entries for entry in part]


async def codes(waiting: Awaitable[list[Any]]) -> list[str]:
    return [outcome.code for outcome in await waiting]


async def failure(waiting: Awaitable[Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        await waiting
    return caught.value


def test_what_comes_while_a_round_is_under_way_shares_the_next_call(bench: Bench) -> None:
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


def test_each_request_gets_the_outcomes_of_its_own_entries(bench: Bench) -> None:
    pair, single = bench.entries("a", "b"), bench.entries("c")
    bench.redis.partition().codes[pair[1].id] = "amount_range"

    async def steps() -> None:
        both, one = bench.submit(pair), bench.submit(single)
        assert await codes(both) == ["applied", "amount_range"]
        assert await codes(one) == ["applied"]

    bench.run(steps())
    assert len(bench.redis.calls()) == 1


def test_partitions_go_in_one_round_each_in_a_call_of_its_own(bench: Bench) -> None:
    here, there = bench.entries("a"), bench.entries("b", partition=3)

    async def steps() -> None:
        await asyncio.gather(bench.submit(here), bench.submit(there))

    bench.run(steps())
    assert [[call.partition for call in sent] for sent in bench.redis.sent] == [[0, 3]]


def test_a_large_request_goes_in_several_calls_and_together_in_one(bench: Bench) -> None:
    large, whole = (bench.entries(*(f"{kind}{i}" for i in range(1_500))) for kind in "ab")

    async def steps() -> None:
        outcomes = await bench.submit(large)
        assert [outcome.seq for outcome in outcomes] == list(range(1, 1_501))
        assert len(bench.redis.sent) > 1
        await bench.submit(whole, together=True)

    bench.run(steps())
    assert [entry_id for call in bench.redis.calls()[:-1] for entry_id in call] == ids(large)
    assert bench.redis.calls()[-1] == ids(whole)


@pytest.mark.parametrize(("fate", "is_counted"), [(REPLY_LOST, True), (REQUEST_LOST, False)])
def test_a_call_whose_reply_is_lost_goes_again_as_it_was(bench: Bench, fate: Round, is_counted: bool) -> None:
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


def test_a_retry_of_a_client_is_a_duplicate_and_no_resending(bench: Bench) -> None:
    entries = bench.entries("a")

    async def steps() -> None:
        assert await codes(bench.submit(entries)) == ["applied"]
        assert await codes(bench.submit(entries)) == ["duplicate"]

    bench.run(steps())
    assert [call.resend_after for (call,) in bench.redis.sent] == [-1, -1]


def test_what_was_sent_waits_longer_for_its_outcome_than_what_was_not(bench: Bench) -> None:
    sent, unsent = bench.entries("a"), bench.entries("b")

    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        first = bench.submit(sent)
        await asyncio.sleep(0)
        second = bench.submit(unsent)
        await asyncio.sleep(RETRY_PAUSE_S / 2)
        bench.redis.away = LOST
        assert isinstance(await failure(second), StoreUnavailable)
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S
        assert isinstance(await failure(first), StoreUnavailable)
        assert UNKNOWN_S_MAX <= bench.time.passed_s <= UNKNOWN_S_MAX + SWEEP_S

    bench.run(steps())
    assert bench.redis.calls() == [ids(sent)]


def test_what_came_back_in_time_is_told_as_it_counted(bench: Bench) -> None:
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


def test_a_redis_that_hangs_makes_nobody_else_wait(bench: Bench) -> None:
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


def test_a_redis_that_is_refused_by_name_makes_nobody_wait(bench: Bench) -> None:
    entries = bench.entries("a")
    bench.redis.away = RedisRefused("Redis has appendonly no")

    async def steps() -> None:
        problem = await failure(bench.submit(entries))
        assert (type(problem), problem.detail) == (StoreUnavailable, "Redis has appendonly no")
        assert bench.time.passed_s < SWEEP_S
        assert isinstance(bench.committer.refused, StoreUnavailable)
        bench.redis.away = None
        assert await codes(bench.submit(entries)) == ["applied"]
        assert bench.committer.refused is None

    bench.run(steps())
    assert bench.redis.calls() == [ids(entries)]


def test_who_waits_behind_slow_rounds_is_told_so(bench: Bench) -> None:
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


def test_an_atomic_request_shares_its_call_with_nobody(bench: Bench) -> None:
    before, atomic, after = bench.entries("a"), bench.entries("b", "c"), bench.entries("d")

    async def steps() -> None:
        await asyncio.gather(bench.submit(before), bench.submit(atomic, atomic=True), bench.submit(after))

    bench.run(steps())
    calls = {tuple(call.ids): call.atomic for sent in bench.redis.sent for call in sent}
    assert calls[tuple(ids(atomic))] is True
    assert [is_atomic for names, is_atomic in calls.items() if names != tuple(ids(atomic))].count(True) == 0


def test_an_atomic_request_of_which_one_is_refused_leaves_no_trace(bench: Bench) -> None:
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
    bench: Bench, change: dict[str, Any]
) -> None:
    first, entries = bench.entries("z"), bench.entries("a", "b")

    async def steps() -> None:
        await bench.submit(first)
        for name, value in change.items():
            setattr(bench.redis.partition(), name, value)
        assert await codes(bench.submit(entries)) == ["stale_rules"] * 2
        assert await codes(bench.submit(entries)) == ["applied"] * 2
        head = bench.committer.head(0)
        assert head is not None
        assert {name: getattr(head, name) for name in change} == change

    bench.run(steps())
    assert bench.redis.heads_read == 2


def test_entries_judged_by_generations_that_are_gone_are_not_sent(bench: Bench) -> None:
    old, current, any_time = bench.entries("a"), bench.entries("b"), bench.entries("c")
    bench.redis.partition().generations = "2,1"
    old[0].generations, current[0].generations = "1", "2,1"

    async def steps() -> None:
        assert await codes(bench.submit(old)) == ["stale_rules"]
        assert await codes(bench.submit(current)) == ["applied"]
        assert await codes(bench.submit(any_time)) == ["applied"]

    bench.run(steps())
    assert bench.redis.calls() == [ids(current), ids(any_time)]


def test_a_call_that_was_lost_before_a_change_is_not_taken_for_done(bench: Bench) -> None:
    """Sent again to a partition of other generations it is refused, and planned anew: the script looks at ids then."""
    entries = bench.entries("a")

    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        waiting = bench.submit(entries)
        await asyncio.sleep(RETRY_PAUSE_S / 2)
        bench.redis.partition().generations = "2,1"
        assert await codes(waiting) in (["stale_rules"], ["applied"])
        assert await codes(bench.submit(entries)) == ["duplicate"]

    bench.run(steps())
    assert bench.redis.partition().seq == 1


def test_the_last_entry_that_counted_is_named_with_the_next_call(bench: Bench) -> None:
    refused, entries, later = bench.entries("x"), bench.entries("a", "b"), bench.entries("c")
    bench.redis.partition().codes |= {refused[0].id: "amount_range", entries[1].id: "quarantined"}

    async def steps() -> None:
        for each in (refused, entries, later):
            await bench.submit(each)

    bench.run(steps())
    assert [call.known for (call,) in bench.redis.sent] == [(0, 0, b""), (0, 0, b""), (1, 2, entries[1].content)]


def test_what_was_acknowledged_is_known_after_a_reconnect(bench: Bench) -> None:
    """Also where Postgres is behind, or away: a Redis that lost its tail is noticed."""
    entries, later = bench.entries("a"), bench.entries("b")

    async def steps() -> None:
        await bench.submit(entries)
        bench.redis.connected, bench.redis.partition().seq = False, 0
        assert isinstance(await failure(bench.submit(later)), Recovering)

    bench.run(steps())
    assert [call.known for (call,) in bench.redis.sent] == [(0, 0, b""), (1, 1, entries[0].content)]


def test_what_the_ledger_holds_is_known_from_the_start(bench: Bench) -> None:
    bench.offsets = {0: (1, 7, b"digest"), 5: (1, 9, b"other")}
    bench.redis.partition().seq = 8
    entries, later = bench.entries("a"), bench.entries("b")

    async def steps() -> None:
        await bench.submit(entries)
        bench.redis.connected = False
        await bench.submit(later)

    bench.run(steps())
    assert [call.known[:2] for (call,) in bench.redis.sent] == [(1, 7), (1, 9)]
    assert bench.offsets_asked == 2, "once a connection"


@pytest.mark.parametrize("fault", ["away", "hangs"])
def test_a_postgres_that_does_not_answer_is_asked_again_after_a_while(bench: Bench, fault: str) -> None:
    bench.offsets, bench.offsets_s = (OSError("away"), 0.0) if fault == "away" else ({}, 60.0)

    async def steps() -> None:
        for name in ("a", "b"):
            assert await codes(bench.submit(bench.entries(name))) == ["applied"]
            bench.redis.connected = False
        assert bench.offsets_asked == 1
        assert bench.time.passed_s < UNSENT_S_MAX
        await asyncio.sleep(OFFSETS_PAUSE_S)
        await bench.submit(bench.entries("c"))
        assert bench.offsets_asked == 2

    bench.run(steps())


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
    bench: Bench, refusal: tuple[str, str] | Exception, problem: type[Problem]
) -> None:
    entries, there = bench.entries("a"), bench.entries("b", partition=1)

    async def steps() -> None:
        bench.redis.partition().refusal = refusal
        refused, elsewhere = bench.submit(entries), bench.submit(there)
        told = await failure(refused)
        assert type(told) is problem
        assert told.detail is not None
        assert told.detail.startswith("partition 0: ")
        assert await codes(elsewhere) == ["applied"]
        assert bench.committer.head(0) is None
        bench.redis.partition().refusal = None
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())


def test_a_partition_that_was_never_opened_is_sent_nothing(bench: Bench) -> None:
    entries = bench.entries("a")
    bench.redis.partition().is_open = False

    async def steps() -> None:
        assert isinstance(await failure(bench.submit(entries)), Recovering)
        bench.redis.partition().is_open = True
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())
    assert bench.redis.calls() == [ids(entries)]


def test_a_redis_that_became_a_replica_is_left(bench: Bench) -> None:
    entries = bench.entries("a")

    async def steps() -> None:
        bench.redis.partition().refusal = ("unwritable", "READONLY You can't write against a read only replica.")
        await failure(bench.submit(entries))
        await asyncio.sleep(0)
        assert not bench.redis.connected
        bench.redis.partition().refusal = None
        assert await codes(bench.submit(entries)) == ["applied"]
        assert bench.redis.connected

    bench.run(steps())
    assert bench.redis.connects == 2


def test_a_question_to_a_partition_learns_its_head_and_sends_no_entry(bench: Bench) -> None:
    async def steps() -> None:
        assert bench.committer.head(0) is None
        await bench.committer.contact(0)
        head = bench.committer.head(0)
        assert head is not None
        assert (head.epoch, head.generations) == (1, "1")

    bench.run(steps())
    assert bench.redis.calls() == [[]]


def test_a_partition_that_takes_no_grant_still_tells_its_head(bench: Bench) -> None:
    bench.redis.partition().refusal = ("log_full", "1000 entries are not in the ledger")

    async def steps() -> None:
        assert isinstance(await failure(bench.committer.contact(0)), Overloaded)
        assert bench.committer.head(0) is not None

    bench.run(steps())


def test_a_question_whose_answer_is_lost_waits_no_longer_than_what_was_not_sent(bench: Bench) -> None:
    async def steps() -> None:
        bench.redis.rounds.append(REPLY_LOST)
        waiting = asyncio.create_task(bench.committer.contact(0))
        await asyncio.sleep(0.01)
        bench.redis.away = LOST
        assert isinstance(await failure(waiting), StoreUnavailable)
        assert UNSENT_S_MAX <= bench.time.passed_s <= UNSENT_S_MAX + SWEEP_S

    bench.run(steps())


def test_what_nobody_waits_for_any_more_is_not_sent(bench: Bench) -> None:
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


def test_what_was_sent_goes_again_though_nobody_waits(bench: Bench) -> None:
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


def test_who_holds_a_share_of_the_backlog_gives_it_back(bench: Bench) -> None:
    """Whatever comes of the entries: fails, is cancelled, or counts."""
    entries = bench.entries(*map(str, range(200)))

    async def one_client() -> None:
        CALLER.set("client")
        held: list[asyncio.Task[list[Any]]] = []
        bench.redis.away = LOST
        while True:
            task = bench.submit(entries)
            await asyncio.sleep(0)
            if task.done():
                assert isinstance(task.exception(), RateLimited)
                break
            held.append(task)
        with pytest.raises(RateLimited):
            bench.committer.check_room(len(entries))
        for task in held[::2]:
            task.cancel()
        for task in held[1::2]:
            await failure(task)
        bench.committer.check_room(len(entries))
        bench.redis.away = None
        await asyncio.sleep(RETRY_PAUSE_S)
        assert await codes(bench.submit(entries)) == ["applied"] * len(entries)

    bench.run(one_client())


def test_the_clock_of_redis_is_read_with_the_calls_now_and_then(bench: Bench) -> None:
    async def steps() -> None:
        for name in "abc":
            await bench.submit(bench.entries(name))
        assert bench.redis.times_read == 1
        await asyncio.sleep(1.0)
        await bench.submit(bench.entries("d"))
        assert bench.redis.times_read == 2

    bench.run(steps())
    assert bench.redis.partition().seq == 4


def test_nothing_is_taken_while_the_clocks_differ(bench: Bench) -> None:
    bench.clock.learn([b"1800000031", b"0"], 0)

    async def steps() -> None:
        assert "clock" in str((await failure(bench.submit(bench.entries("a")))).detail)
        assert "clock" in str((await failure(bench.committer.contact(0))).detail)

    bench.run(steps())
    assert bench.redis.calls() == []

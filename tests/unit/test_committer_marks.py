"""What a committer does about marks: it uses no partition that was not compared with the ledger, and closes one that it
knows to have lost something."""

import pytest

from app.model.errors import Problem, Recovering
from tests.support.committer_bench import CommitterBench, codes, failure, ids
from tests.support.virtual_time import VirtualTime


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> CommitterBench:
    return CommitterBench(VirtualTime(monkeypatch))


def test_a_redis_that_started_anew_is_compared_before_anything_is_sent(bench: CommitterBench) -> None:
    entries = bench.entries("a")
    bench.redis.partition().checked = "another"

    async def steps() -> None:
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())
    assert bench.renewals == 1


def test_a_partition_that_is_not_compared_is_sent_nothing_and_is_asked_for_again(bench: CommitterBench) -> None:
    entries, there = bench.entries("a"), bench.entries("b", partition=1)
    bench.redis.partition().checked, bench.redis.partition().is_whole = "another", False

    async def steps() -> None:
        refused, elsewhere = bench.submit(entries), bench.submit(there)
        assert isinstance(await failure(refused), Recovering)
        assert await codes(elsewhere) == ["applied"]
        bench.redis.partition().is_whole = True
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())
    assert bench.redis.calls() == [ids(there), ids(entries)]


def test_a_closed_partition_is_sent_nothing_and_says_why(bench: CommitterBench) -> None:
    entries = bench.entries("a")
    bench.redis.partition().closed = "it lost entries"

    async def steps() -> None:
        problem = await failure(bench.submit(entries))
        assert (type(problem), problem.detail) == (Recovering, "partition 0: closed: it lost entries")
        bench.redis.partition().closed = None
        assert await codes(bench.submit(entries)) == ["applied"]

    bench.run(steps())
    assert (bench.redis.calls(), bench.renewals) == ([ids(entries)], 0)


def test_who_knows_of_a_loss_closes_the_partition_for_all(bench: CommitterBench) -> None:
    async def steps() -> None:
        assert await codes(bench.submit(bench.entries("a", "b"))) == ["applied"] * 2
        bench.redis.partition().seq = 1
        refused = await failure(bench.submit(bench.entries("c")))
        assert isinstance(refused, Recovering)
        assert bench.redis.partition().closed is not None

    bench.run(steps())


@pytest.mark.parametrize(("recovered", "outcome"), [(2, "applied"), (1, Recovering)])
def test_a_loss_that_was_settled_is_not_told_again(
    bench: CommitterBench, recovered: int, outcome: str | type[Problem]
) -> None:
    async def steps() -> None:
        assert await codes(bench.submit(bench.entries("a", "b"))) == ["applied"] * 2
        partition = bench.redis.partition()
        partition.seq, partition.epoch, partition.recovered = 1, 2, recovered
        bench.redis.connected = False
        answer = bench.submit(bench.entries("c"))
        assert isinstance(await failure(answer), outcome) if outcome is Recovering else await codes(answer) == [outcome]

    bench.run(steps())

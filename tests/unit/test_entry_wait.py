"""Waits for a ledger in memory to hold entries: who shares a look, and what is told of what it does not hold."""

import asyncio
from collections.abc import Collection, Sequence

import pytest

from app.model.errors import StoreUnavailable, not_recorded
from app.store.ledger import EntryKey
from app.write.entry_wait import LOOK_PAUSE_S, LOOK_PAUSE_S_MAX, LOOKED_UP_ENTRIES_MAX, CountedEntry, EntryWait
from tests.support.virtual_time import VirtualTime


class Ledger:
    """offsets_now: by partition, epoch and seq; rows: the entries it has; away: what each look meets."""

    def __init__(self) -> None:
        self.offsets_now: dict[int, tuple[int, int]] = {}
        self.rows: set[EntryKey] = set()
        self.away: StoreUnavailable | None = None
        self.looks = 0
        self.look_ups: list[int] = []

    async def offsets(self) -> dict[int, tuple[int, int, bytes]]:
        self.looks += 1
        if self.away:
            raise self.away
        return {p: (*place, b"d") for p, place in self.offsets_now.items()}

    async def find_recorded(self, entry_keys: Sequence[EntryKey], partitions: Collection[int]) -> set[EntryKey]:
        assert partitions or not entry_keys
        self.look_ups.append(len(entry_keys))
        return self.rows & set(entry_keys)


class Bench:
    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.ledger = Ledger()
        self.entry_wait = EntryWait(self.ledger)  # type: ignore[arg-type]

    def wait(self, *seqs: int, p: int = 0, wait_s: float = 5.0) -> asyncio.Task[dict[EntryKey, StoreUnavailable]]:
        entries = [CountedEntry(p, (1, seq), key(seq, p)) for seq in seqs]
        return asyncio.ensure_future(self.entry_wait.wait(entries, self.time() + wait_s))

    def record(self, seq: int, *, without: int = 0, p: int = 0, epoch: int = 1) -> None:
        """The ledger goes on to a seq, and has all up to there but one."""
        self.ledger.offsets_now[p] = epoch, seq
        self.ledger.rows |= {key(i, p) for i in range(1, seq + 1) if i != without}


def key(seq: int, p: int = 0) -> EntryKey:
    return 10 + p, "grant", f"g{seq}", 1


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(VirtualTime(monkeypatch))


def test_all_that_wait_share_the_looks(bench: Bench) -> None:
    async def steps() -> None:
        waits = [bench.wait(seq, p=seq % 2) for seq in range(1, 41)]
        await asyncio.sleep(0.1)
        for p in (0, 1):
            bench.record(40, p=p)
        assert [await wait for wait in waits] == [{}] * 40

    bench.time.run(steps())
    assert bench.ledger.looks < 8
    assert [count for count in bench.ledger.look_ups if count] == [40]
    assert bench.time.passed_s < 0.2


def test_each_is_told_as_soon_as_its_own_entries_are_there(bench: Bench) -> None:
    async def steps() -> None:
        early, late = bench.wait(1), bench.wait(1, 2)
        bench.record(1)
        assert await early == {}
        assert not late.done()
        bench.record(2)
        assert await late == {}

    bench.time.run(steps())


def test_an_entry_that_the_ledger_went_past_without_is_told(bench: Bench) -> None:
    """A dead letter; or one that a promoted Redis had lost, whose epoch is over."""

    async def steps() -> None:
        bench.record(3, without=2)
        reply = await bench.wait(1, 2, 3)
        assert {name: problem.detail for name, problem in reply.items()} == {key(2): not_recorded().detail}
        bench.record(1, p=1, epoch=2)
        assert list(await bench.wait(5, p=1)) == [key(5, 1)]

    bench.time.run(steps())
    assert bench.time.passed_s < 1


def test_a_ledger_that_stands_still_is_looked_at_ever_less(bench: Bench) -> None:
    async def steps() -> None:
        reply = await bench.wait(1, wait_s=5.0)
        assert reply[key(1)].detail == "the ledger does not hold it in time"

    bench.time.run(steps())
    assert bench.time.passed_s == pytest.approx(5.0, abs=LOOK_PAUSE_S_MAX)
    assert bench.ledger.looks < 5.0 / LOOK_PAUSE_S_MAX + 10


def test_a_ledger_that_is_away_is_the_cause_and_is_asked_on(bench: Bench) -> None:
    bench.ledger.away = StoreUnavailable("Postgres does not answer")

    async def steps() -> None:
        assert (await bench.wait(1, wait_s=0.5))[key(1)].detail == "Postgres does not answer"
        waiting = bench.wait(1)
        await asyncio.sleep(0.5)
        bench.ledger.away = None
        bench.record(1)
        assert await waiting == {}

    bench.time.run(steps())


def test_nobody_looks_when_nobody_waits(bench: Bench) -> None:
    async def steps() -> None:
        bench.record(1)
        await bench.wait(1)
        looks = bench.ledger.looks
        await asyncio.sleep(10 * LOOK_PAUSE_S_MAX)
        assert bench.ledger.looks == looks
        assert await bench.wait(1) == {}

    bench.time.run(steps())


def test_a_look_looks_up_so_many_entries_and_a_large_request_whole(bench: Bench) -> None:
    count = LOOKED_UP_ENTRIES_MAX

    async def steps() -> None:
        bench.record(count + 2)
        waits = [bench.wait(1), bench.wait(*range(2, count + 3)), bench.wait(1)]
        assert [await wait for wait in waits] == [{}] * 3

    bench.time.run(steps())
    assert bench.ledger.look_ups == [1, count + 1, 1]
    assert bench.time.passed_s <= 3 * LOOK_PAUSE_S


def test_one_that_is_cancelled_leaves_the_others(bench: Bench) -> None:
    async def steps() -> None:
        gone, stays = bench.wait(1), bench.wait(1)
        await asyncio.sleep(0.05)
        gone.cancel()
        bench.record(1)
        assert await stays == {}

    bench.time.run(steps())

"""The list of a persister's chores: each is due by its own interval, in the list's order."""

import asyncio
from typing import Any

import pytest

from app.persist import chores
from app.persist.chores import Chore, ChoreRound, ChoreServices, archive_chores, short_chores
from app.persist.faults import LEDGER, Faults, WorkUnit
from app.persist.lease import Lease
from app.settings import Settings
from app.store.ledger_offset import LedgerOffset

SESSION: Any = object()


class Bench:
    """Chores that note that they ran, and a clock that is set by hand."""

    def __init__(self, **intervals_s: float) -> None:
        self.now = 1_000.0
        self.ran: list[str] = []
        self.takes_s: dict[str, float] = {}
        self.fails: set[str] = set()
        self.round = ChoreRound([self._chore(*entry) for entry in intervals_s.items()], lambda: self.now)

    def _chore(self, name: str, interval_s: float) -> Chore:
        async def run(session: Any) -> None:
            assert session is SESSION
            self.ran.append(name)
            self.now += self.takes_s.get(name, 0)
            if name in self.fails:
                raise ConnectionError(name)

        return Chore(name, interval_s, run)

    def step(self, at: float) -> list[str]:
        """The chores that ran in a round that began at a moment."""
        self.now, self.ran = at, []
        asyncio.run(self.round.step(SESSION))
        return self.ran


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "ROUND_PAUSE_S", 0)


def test_each_chore_runs_by_its_own_interval() -> None:
    bench = Bench(always=0, often=1, rarely=5)
    assert bench.step(0) == ["always", "often", "rarely"]
    assert bench.step(0.5) == ["always"]
    assert bench.step(1) == ["always", "often"]
    assert bench.step(1.5) == ["always"]
    assert bench.step(5) == ["always", "often", "rarely"]


def test_an_interval_begins_where_a_run_ends() -> None:
    bench = Bench(slow=1)
    bench.takes_s["slow"] = 10
    assert bench.step(0) == ["slow"]
    assert bench.step(10.5) == []
    assert bench.step(11) == ["slow"]


def test_a_chore_that_raises_ends_the_round_and_is_due_at_once() -> None:
    bench = Bench(first=5, broken=5, last=5)
    bench.fails.add("broken")
    with pytest.raises(ConnectionError):
        bench.step(0)
    assert bench.ran == ["first", "broken"]
    bench.fails.clear()
    assert bench.step(0.1) == ["broken", "last"]


def _checked_lease(p: int) -> Lease:
    lease = Lease.taken(LedgerOffset(1, p, b""))
    lease.checked = True
    return lease


def _services(faults: Faults, leases: dict[int, Lease], **others: Any) -> ChoreServices:
    parts = dict.fromkeys(
        ("capacity", "link", "apply_link", "archive_link", "guard", "buckets", "windows", "archivist", "clock")
    )
    return ChoreServices(
        settings=Settings(),
        partitions=16,
        leases=leases,
        faults=faults,
        pending_archives=set(),
        **{**parts, **others},
    )


def test_a_partition_that_fails_waits_and_the_others_go_on() -> None:
    faults, seen, now = Faults(lambda: now[0]), [], [0.0]
    leases = {p: _checked_lease(p) for p in (3, 5, 9)}
    services = _services(faults, leases)

    async def run(session: Any, p: int, offset: LedgerOffset) -> None:
        seen.append((p, offset.seq))
        leases.pop(9, None)  # What is given up meanwhile is not looked at.
        if p == 3:
            raise ValueError("not today")

    over = services.each_partition("heals", run)
    asyncio.run(over(SESSION))
    asyncio.run(over(SESSION))
    assert seen == [(3, 3), (5, 5), (5, 5)]
    assert not faults.is_due(WorkUnit(3, "heals"))
    now[0] = 1.0
    asyncio.run(over(SESSION))
    assert seen[3:] == [(3, 3), (5, 5)]


def test_chores_begin_where_the_log_was_compared_and_go_on_where_the_ledger_waits() -> None:
    """A decision about a dead letter ends a long wait of the ledger, and is carried out by a chore."""
    faults, seen = Faults(lambda: 0.0), []
    services = _services(faults, {p: Lease.taken(LedgerOffset(1, p, b"")) for p in (3, 5)} | {9: _checked_lease(9)})
    faults.note(WorkUnit(5, LEDGER), ValueError("not today"))

    async def run(session: Any, p: int, offset: LedgerOffset) -> None:
        seen.append(p)

    asyncio.run(services.each_partition("heals", run)(SESSION))
    assert seen == [5, 9]


def test_an_idle_persister_asks_once_for_all_its_partitions() -> None:
    now, seen, queries = [0.0], [], []
    faults = Faults(lambda: now[0])
    leases = {p: _checked_lease(p) for p in (3, 5, 9)}
    rows: list[dict[str, int]] = [{"partition": 5}]

    class Session:
        async def fetch(self, query: str, partitions: list[int]) -> list[dict[str, int]]:
            queries.append((query, partitions))
            return rows

    async def run(session: Any, p: int, offset: LedgerOffset) -> None:
        seen.append(p)
        if len(seen) == 1:
            raise ValueError("not today")

    over = _services(faults, leases).each_partition("heals", run, "get_partitions_with_duplicates")
    asyncio.run(over(Session()))  # type: ignore[arg-type]
    assert (seen, queries) == ([5], [("get_partitions_with_duplicates", [3, 5, 9])])
    # One that failed is run again though nothing of it is found any more: its fault would never end.
    rows.clear()
    now[0] = 1.0
    asyncio.run(over(Session()))  # type: ignore[arg-type]
    assert seen == [5, 5]
    assert not faults.has(WorkUnit(5, "heals"))
    asyncio.run(over(Session()))  # type: ignore[arg-type]
    assert seen == [5, 5]


def test_a_failure_everywhere_is_one_unit_and_stops_no_other_chore() -> None:
    faults, unit = Faults(lambda: 0.0), WorkUnit(-1, "all seals")

    async def fail(session: Any) -> None:
        raise ValueError("not today")

    asyncio.run(_services(faults, {}).alone(unit, fail)(SESSION))
    assert not faults.is_due(unit)


def test_a_chore_is_left_out_while_postgres_is_older_than_redis() -> None:
    refusals: list[str | None] = ["ledger_behind: ...", None]
    runs: list[Any] = []

    class Guard:
        async def refusal(self, session: Any) -> str | None:
            return refusals.pop(0)

    async def run(session: Any) -> None:
        runs.append(session)

    guarded = _services(Faults(), {}, guard=Guard()).by_state(run)
    asyncio.run(guarded(SESSION))
    assert not runs
    asyncio.run(guarded(SESSION))
    assert runs == [SESSION]


def test_the_lists_name_each_chore_once() -> None:
    services = _services(Faults(), {})
    for make in (short_chores, archive_chores):
        names = [chore.name for chore in make(services)]
        assert len(names) == len(set(names))
        assert names

"""Waiting for a ledger in memory to hold what Redis has counted."""

import pytest

from app.drivers.pauses import FIRST_PAUSE_S
from app.model.errors import StoreUnavailable
from app.model.namespace import Namespace, Rules
from app.write.ledger_wait import WAIT_S_MAX, Deadline, LedgerWait
from tests.support.fake_ledger import FakeLedger, FakeRedis
from tests.support.grant_history import grant
from tests.support.virtual_time import VirtualTime

SPACE = Namespace(3, "race", 0, 1, Rules())


class Bench:
    """A wait with its ledger, its Redis and its time."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.ledger, self.redis = FakeLedger(), FakeRedis()
        self.wait = LedgerWait(self.redis, self.ledger)  # type: ignore[arg-type]

    def record_at(self, read: int, seq: int) -> None:
        """From that read on the ledger holds the log up to a seq."""

        def before_read(reads: int) -> None:
            if reads == read:
                self.ledger.recorded_seq = seq

        self.ledger.before_read = before_read


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(VirtualTime(monkeypatch))


def test_a_grant_is_known_with_every_revision_that_counted(bench: Bench) -> None:
    bench.ledger.grants["a"] = grant("a", 5)
    for revision, seq in ((1, 1), (2, 2)):
        bench.redis.count(SPACE, "a", revision, seq)

    def before_read(reads: int) -> None:
        if reads == 3:
            bench.ledger.grants["a"] = grant("a", 6, revision=2)

    bench.ledger.before_read = before_read
    known = bench.time.run(bench.wait.wait_for_grants(SPACE, ["a", "none"], Deadline()))
    assert {grant_id: grant.revision for grant_id, grant in known.grants.items()} == {"a": 2}
    assert known.problems == {}
    assert bench.ledger.reads == 3


def test_a_dead_letter_that_is_settled_is_read_again_at_once(bench: Bench) -> None:
    """Taken off the boards it is no grant; recorded after all it is one."""
    bench.redis.count(SPACE, "dropped", 1, 2)
    bench.redis.count(SPACE, "recorded", 1, 3)
    bench.ledger.dead = {(1, 2): True, (1, 3): True}

    def before_read(reads: int) -> None:
        if reads == 3:
            bench.ledger.grants["recorded"] = grant("recorded", 5)

    bench.ledger.before_read = before_read
    known = bench.time.run(bench.wait.wait_for_grants(SPACE, ["dropped", "recorded"], Deadline()))
    assert (list(known.grants), known.problems) == (["recorded"], {})
    assert bench.time.passed_s == pytest.approx(FIRST_PAUSE_S)


@pytest.mark.parametrize(("recorded", "waits"), [(3, True), (4, False), (9, False)])
def test_all_but_grants_must_be_recorded_for_a_loose_plan(bench: Bench, recorded: int, waits: bool) -> None:
    bench.redis.changes["otter"] = 9, 4
    bench.ledger.recorded_seq = recorded
    bench.record_at(2, 6)
    reply = bench.time.run(bench.wait.wait_until_corrected(SPACE, "otter", Deadline()))
    assert reply == (9, 6 if waits else recorded)
    assert (bench.time.passed_s > 0) is waits


def test_the_last_change_of_a_user_must_be_recorded_for_a_strict_plan(bench: Bench) -> None:
    bench.redis.changes["otter"] = 9, 4
    bench.ledger.recorded_seq = 8
    bench.record_at(3, 9)
    assert bench.time.run(bench.wait.wait_until_unchanged(SPACE, "otter", Deadline())) == 9
    assert bench.ledger.reads == 3


def test_a_user_who_changes_all_the_time_is_not_waited_for_for_ever(bench: Bench) -> None:
    def before_read(reads: int) -> None:
        bench.ledger.recorded_seq, bench.redis.changes["otter"] = reads - 1, (reads + 1, 0)

    bench.redis.changes["otter"] = 1, 0
    bench.ledger.before_read = before_read
    with pytest.raises(StoreUnavailable):
        bench.time.run(bench.wait.wait_until_unchanged(SPACE, "otter", Deadline()))
    assert bench.time.passed_s == pytest.approx(WAIT_S_MAX)


def test_a_user_without_a_counted_grant_is_not_waited_for(bench: Bench) -> None:
    assert bench.time.run(bench.wait.wait_until_unchanged(SPACE, "nobody", Deadline())) == 0
    assert bench.time.run(bench.wait.wait_until_corrected(SPACE, "nobody", Deadline())) == (0, 0)
    bench.time.run(bench.wait.wait_until_flushed(SPACE, "nobody", Deadline()))
    assert bench.time.passed_s == 0

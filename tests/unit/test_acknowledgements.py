"""Which acknowledgement a request may ask for, who has room to wait, and what is told of what is not acknowledged."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.drivers.caller import CALLER
from app.model.errors import Invalid, RateLimited, StoreUnavailable
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.store.apply import Outcome, PartitionHead
from app.write.acknowledgements import WAITING_ENTRIES_MAX, Acknowledgements, AckWait
from app.write.receipts import CorrectionReceipt
from tests.support.virtual_time import VirtualTime

SPACE, BESIDE = Namespace(7, "race", 3, 1, Rules()), Namespace(8, "beside", 4, 1, Rules())
CAUSE = StoreUnavailable("the cause")


class Parts:
    """A committer at epoch 5, and two waits: what is waited for, and what is missing."""

    def __init__(self) -> None:
        self.places: dict[int, list[tuple[int, int]]] = {}
        self.missing: set[Any] = set()
        self.entries: list[Any] = []

    def head(self, p: int) -> PartitionHead:
        return PartitionHead(5, "1", 0, (5, 9, b""))

    async def wait(self, *arguments: Any) -> Any:
        if len(arguments) == 3:
            p, place, _ = arguments
            self.places.setdefault(p, []).append(place)
            if (p, place[0]) in self.missing:
                raise CAUSE
            return None
        self.entries = [(entry.partition, entry.place, entry.key) for entry in arguments[0]]
        return {entry.key: CAUSE for entry in arguments[0] if entry.key[2] in self.missing}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    VirtualTime(monkeypatch)
    return Parts()


@pytest.fixture
def client() -> Iterator[None]:
    token = CALLER.set("client")
    yield
    CALLER.reset(token)


def acks(parts: Any, standard: str = "fsync") -> Acknowledgements:
    return Acknowledgements(committer=parts, replicas=parts, ledger=parts, standard=standard, wait_s=5.0)


def begun(parts: Any, level: str) -> AckWait:
    ack = acks(parts).begin(level)
    assert ack is not None
    return ack


def note(ack: AckWait, codes: list[tuple[int, str, int | None]], namespace: Namespace = SPACE) -> None:
    """Grants with number, outcome and epoch; a grant's seq is its number."""
    entries = [plan(Grant(f"g{i}", "otter", b"5"), namespace, 1_800_000_000_000_000) for i, _, _ in codes]  # type: ignore[arg-type]
    outcomes = [Outcome(code, epoch, None if epoch is None else i, None, None, None) for i, code, epoch in codes]
    ack.note_grants([i for i, _, _ in codes], entries, outcomes)


@pytest.mark.parametrize(
    ("standard", "level", "expected"),
    [
        *(("fsync", None, None), ("fsync", "fsync", None)),
        *(("fsync", "replica", "replica"), ("fsync", "audit", "audit")),
        *(("everysec", "audit", "audit"), ("everysec", "everysec", None), ("memory", None, None)),
    ],
)
def test_there_is_a_wait_for_what_answers_do_not_stand_for(
    parts: Parts, standard: str, level: str | None, expected: str | None
) -> None:
    ack = acks(parts, standard).begin(level)
    assert (ack and ack.level) == expected


@pytest.mark.parametrize(("standard", "level"), [("fsync", "all"), ("fsync", ""), ("everysec", "fsync")])
def test_what_there_is_not_is_refused(parts: Parts, standard: str, level: str) -> None:
    with pytest.raises(Invalid) as refusal:
        acks(parts, standard).begin(level)
    assert refusal.value.field == "?ack"
    assert ("everysec" in refusal.value.detail) is (standard == "everysec")


@pytest.mark.usefixtures("client")
def test_one_client_has_no_more_than_its_share_of_the_room(parts: Parts) -> None:
    waits = acks(parts)
    wait = waits.begin("replica")
    assert wait is not None
    with wait:
        wait.open(WAITING_ENTRIES_MAX // 2)
        other = waits.begin("audit")
        assert other is not None
        with pytest.raises(RateLimited):
            other.open(2)
    again = waits.begin("audit")
    assert again is not None
    again.open(WAITING_ENTRIES_MAX // 2)


async def waited(ack: AckWait) -> dict[int, str]:
    return {number: problem.detail for number, problem in (await ack.wait()).items()}


def test_one_wait_a_partition_up_to_its_last_entry(parts: Parts) -> None:
    ack = begun(parts, "replica")
    note(ack, [(1, "applied", 5), (2, "amount_range", None), (3, "quarantined", 5), (4, "stale_plan", None)])
    note(ack, [(8, "applied", 5)], BESIDE)
    assert asyncio.run(waited(ack)) == {}
    assert parts.places == {3: [(5, 3)], 4: [(5, 8)]}


def test_a_duplicate_is_waited_for_in_the_epoch_of_the_redis_that_told_it(parts: Parts) -> None:
    ack = begun(parts, "replica")
    note(ack, [(1, "duplicate", 2), (2, "applied", 4)])
    parts.missing = {(3, 4)}
    cause = "it counted and stands at fsync, not at replica: the cause; the same request waits again"
    assert asyncio.run(waited(ack)) == {2: cause}
    assert parts.places == {3: [(5, 1), (4, 2)]}


def test_the_ledger_is_asked_for_each_entry_by_its_place_and_name(parts: Parts) -> None:
    ack = begun(parts, "audit")
    note(ack, [(1, "applied", 5), (2, "duplicate", 2)])
    note(ack, [(2, "duplicate", 2)])
    parts.missing = {"g2"}
    assert list(asyncio.run(waited(ack))) == [2]
    assert parts.entries[:2] == [(3, (5, 1), (7, "grant", "g1", 1)), (3, (2, 2), (7, "grant", "g2", 1))]


@pytest.mark.parametrize("level", ["replica", "audit"])
def test_a_correction_that_is_so_already_is_in_the_ledger_and_may_lack_a_replica(parts: Parts, level: str) -> None:
    ack = begun(parts, level)
    seqs: list[tuple[str, int | None]] = [("applied", 7), ("duplicate", None)]
    for i, (status, seq) in enumerate(seqs):
        receipt = CorrectionReceipt(status, f"g{i}", "race", "otter", 1, 1, seq, seq and 5, level, revision=2)
        ack.note_correction(i, SPACE, receipt, 5)
    assert asyncio.run(waited(ack)) == {}
    if level == "replica":
        assert parts.places == {3: [(5, 7)]}
    else:
        assert parts.entries == [(3, (5, 7), (7, "correction", "g0", 2))]

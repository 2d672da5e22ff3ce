"""Which grants are looked up in the ledger before they may count, and what is found there."""

import asyncio
from typing import Any

import pytest

from app.model.errors import Recovering, StoreUnavailable
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.store.apply import PartitionHead
from app.write.ledger_dedup import LedgerDedup

NOW = 1_795_780_800_000_000
MINUTE = 60_000_000
OLDEST = NOW - 10 * MINUTE
SPACE, BESIDE = Namespace(7, "race", 3, 1, Rules()), Namespace(8, "beside", 3, 1, Rules())


def head(oldest_starts: int = OLDEST) -> PartitionHead:
    return PartitionHead(1, "3,2,1", oldest_starts, (1, 9, b"d"))


def entry(grant_id: str = "g", age: int = 60, namespace: Namespace = SPACE, amount: bytes = b"5") -> Any:
    """A grant whose granted_at lies `age` minutes back; its first sending, 5 minutes more."""
    made = plan(Grant(grant_id, "ann", amount), namespace, NOW - age * MINUTE)  # type: ignore[arg-type]
    assert made.known_since == NOW - (age + 5) * MINUTE
    return made


class Committer:
    """Knows a head, or learns one when it is asked for contact: `learns`; a problem is raised."""

    def __init__(self, known: PartitionHead | None, learns: Any = None) -> None:
        self._known, self._learns = known, learns
        self.contacts = 0

    def head(self, p: int) -> PartitionHead | None:
        return self._known

    async def contact(self, p: int) -> None:
        self.contacts += 1
        if isinstance(self._learns, tuple):
            self._known, problem = self._learns
            raise problem
        if isinstance(self._learns, Exception):
            raise self._learns
        self._known = self._learns


class Postgres:
    """Has some grants: by namespace id and grant_id, the entry as it was recorded."""

    def __init__(self, recorded: dict[tuple[int, str], Any] | None = None) -> None:
        self._recorded = recorded or {}
        self.questions: list[tuple[int, list[str]]] = []

    async def fetch(self, query: str, namespace_id: int, grant_ids: list[str]) -> list[dict[str, Any]]:
        assert query == "find_recorded_grants"
        self.questions.append((namespace_id, grant_ids))
        return [
            {"grant_id": grant_id, "digest": self._recorded[namespace_id, grant_id].content, "epoch": 1, "seq": 4}
            for grant_id in grant_ids
            if (namespace_id, grant_id) in self._recorded
        ]


@pytest.mark.parametrize(
    ("known", "age", "knows"),
    [
        pytest.param(head(), 4, True, id="younger than the oldest generation"),
        pytest.param(head(), 5, True, id="just as old"),
        pytest.param(head(), 6, False, id="older"),
        pytest.param(head(oldest_starts=0), 60, True, id="no generation was dropped yet"),
        pytest.param(None, 4, False, id="the head is unknown"),
    ],
)
def test_what_the_generations_know(known: PartitionHead | None, age: int, knows: bool) -> None:
    dedup, one = LedgerDedup(Postgres()), entry(age=age)  # type: ignore[arg-type]
    assert dedup.is_in_generations([one], Committer(known)) is knows  # type: ignore[arg-type]
    assert one.generations == ("" if known is None else "3,2,1")


def test_what_may_have_come_at_any_time_is_looked_up() -> None:
    one = entry(age=0, namespace=SPACE)
    one.known_since = None
    dedup = LedgerDedup(Postgres())  # type: ignore[arg-type]
    assert not dedup.is_in_generations([entry(age=0), one], Committer(head()))  # type: ignore[arg-type]
    assert dedup.is_in_generations([one], Committer(head(oldest_starts=0)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recorded", "verdict"),
    [
        pytest.param({}, "", id="unknown"),
        pytest.param({(7, "g"): entry()}, "duplicate 1-4", id="the same"),
        pytest.param({(7, "g"): entry(amount=b"6")}, "grant_conflict", id="another content"),
        pytest.param({(8, "g"): entry()}, "", id="another namespace's"),
    ],
)
def test_an_old_grant_gets_its_verdict_from_the_ledger(recorded: dict[tuple[int, str], Any], verdict: str) -> None:
    postgres, one = Postgres(recorded), entry()
    asyncio.run(LedgerDedup(postgres).check([one], Committer(head())))  # type: ignore[arg-type]
    assert (one.verdict, one.generations) == (verdict, "3,2,1")
    assert postgres.questions == [(7, ["g"])]


def test_a_namespace_is_one_question_and_what_is_young_none() -> None:
    postgres = Postgres({(7, "b"): entry("b"), (7, "young"): entry("young", age=0)})
    entries = [entry("a"), entry("b"), entry("young", age=0), entry("c", namespace=BESIDE)]
    asyncio.run(LedgerDedup(postgres).check(entries, Committer(head())))  # type: ignore[arg-type]
    assert postgres.questions == [(7, ["a", "b"]), (8, ["c"])]
    assert [one.verdict for one in entries] == ["", "duplicate 1-4", "", ""]


@pytest.mark.parametrize(
    ("learns", "verdict"),
    [
        pytest.param(head(), "duplicate 1-4", id="learned"),
        pytest.param((head(), StoreUnavailable("full")), "duplicate 1-4", id="a partition that takes nothing new"),
        pytest.param(None, "", id="none: the committer will refuse it"),
    ],
)
def test_a_head_that_is_unknown_is_asked_for(learns: Any, verdict: str) -> None:
    committer, one = Committer(None, learns), entry()
    asyncio.run(LedgerDedup(Postgres({(7, "g"): entry()})).check([one], committer))  # type: ignore[arg-type]
    assert (one.verdict, committer.contacts) == (verdict, 1)


def test_a_partition_that_nobody_can_speak_of_raises() -> None:
    with pytest.raises(Recovering):
        asyncio.run(LedgerDedup(Postgres()).check([entry()], Committer(None, Recovering("lost"))))  # type: ignore[arg-type]

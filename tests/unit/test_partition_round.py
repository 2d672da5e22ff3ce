"""What a persister's own entries ask of Redis: the head once a round, or again where it has changed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.model.entry import PlannedEntry
from app.model.namespace import Namespace, Rules
from app.model.seal import seal_entry
from app.persist.partition_round import PartitionRound
from app.store.apply import CallRefused
from app.store.ledger_offset import LedgerOffset
from app.store.partitions import read_heads

SPACE = Namespace(7, "race", 3, 1, Rules())
HEAD = [b"epoch", b"1", b"seq", b"9", b"generations", b"2,1", b"complete_since:1", b"0", b"checked", b"here"]
REFUSED = [b"stale_generations", b"3,2"]


def entry(day: str) -> PlannedEntry:
    window = SPACE.calendar.find(day, 0)
    assert window is not None
    return seal_entry(SPACE, window)


class Redis:
    """Answers what it is told; each script call takes the next of `replies`, or applies."""

    def server_id(self, key: str) -> str:
        return "here"

    def __init__(self, head: Any, *replies: Any) -> None:
        self.head = head
        self.replies = list(replies)
        self.sent: list[str] = []

    async def run(self, calls: Sequence[Any]) -> list[Any]:
        self.sent.append(" ".join(call[0] for call in calls))
        return [self._reply(call) for call in calls]

    def _reply(self, call: Any) -> Any:
        if call[0] == "HGETALL":
            return self.head
        return self.replies.pop(0) if self.replies else [b"ok", b"applied", 1, 10, None, None]


def submit(redis: Redis, rounds: int) -> list[str]:
    async def work() -> list[str]:
        partition_round = PartitionRound(redis, 3, LedgerOffset(1, 9, b"d"))  # type: ignore[arg-type]
        outcomes = [await partition_round.submit([entry(f"2026-11-0{i + 1}")]) for i in range(rounds)]
        return [outcome.code for (outcome,) in outcomes]

    return asyncio.run(work())


def test_a_round_reads_the_head_once() -> None:
    redis = Redis(HEAD)
    assert submit(redis, 3) == ["applied"] * 3
    assert redis.sent == ["HGETALL", "EVALSHA", "EVALSHA", "EVALSHA"]


def test_a_head_that_has_changed_since_is_read_again() -> None:
    redis = Redis(HEAD, [b"ok", b"applied", 1, 10, None, None], REFUSED)
    assert submit(redis, 2) == ["applied"] * 2
    assert redis.sent == ["HGETALL", "EVALSHA", "EVALSHA", "HGETALL", "EVALSHA"]


@pytest.mark.parametrize("before", [0, 1])
def test_a_refusal_that_a_fresh_head_does_not_end_is_raised(before: int) -> None:
    applied = [[b"ok", b"applied", 1, 10, None, None]] * before
    redis = Redis(HEAD, *applied, *[REFUSED] * 2)
    with pytest.raises(CallRefused, match="stale_generations"):
        submit(redis, before + 1)


def test_heads_of_many_partitions_take_one_round_trip() -> None:
    redis = Redis(HEAD)
    heads = asyncio.run(read_heads(redis, range(16)))  # type: ignore[arg-type]
    assert redis.sent == [" ".join(["HGETALL"] * 16)]
    assert [head.generations for head in heads if not isinstance(head, CallRefused)] == ["2,1"] * 16


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ([], "unopened"),
        ([*HEAD[:4], *HEAD[-2:]], "corrupt"),
        ([*HEAD[:-1], b"there"], "unchecked"),
        (HEAD[:-2], "unchecked"),
        ([*HEAD, b"closed", b"lost"], "closed"),
        ([*HEAD[:1], b"x", *HEAD[2:]], "corrupt"),
        (Exception("WRONG"), "corrupt"),
    ],
)
def test_a_bad_head_stands_as_its_refusal(head: Any, code: str) -> None:
    (refusal,) = asyncio.run(read_heads(Redis(head), [3]))  # type: ignore[arg-type]
    assert isinstance(refusal, CallRefused)
    assert refusal.code == code

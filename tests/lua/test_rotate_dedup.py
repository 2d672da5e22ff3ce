"""Dedup generations: when one begins, and that none goes while the ledger lacks an entry of it."""

from typing import Any

import pytest

from app.store import fields, keys
from app.store.partitions import ADVANCE_FLUSHED, ROTATE_DEDUP

P = 3
DAY_US = 86_400_000_000
IDS_MAX = 1_000_000


def rotate(
    partition: Any, *, epoch: int = 1, known: str | None = None, age_us: int = DAY_US, ids: int = IDS_MAX
) -> int:
    """Runs the script as a persister does. known: the generations as it knows them, None for what they are."""
    before = generations(partition)
    newest, oldest = before.split(",")[0], before.split(",")[-1]
    names = [keys.meta(P), keys.dedup(P, newest), keys.dedup(P, oldest)]
    return int(partition.eval(ROTATE_DEDUP, names, [epoch, before if known is None else known, age_us, ids]))


def generations(partition: Any) -> str:
    return str(partition.store.hget(keys.meta(P), fields.GENERATIONS).decode())


def flush(partition: Any, seq: int) -> None:
    assert partition.eval(ADVANCE_FLUSHED, [keys.meta(P), keys.log(P)], [1, seq, 0, 0, 0]) == 1


def apply(partition: Any, grant_id: str) -> str:
    """The outcome of a grant, sent by one who knows the generations."""
    partition.head.generations = generations(partition)
    (code,) = partition.codes(partition.entry(grant_id))
    return str(code)


@pytest.mark.parametrize("flushed", [0, 1, 2, 3])
def test_a_generation_goes_once_the_ledger_has_all_of_it(partition: Any, flushed: int) -> None:
    """The oldest one holds the first entry, the next one the second: only the first has to be in the ledger."""
    for i in range(3):
        assert apply(partition, f"g{i}") == "applied"
        if i < 2:
            assert rotate(partition, age_us=0) == 1
    if flushed:
        flush(partition, flushed)
    assert generations(partition) == "3,2,1"
    assert rotate(partition) == (flushed >= 1)
    assert generations(partition) == ("3,2" if flushed >= 1 else "3,2,1")
    assert partition.store.exists(keys.dedup(P, 1)) == (flushed < 1)


def test_an_entry_that_the_ledger_lacks_stays_a_duplicate(partition: Any) -> None:
    assert apply(partition, "g0") == "applied"
    for _ in range(4):
        rotate(partition, age_us=0)
    assert apply(partition, "g0") == "duplicate"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, 0),
        ({"age_us": 0}, 1),
        ({"ids": 1}, 1),
        ({"ids": 2}, 0),
        ({"age_us": 0, "epoch": 2}, 0),
        ({"age_us": 0, "known": "2,1"}, 0),
    ],
    ids=["young and small", "old", "full", "not full", "another epoch", "not as the caller knows them"],
)
def test_a_generation_begins_where_the_newest_is_old_or_full(
    partition: Any, options: dict[str, Any], code: int
) -> None:
    assert apply(partition, "g0") == "applied"
    assert rotate(partition, **options) == code
    assert generations(partition) == ("2,1" if code else "1")

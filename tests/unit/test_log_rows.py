"""Entries of a log as rows: they go on where the ledger ends, one by one."""

import pytest

from app.persist.log_reader import PartitionStopped, rows_behind
from app.store.ledger_offset import LedgerOffset

OFFSET = LedgerOffset(1, 5, b"d")


def entries(*places: str) -> list[tuple[bytes, list[bytes]]]:
    return [(place.encode(), [b"d", b"x" * 16, b"e", b"", b"r", b"0 1 "]) for place in places]


def test_rows_go_on_where_the_ledger_ends() -> None:
    rows = rows_behind(0, entries("1-6", "1-7", "2-8"), OFFSET)
    assert [(row.epoch, row.seq) for row in rows] == [(1, 6), (1, 7), (2, 8)]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["1-7"], "goes on at 1-7, the ledger ends at seq 5"),
        (["1-5"], "goes on at 1-5, the ledger ends at seq 5"),
        (["1-6", "1-8"], "goes on at 1-8, the ledger ends at seq 6"),
        (["1-6", "1-6"], "goes on at 1-6, the ledger ends at seq 6"),
        (["2-1"], "goes on at 2-1, the ledger ends at seq 5"),
    ],
    ids=["a gap", "the last one again", "a gap further on", "one twice", "an epoch that counts anew"],
)
def test_a_log_that_does_not_go_on_stops_its_partition(places: list[str], expected: str) -> None:
    with pytest.raises(PartitionStopped, match=expected):
        rows_behind(0, entries(*places), OFFSET)

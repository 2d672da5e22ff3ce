"""A partition whose first entries come while it is compared with the ledger has lost nothing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.store.ledger_reach import look_twice

DIGEST = b"d" * 16


class Log:
    """A partition with five entries, of which the ledger has had three at one time."""

    def __init__(self, entries: int) -> None:
        self.entries = entries

    async def run(self, calls: Any) -> list[Any]:
        _, (_, _, first, *_), _ = calls
        seq = int(str(first).rpartition("-")[2])
        entries = [[f"1-{seq}".encode(), [b"d", DIGEST]]] if 0 < seq <= self.entries else []
        return [[b"1", b"%d" % self.entries, b"1-3", b"here", None, b"0", None], entries, [[b"1-4", [b"d", DIGEST]]]]


def offset(seq: int) -> dict[str, Any]:
    return {"partition": 3, "epoch": int(seq > 0), "seq": seq, "digest": DIGEST if seq else b""}


@pytest.mark.parametrize(
    ("seqs", "entries", "loss"),
    [
        ([0, 3], 5, None),
        ([3], 5, None),
        ([0, 0], 5, "ledger_behind: "),
        ([9, 9], 5, "Redis ends at 1-5, the ledger at 1-9"),
    ],
)
def test_what_looks_like_a_loss_is_looked_at_again(seqs: list[int], entries: int, loss: str | None) -> None:
    ledger: Iterator[int] = iter(seqs)

    async def read_offsets() -> Any:
        return [offset(next(ledger))]

    (reach,) = asyncio.run(look_twice(Log(entries), read_offsets))  # type: ignore[arg-type]
    assert next(ledger, None) is None, "the second look is only for what looks like a loss"
    assert reach.loss is None if loss is None else (reach.loss or "").startswith(loss)

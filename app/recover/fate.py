"""What became of an acknowledged entry that the ledger does not have at its place, and the event that tells it."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ..drivers.postgres import Postgres
from ..persist.ledger_row import LedgerRow
from ..store.apply import Outcome

_encode = msgspec.json.Encoder().encode


class Fate(NamedTuple):
    """row: the entry at its old place. epoch, seq: its new place; code: why it has none."""

    row: LedgerRow
    epoch: int | None = None
    seq: int | None = None
    code: str | None = None

    @classmethod
    def of(cls, row: LedgerRow, outcome: Outcome) -> "Fate":
        """The fate by an outcome of the script."""
        if outcome.code in ("applied", "quarantined", "duplicate"):
            return cls(row, outcome.epoch, outcome.seq)
        return cls(row, code=outcome.code)

    @property
    def is_back(self) -> bool:
        """Whether it counts again."""
        return self.code is None

    def __str__(self) -> str:
        row, entry = self.row, self.row.entry
        name = "" if entry is None else f" grant {entry.grant_id!r} revision {entry.revision}"
        then = f"is {self.epoch}-{self.seq} now" if self.is_back else f"cannot come back: {self.code}"
        return f"{row.epoch}-{row.seq}{name} {then}"


async def record_fates(postgres: Postgres, fates: Sequence[Fate]) -> None:
    """Records an event for each entry that belongs to a namespace. StoreUnavailable."""
    own = [(fate.row.entry.namespace_id, fate) for fate in fates if fate.row.entry is not None]
    if own:
        types = ["replayed" if fate.is_back else "lost" for _, fate in own]
        bodies = [_encode(_body(fate)).decode() for _, fate in own]
        await postgres.fetch("record_fates", [namespace_id for namespace_id, _ in own], types, bodies)


def _body(fate: Fate) -> dict[str, object]:
    row, entry = fate.row, fate.row.entry
    assert entry is not None
    body: dict[str, object] = {"grant_id": entry.grant_id, "revision": entry.revision}
    if fate.is_back:
        return body | {"previous_epoch": row.epoch, "previous_seq": row.seq, "epoch": fate.epoch, "seq": fate.seq}
    return body | {"epoch": row.epoch, "first_seq": row.seq, "last_seq": row.seq, "entries": 1, "cause": fate.code}

"""One log entry as a row of the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from ..model.entry import GRANT, QUARANTINE, LogEntry

COLUMNS = (
    *("partition", "epoch", "seq", "kind", "namespace_id", "grant_id", "revision", "user_number", "amount", "weight"),
    *("score", "category", "source", "source_id", "action", "session_id", "granted_at", "recorded_at", "windows"),
    *("digest", "change", "value", "voided", "verb", "reason", "actor", "key", "day", "asked"),
)
DUPLICATE = "duplicate"

unpack = msgspec.msgpack.Decoder(LogEntry).decode


@dataclass(slots=True)
class Row:
    """One log entry on its way into the ledger. `fault`: why it cannot be recorded as what it claims.

    recorded_at: microseconds since 1970 UTC. score: on the `all` board after it, None where the user left it; change:
    what it moved there; came: 1 where the user was not on it before, −1 where they left it.
    """

    partition: int
    epoch: int
    seq: int
    digest: bytes
    packed: bytes
    recorded_at: int
    score: int | None
    change: int
    quarantined: bool
    entry: LogEntry | None
    fault: str | None = None
    came: int = 0

    @property
    def counts(self) -> bool:
        """Whether the boards counted it as far as the ledger can tell; a duplicate did."""
        return self.entry is not None and self.fault in (None, DUPLICATE)

    @property
    def key(self) -> tuple[int, str, str, int]:
        """What the ledger holds once."""
        assert self.entry is not None
        return self.entry.namespace_id, self.entry.kind, self.entry.grant_id, self.entry.revision


def read_row(p: int, stream_id: bytes, fields: Sequence[bytes]) -> Row:
    """A row from a stream entry `d digest e entry r "at score previous"`; one that cannot be read has a fault."""
    epoch, seq = map(int, stream_id.split(b"-"))
    digest, packed, result = fields[1], fields[3], fields[5]
    at, score, previous, *mark = result.split(b" ")
    change = int(score or 0) - int(previous or 0)
    row = Row(p, epoch, seq, digest, packed, int(at), int(score) if score else None, change, bool(mark), None)
    row.came = bool(score) - bool(previous)
    try:
        row.entry = unpack(packed)
    except msgspec.DecodeError as error:
        row.fault = f"poison: {error}"
    return row


def record(row: Row, numbers: Mapping[str, int]) -> tuple[Any, ...]:
    """The row's values in the order of COLUMNS. numbers: the users'; a seal is of no user."""
    entry = row.entry
    if not row.counts or entry is None:
        return (
            *(row.partition, row.epoch, row.seq, "tombstone", 0, f"tombstone:{row.partition}:{row.epoch}-{row.seq}", 1),
            *(None, 0, 0, row.score, None, None, None, None, None, row.recorded_at, row.recorded_at, [], row.digest),
            *(0, None, False, None, None, None, None, None, None),
        )
    # A duplicate keeps what it claimed: the boards counted it, so the ledger's sums must, until its heal takes it back.
    name = (
        (DUPLICATE, f"{DUPLICATE}:{row.partition}:{row.epoch}-{row.seq}")
        if row.fault == DUPLICATE
        else (entry.kind, entry.grant_id)
    )
    return (
        *(row.partition, row.epoch, row.seq, name[0], entry.namespace_id, name[1], entry.revision),
        *(
            numbers.get(entry.user),
            entry.amount,
            0 if row.quarantined else entry.weight,
            row.score,
            entry.category,
            entry.source,
            entry.source_id,
        ),
        *(entry.action, entry.session_id, entry.granted_at, row.recorded_at, entry.windows, row.digest),
        *(row.change, entry.amount if entry.kind == GRANT else entry.value, entry.voided or row.quarantined),
        *(QUARANTINE if row.quarantined else entry.verb,),
        *(entry.reason, entry.actor, entry.key, None if entry.day is None else date.fromisoformat(entry.day)),
        entry.asked,
    )

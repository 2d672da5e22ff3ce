"""One log entry as a row of the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from ..model.entry import LogEntry, marker_entry
from ..model.entry_kinds import DUPLICATE, QUARANTINE_VERB, TOMBSTONE, kind_of
from ..model.entry_names import duplicate_name, tombstone_name
from ..store.ledger_columns import TEXT_COLUMNS
from ..store.log_format import parse_place, read_fields, read_outcome

# How much of a dead letter its tombstone records: all that a score is made of; its user and what it changed; or only
# its place. The first of these that Postgres takes is used.
FULL, OWNER, BARE = range(3)

unpack = msgspec.msgpack.Decoder(LogEntry).decode


@dataclass(slots=True)
class LedgerRow:
    """One log entry as it will be in the ledger. fault: why it cannot be recorded as it is (code: the SQLSTATE or the
    kind of error); tombstone: how much of it is recorded then.

    recorded_at: microseconds since 1970 UTC. score: on the `all` board after it, None if the user left the board;
    change: of this score; came: 1 if the user was not on the board before, −1 if they left it.
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
    code: str = ""
    tombstone: int = FULL

    @property
    def is_dead(self) -> bool:
        """Whether it is a dead letter."""
        return self.fault not in (None, DUPLICATE)

    @property
    def counts(self) -> bool:
        """Whether the boards counted it, as far as the ledger knows. Duplicates and dead letters were counted."""
        return self.entry is not None and not (self.is_dead and self.tombstone == BARE)

    @property
    def original(self) -> tuple[int, int, int] | None:
        """The entry that this one records anew (epoch, seq, moment of recording); None for all other kinds."""
        return None if self.entry is None else self.entry.original

    @property
    def key(self) -> tuple[int, str, str, int]:
        """The key that is unique in the ledger."""
        assert self.entry is not None
        return self.entry.namespace_id, self.entry.kind, self.entry.grant_id, self.entry.revision


def read_row(p: int, stream_id: bytes, fields: Sequence[bytes]) -> LedgerRow:
    """A row from an entry of the stream. An entry that cannot be read gives a row with a fault."""
    epoch, seq = parse_place(stream_id)
    digest, packed, outcome = read_fields(fields)
    row = LedgerRow(p, epoch, seq, digest, packed, 0, None, 0, False, None)
    try:
        row.recorded_at, row.score, previous, row.quarantined = read_outcome(outcome)
        row.change = (row.score or 0) - (previous or 0)
        row.came = (row.score is not None) - (previous is not None)
        row.entry = unpack(packed)
    except (ValueError, msgspec.DecodeError) as error:
        row.fault, row.code = f"it cannot be read: {error}", "unreadable"
        row.entry = _owner_of(packed)
    return row


def _owner_of(packed: bytes) -> LogEntry | None:
    """The namespace, user, grant_id and live delta of an entry that cannot be read whole: these first fields are the
    same in every version. None if they cannot be read either."""
    try:
        parts = msgspec.msgpack.decode(packed)
        kind, namespace_id, user, grant_id, _, _, weight = parts[:7]
        weight = weight if weight in (-1, 0, 1) else 0
        body = marker_entry(kind_of(kind), namespace_id, grant_id, 0, user=user)
        return msgspec.convert(msgspec.to_builtins(msgspec.structs.replace(body, live_delta=weight)), LogEntry)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None


def row_values(row: LedgerRow, numbers: Mapping[str, int]) -> tuple[Any, ...]:
    """The row's values in the order of ENTRY_COLUMNS. numbers: by user name; a seal has no user."""
    entry = row.entry
    if row.is_dead or entry is None:
        return _tombstone(row, numbers)
    # A duplicate keeps its amounts: the boards counted it, so the ledger's sums must too, until its heal takes it back.
    name = (
        (DUPLICATE, duplicate_name(row.partition, epoch=row.epoch, seq=row.seq))
        if row.fault == DUPLICATE
        else (entry.kind, entry.grant_id)
    )
    return (
        *(row.partition, row.epoch, row.seq, name[0], entry.namespace_id, name[1], entry.revision),
        *(numbers.get(entry.user), entry.entry_amount, 0 if row.quarantined else entry.live_delta, row.score),
        *(entry.category, entry.source, entry.action, entry.granted_at),
        *(
            entry.original[2] if entry.original else row.recorded_at,
            entry.windows,
            row.digest,
            row.change,
            entry.amount,
        ),
        *(entry.voided or row.quarantined, QUARANTINE_VERB if row.quarantined else entry.verb, entry.idempotency_key),
        *(_day(entry), entry.original[1] if entry.original else None, entry.opening),
        *(entry.source_id, entry.session_id, entry.reason, entry.actor, entry.request_digest),
    )


def _tombstone(row: LedgerRow, numbers: Mapping[str, int]) -> tuple[Any, ...]:
    """The row that takes a dead letter's place. In the ledger's sums it keeps what the boards counted. A grant is
    a live grant of its user in plans made from the ledger, until it is recorded or taken back. It has no texts."""
    name, entry = tombstone_name(row.partition, epoch=row.epoch, seq=row.seq), row.entry
    place, texts = (row.partition, row.epoch, row.seq, TOMBSTONE), (None,) * len(TEXT_COLUMNS)
    if entry is None or row.tombstone == BARE:
        return (
            *(*place, 0, name, 1, None, 0, 0, row.score, None, None, None, row.recorded_at, row.recorded_at, []),
            *(row.digest, 0, None, False, None, None, None, None, False, *texts),
        )
    weight = 0 if row.quarantined else entry.live_delta
    if row.tombstone == OWNER or entry.original is not None or row.code == "unreadable":
        return (
            *(*place, entry.namespace_id, name, 1, numbers.get(entry.user), 0, weight, row.score, None, None, None),
            *(row.recorded_at, row.recorded_at, [], row.digest, row.change, None, True, None, None, None, None),
            *(entry.opening, *texts),
        )
    return (
        *(*place, entry.namespace_id, name, entry.revision, numbers.get(entry.user), entry.entry_amount, weight),
        *(row.score, entry.category, entry.source, None, entry.granted_at, row.recorded_at, entry.windows, row.digest),
        *(row.change, entry.amount, entry.voided or row.quarantined, None, None, _day(entry), None),
        *(entry.opening, *texts),
    )


def _day(entry: LogEntry) -> date | None:
    return None if entry.day is None else date.fromisoformat(entry.day)

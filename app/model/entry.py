"""An entry: one change of scores on its way through the log into the ledger."""

import msgspec

from .entry_kinds import CORRECTION, EntryKind, kind_of
from .entry_names import entry_id, idempotency_id
from .namespace import Namespace
from .ops import Ops

_pack = msgspec.msgpack.Encoder().encode


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """What the log carries of an entry: positional MessagePack, so new fields are only added at the end.

    kind: a name of model/entry_kinds. entry_amount: scaled units that the entry itself adds to the score. live_delta:
    live grants added (1, 0 or −1). granted_at: microseconds since 1970 UTC. windows: those it lands in, recorded so
    that they do not depend on later time zone data. meta: canonical JSON.

    A correction carries the grant as it is after it: new_amount, voided, windows. verb says what was done, and
    entry_amount is 0. idempotency_key: the caller's; request_digest: of the request that was made with it. batch: names
    the request with which it came together with others. original: if this entry only records a dead letter, the dead
    letter's epoch, seq and moment of recording (microseconds). day: the grant's, if streaks are on, in the user's zone
    at the time of planning, else in the namespace's. opening: the grant is an opening balance.
    """

    kind: str
    namespace_id: int
    user: str
    grant_id: str
    revision: int
    entry_amount: int
    live_delta: int
    category: str | None
    source: str | None
    source_id: str | None
    action: str | None
    session_id: str | None
    granted_at: int
    windows: tuple[str, ...]
    meta: bytes | None
    new_amount: int | None = None
    voided: bool = False
    verb: str | None = None
    reason: str | None = None
    actor: str | None = None
    idempotency_key: str | None = None
    day: str | None = None
    request_digest: bytes | None = None
    batch: str | None = None
    original: tuple[int, int, int] | None = None
    opening: bool = False

    @property
    def amount(self) -> int | None:
        """The grant's amount after this entry, in scaled units; None if the entry carries no grant."""
        return self.entry_amount if kind_of(self.kind).is_first else self.new_amount


def marker_entry(
    kind: EntryKind,
    namespace_id: int,
    name: str,
    granted_at: int,
    *,
    user: str = "",
    windows: tuple[str, ...] = (),
    verb: str | None = None,
    actor: str | None = None,
) -> LogEntry:
    """An entry that changes no score and marks a point of the log. name: its grant_id."""
    return LogEntry(
        kind=kind.name,
        namespace_id=namespace_id,
        user=user,
        grant_id=name,
        revision=1,
        entry_amount=0,
        live_delta=0,
        category=None,
        source=None,
        source_id=None,
        action=None,
        session_id=None,
        granted_at=granted_at,
        windows=windows,
        meta=None,
        verb=verb,
        actor=actor,
    )


class PlannedEntry(msgspec.Struct, kw_only=True):
    """An entry to apply. id and content: 16 bytes; verdict: the outcome if the id is unseen.

    generations: the dedup generations that the plan looked at; "" if that does not matter. boards: names of the boards
    that it moves, `all` first (`<window>:<category>` for those of a category); labels: the balances besides the total,
    `c:…` and `s:…`, and the day, `d:…`; ops: what happens to each. known_since: the earliest moment (microseconds) at
    which the same entry may have been sent before; None: unknown. claim: `key_claim` of a correction with an
    Idempotency-Key, else b""; the script accepts a key once. release: `claims_of` of a heal that takes a correction off
    the boards, else b"". log_bytes: the body as the log keeps it.
    """

    kind: EntryKind
    namespace: Namespace
    body: LogEntry
    id: bytes
    content: bytes
    verdict: str = ""
    known_since: int | None = None
    generations: str = ""
    boards: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    ops: Ops = None
    claim: bytes = b""
    release: bytes = b""
    log_bytes: bytes = b""

    def __post_init__(self) -> None:
        self.log_bytes = _pack(self.body)
        self.boards = self.boards or self.body.windows


def key_claim(namespace_id: int, key: str, request_digest: bytes) -> bytes:
    """What a correction claims with its Idempotency-Key: 16 bytes that name the key, and 16 over the request."""
    return idempotency_id(namespace_id, key) + request_digest


def claims_of(correction: LogEntry, epoch: int, seq: int) -> bytes:
    """What other corrections may claim again after this one is taken off the boards: its place in the log, a space, and
    16 bytes each for its revision and its Idempotency-Key. lua/include/dedup.lua reads it."""
    ids = [entry_id(CORRECTION, correction.namespace_id, correction.grant_id, correction.revision)]
    if correction.idempotency_key is not None:
        ids.append(idempotency_id(correction.namespace_id, correction.idempotency_key))
    return f"{epoch}-{seq} ".encode() + b"".join(ids)

"""An entry: one change of scores on its way through the log into the ledger."""

import msgspec

from .entry_kinds import CORRECTION, EntryKind, kind_of
from .entry_names import entry_id, idempotency_id
from .namespace import Namespace
from .ops import Ops

_pack = msgspec.msgpack.Encoder().encode


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """What the log carries of an entry: positional MessagePack, so fields are only ever added at the end.

    kind: a name of model/entry_kinds. amount: scaled units added to the score. live_delta: live grants added (1, 0 or
    −1). granted_at: microseconds since 1970 UTC. windows: those it lands in, so that nobody computes them again with
    other time zones. meta: canonical JSON.

    A correction carries the grant as it is from then on: new_amount is its amount, voided whether it counts, verb what
    was done; amount has no meaning then, and windows are those of the grant. idempotency_key: the caller's, and
    request_digest what was asked with it. batch: the request in which it came with others.
    original: epoch, seq and moment of recording (microseconds) of the entry that counted, where this one only records
    it: that one is a dead letter.
    day: where streaks are on, the grant's, in the zone that its user had when it was planned, else the namespace's.
    """

    kind: str
    namespace_id: int
    user: str
    grant_id: str
    revision: int
    amount: int
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

    @property
    def grant_amount(self) -> int | None:
        """The grant's amount from here on, in scaled units; None where the entry carries none."""
        return self.amount if kind_of(self.kind).is_first else self.new_amount


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
    """An entry that adds to no score: it says that something holds from here on. name: its grant_id."""
    return LogEntry(
        kind=kind.name,
        namespace_id=namespace_id,
        user=user,
        grant_id=name,
        revision=1,
        amount=0,
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
    """An entry as it is to be applied. id and content: 16 bytes; verdict: answered only if the id is unseen.

    generations: the seen generations by which it was judged; "" where that does not matter.
    boards: names of the boards that it moves, `all` first (`<window>:<category>` for those of a category); labels: the
    balances besides the total, `c:…` and `s:…`, and the day, `d:…`; ops: what becomes of each.
    known_since: the earliest moment (microseconds) at which it may have come before; None: unknown.
    claim: of a correction with an Idempotency-Key, `key_claim`; the script lets a key be claimed once. b"": none.
    release: of a heal that takes a correction off the boards, `claims_of`. b"": none.
    log_bytes: the body as the log keeps it.
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
    """What a correction claims by its Idempotency-Key: 16 bytes that name the key, and 16 over what was asked."""
    return idempotency_id(namespace_id, key) + request_digest


def claims_of(correction: LogEntry, epoch: int, seq: int) -> bytes:
    """What another correction may claim again once this one is taken off the boards: its place in the log, a space, and
    16 bytes each for its revision and its Idempotency-Key. lua/include/dedup.lua reads it."""
    ids = [entry_id(CORRECTION, correction.namespace_id, correction.grant_id, correction.revision)]
    if correction.idempotency_key is not None:
        ids.append(idempotency_id(correction.namespace_id, correction.idempotency_key))
    return f"{epoch}-{seq} ".encode() + b"".join(ids)

"""An entry: one change of scores on its way through the log into the ledger."""

from hashlib import blake2b

import msgspec

from .namespace import Namespace

GRANT = "grant"
CORRECTION = "correction"
HEAL = "heal"
SEAL = "seal"
QUARANTINE = "quarantine"  # the verb of a grant that waits for an admin's word

IDEMPOTENCY_KEY = "key"

_pack = msgspec.msgpack.Encoder().encode


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """What the log carries of an entry: positional MessagePack, so fields are only ever added at the end.

    amount: scaled units added to the score. weight: live grants added (1, 0 or −1). granted_at: microseconds since
    1970 UTC. windows: those it lands in, so that nobody recomputes them with other time zones. meta: canonical JSON.

    A correction carries the grant as it is from then on: `value` is its amount, `voided` whether it counts, `verb` what
    was done; `amount` is then of no meaning, and `windows` are those of the grant. `key`: the caller's Idempotency-Key.
    `batch`: the request that it came in with others.
    `asked`: with a key, the digest of what was asked.
    `original`: epoch, seq and moment of recording (microseconds) of the entry that counted, where this one only records
    it: that one is a dead letter.
    `day`: where streaks are on, the grant's, in the zone that its user had when it was planned, else the namespace's.
    """

    kind: str
    namespace_id: int
    user: str
    grant_id: str
    revision: int
    amount: int
    weight: int
    category: str | None
    source: str | None
    source_id: str | None
    action: str | None
    session_id: str | None
    granted_at: int
    windows: tuple[str, ...]
    meta: bytes | None
    value: int | None = None
    voided: bool = False
    verb: str | None = None
    reason: str | None = None
    actor: str | None = None
    key: str | None = None
    day: str | None = None
    asked: bytes | None = None
    batch: str | None = None
    original: tuple[int, int, int] | None = None


def marker_entry(
    kind: str,
    namespace_id: int,
    name: str,
    granted_at: int,
    *,
    user: str = "",
    windows: tuple[str, ...] = (),
    verb: str | None = None,
    actor: str | None = None,
) -> LogEntry:
    """An entry that adds to no score: it says that something is so from here on. name: its grant_id."""
    return LogEntry(
        kind=kind,
        namespace_id=namespace_id,
        user=user,
        grant_id=name,
        revision=1,
        amount=0,
        weight=0,
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


class PlannedEntry(msgspec.Struct):
    """A planned entry. `id` and `content` are 16 bytes; a `verdict` is answered only if the id is unseen.

    `generations`: the seen generations by which it was judged; "" where that does not matter.
    boards: names of the boards that it moves, `all` first (`<window>:<category>` for those of a category); labels: the
    balances besides the total, `c:…` and `s:…`, and the day, `d:…`; ops: what becomes of each, as
    lua/include/compute.lua reads it; "": the aggregation decides.
    known_since: the earliest moment (microseconds) at which it may have come before; None: unknown.
    claim: of a correction with an Idempotency-Key, 16 bytes that name the key and 16 over what was asked; the script
    lets a key be claimed once. b"": none.
    freed: of a heal that takes a correction off the boards, what nobody has claimed from then on (`freed_by`).
    """

    namespace: Namespace
    body: LogEntry
    id: bytes
    content: bytes
    verdict: str = ""
    known_since: int | None = None
    generations: str = ""
    boards: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    ops: str = ""
    claim: bytes = b""
    freed: bytes = b""
    packed: bytes = b""

    def __post_init__(self) -> None:
        self.packed = _pack(self.body)
        self.boards = self.boards or self.body.windows


def labels_of(category: str | None, source: str | None, day: str | None = None) -> tuple[str, ...]:
    """The balances that a category and a source are counted in, and the day that has a live grant."""
    found: tuple[str, ...] = () if category is None else (f"c:{category}",)
    if source is not None:
        found = (*found, f"s:{source}")
    return found if day is None else (*found, f"d:{day}")


def claim_of(namespace_id: int, key: str, asked: bytes) -> bytes:
    """What a correction claims by its Idempotency-Key: 16 bytes for the key, and those of what was asked."""
    return entry_id(IDEMPOTENCY_KEY, namespace_id, key, 0) + asked


def freed_by(correction: LogEntry, epoch: int, seq: int) -> bytes:
    """What is free again once a correction is taken off the boards: its place in the log, a space, and 16 bytes each
    for its revision and its Idempotency-Key."""
    ids = [entry_id(CORRECTION, correction.namespace_id, correction.grant_id, correction.revision)]
    if correction.key is not None:
        ids.append(entry_id(IDEMPOTENCY_KEY, correction.namespace_id, correction.key, 0))
    return f"{epoch}-{seq} ".encode() + b"".join(ids)


def entry_id(kind: str, namespace_id: int, grant_id: str, revision: int) -> bytes:
    """16 bytes that name an entry: BLAKE2b of the length-prefixed (kind, namespace id, grant_id, revision)."""
    return blake2b(_pack((kind, namespace_id, grant_id, revision)), digest_size=16).digest()

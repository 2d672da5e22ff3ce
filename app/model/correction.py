"""Corrections: what an edit, a void or a restore does to every number.

A number is a cell: the user's score in one window, or the balance of one label. What a correction makes of it hangs on
the user's other live grants, which the ledger knows; a plan is good as long as the user has not changed since.
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from .entry import CORRECTION, LogEntry, PlannedEntry, claim_of, entry_id, labels_of
from .errors import AmountRange, Forbidden, GrantedAtRange, Invalid, KeyConflict
from .grant import amount_units, granted_micros
from .moment import SentMoment
from .namespace import Namespace
from .text import check_label
from .tie_break import latest_place, line_key, tie_digits, tie_place

#: Bytes of the reason that a correction gives: it is a remark, and travels in the log with the correction.
REASON_BYTES_MAX = 256
_PLAIN = ("category", "source", "source_id", "action", "session_id")
EDITABLE = ("amount", "granted_at", *_PLAIN)

Verb = Literal["edit", "void", "restore"]
_pack = msgspec.msgpack.Encoder().encode


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an edit: what is absent stays; null takes a label away."""

    amount: msgspec.Raw | UnsetType = UNSET
    granted_at: SentMoment | UnsetType = UNSET
    category: str | UnsetType | None = UNSET
    source: str | UnsetType | None = UNSET
    source_id: str | UnsetType | None = UNSET
    action: str | UnsetType | None = UNSET
    session_id: str | UnsetType | None = UNSET
    reason: str | None = None
    revision: int | None = None


class CorrectionRequest(NamedTuple):
    """What a caller wants of a grant. key: the Idempotency-Key; admin: whether the caller is one here; backfill: an
    admin may move the grant to any moment, however old."""

    grant_id: str
    verb: Verb
    edit: Edit
    actor: str
    key: str | None = None
    admin: bool = False
    backfill: bool = False


class GrantState(msgspec.Struct, frozen=True, kw_only=True):
    """A grant as the ledger has it. amount: scaled units; granted_at: microseconds; seq: that of its first entry."""

    grant_id: str
    user: str
    revision: int
    amount: int
    category: str | None
    source: str | None
    source_id: str | None
    action: str | None
    session_id: str | None
    granted_at: int
    windows: tuple[str, ...]
    voided: bool
    seq: int
    quarantined: bool = False
    day: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The balances it is counted in."""
        return labels_of(self.category, self.source, self.day)

    def boards(self, namespace: Namespace) -> tuple[str, ...]:
        """The boards it is counted on."""
        return namespace.boards_of(self.windows, self.category)


def state_from_entry(body: LogEntry, seq: int) -> GrantState:
    """A grant that counts as its own entry says; seq: where it stands among those of one moment."""
    names = ("grant_id", "user", "revision", "amount", *_PLAIN, "granted_at", "windows", "day")
    return GrantState(**{name: getattr(body, name) for name in names}, voided=False, seq=seq)


class IdempotencyRecord(NamedTuple):
    """A correction that was made with an Idempotency-Key. asked: None where that was not recorded yet."""

    grant_id: str
    revision: int
    asked: bytes | None


class Cell(NamedTuple):
    """What a user's other live grants make of a number. Its order is that of granted_at, then seq.

    tie: the place in line of a score that they alone would make (model/tie_break), where that goes by moments.
    """

    highest: int
    lowest: int
    latest: int
    latest_at: int
    latest_seq: int
    tie: int | None = None

    def line_key(self, how: str) -> tuple[int, int] | None:
        """That of their grant whose place it is, where places are kept."""
        if self.tie is None:
            return None
        return line_key(how, {"highest": self.highest, "lowest": self.lowest}.get(how, self.tie), self.tie)


class CellOps(NamedTuple):
    """What an entry moves: the windows and labels in the order of the places that `text` names."""

    windows: tuple[str, ...]
    labels: tuple[str, ...]
    text: str


def apply_edit(
    namespace: Namespace, held: GrantState, edit: Edit, now: int, zone: str | None = None, *, backfill: bool = False
) -> GrantState:
    """The grant after an edit; zone: the user's own; backfill: granted_at may be however old. Invalid, AmountScale,
    AmountRange, GrantedAtRange."""
    if held.quarantined:
        raise Invalid("the grant is in quarantine: restore or void it first", field="$")
    changes: dict[str, object] = {}
    for field in _PLAIN:
        value = getattr(edit, field)
        if value is not UNSET:
            if value is not None:
                check_label(value, f"$.{field}")
            changes[field] = value
    if not isinstance(edit.amount, UnsetType):
        changes["amount"] = units = amount_units(edit.amount, namespace.rules.scale)
        low, high = namespace.amount_bounds
        if (low is not None and units < low) or (high is not None and units > high):
            raise AmountRange("the amount lies outside the namespace's amount_min and amount_max", field="$.amount")
    if not isinstance(edit.granted_at, UnsetType):
        at = _moment(edit.granted_at)
        past, future = namespace.past_micros, namespace.future_micros
        if at != held.granted_at:
            if (past is not None and at < now - past and not backfill) or (future is not None and at > now + future):
                raise GrantedAtRange("granted_at lies outside accept_past and accept_future", field="$.granted_at")
            windows, day = namespace.calendar.names_at(at), namespace.day_at(at, zone)
            changes |= {"granted_at": at, "windows": windows, "day": day}
    return msgspec.structs.replace(held, **changes)


def _moment(sent: msgspec.Raw) -> int:
    """A grant has a granted_at: null is none."""
    at = granted_micros(sent)
    if at is None:
        raise Invalid("must not be null", field="$.granted_at")
    return at


def apply_correction(
    namespace: Namespace, held: GrantState, ask: CorrectionRequest, now: int, zone: str | None = None
) -> GrantState:
    """The grant as a caller wants it; zone: the user's own. Forbidden, and an edit's own problems."""
    if ask.verb == "edit":
        return apply_edit(namespace, held, ask.edit, now, zone, backfill=ask.backfill)
    if held.quarantined and not ask.admin:
        raise Forbidden("only an admin's key decides about a grant in quarantine")
    return msgspec.structs.replace(held, voided=ask.verb == "void", quarantined=False)


def request_digest(namespace: Namespace, ask: CorrectionRequest) -> bytes:
    """16 bytes over what is to be done to which grant and why, normalised; `revision` is a condition and no part of it.

    Invalid, AmountScale, AmountRange.
    """
    edit = ask.edit
    changes: dict[str, object] = {name: value for name in _PLAIN if (value := getattr(edit, name)) is not UNSET}
    if not isinstance(edit.amount, UnsetType):
        changes["amount"] = amount_units(edit.amount, namespace.rules.scale)
    if not isinstance(edit.granted_at, UnsetType):
        changes["granted_at"] = _moment(edit.granted_at)
    return blake2b(_pack((ask.grant_id, ask.verb, sorted(changes.items()), edit.reason)), digest_size=16).digest()


def revision_by_key(keyed: Sequence[IdempotencyRecord], grant_id: str, asked: bytes) -> int | None:
    """The revision that this very ask made with its key, None where the key is unused. KeyConflict."""
    mine = next((held for held in keyed if held.grant_id == grant_id), None)
    if mine is None:
        if keyed:
            raise KeyConflict("this Idempotency-Key was used to correct another grant", field="Idempotency-Key")
        return None
    if mine.asked not in (None, asked):
        raise KeyConflict("this Idempotency-Key was used for another correction", field="Idempotency-Key")
    return mine.revision


def cells_of(
    namespace: Namespace, before: GrantState | None, after: GrantState | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The boards (`all` first) and labels in which a grant counted before or counts afterwards (None: not at all)."""
    sides = [side for side in (before, after) if side is not None]
    windows = dict.fromkeys(board for side in sides for board in side.boards(namespace))
    labels = dict.fromkeys(label for side in sides for label in side.labels)
    return tuple(windows), tuple(labels)


def plan_ops(
    namespace: Namespace,
    before: GrantState | None,
    after: GrantState | None,
    others: Mapping[str, Cell],
    hold: str = "",
    loose: bool = False,
    kept: Collection[str] = (),
) -> CellOps:
    """What becomes of each cell. others: by window, and by label, of the user's other live grants; O(cells).

    kept: boards that stay as they are, where the change hangs on the user's other grants.
    hold: by what `others` are complete, as lua/include/compute.lua reads it. A sum that grows or shrinks in place needs
    no such hold. loose: the user may get grants meanwhile, so that the last granted_at is told as they may raise it.
    """
    windows, labels = cells_of(namespace, before, after)
    if before is None and after is None:
        return CellOps((), (), f"-{hold}")
    if not needs_other_grants(namespace, before, after):
        assert before is not None
        assert after is not None
        by = after.amount - before.amount
        moved = [(place, name) for place, name in enumerate(labels, 1) if not name.startswith("d:")]
        text = [f"w{i}+{by}" for i in range(1, len(windows) + 1)] + [f"l{place}+{by}" for place, _ in moved]
        return CellOps(windows, labels, "".join(text) + hold)
    text = []
    was_in, is_in = (_cells_counted(namespace, side) for side in (before, after))
    for what, names in (("w", windows), ("l", labels)):
        for i, name in enumerate(names, 1):
            if name in kept:
                continue
            was, will = before if name in was_in else None, after if name in is_in else None
            if name.startswith("d:"):
                text.append(f"{what}{i}{'x' if will is None and name not in others else '=1'}")
            else:
                text.append(f"{what}{i}{_op(namespace, was, will, others.get(name))}")
                if what == "w" and namespace.by_moment and text[-1][-1] != "x":
                    text.append(f"~{tie_digits(_place(namespace, will, others.get(name)))}")
    moments = [cell.latest_at for cell in (others.get("all"),) if cell] + ([after.granted_at] if after else [])
    if not loose or not moments:
        text.append(f"a={max(moments)}" if moments else "ax")
    elif before is None or before.granted_at <= max(moments):
        text.append(f"a+{max(moments)}")
    else:
        text.append(f"a={max(moments)}@{before.granted_at}")
    return CellOps(windows, labels, "".join(text) + hold)


def _cells_counted(namespace: Namespace, side: GrantState | None) -> frozenset[str]:
    """The cells in which a grant counts. O(cells)."""
    return frozenset() if side is None else frozenset((*side.boards(namespace), *side.labels))


def needs_other_grants(namespace: Namespace, before: GrantState | None, after: GrantState | None) -> bool:
    """Whether what becomes of the cells hangs on the user's other grants; not where a sum changes in place, unless a
    place in line hangs on them."""
    if namespace.rules.aggregation != "sum" or namespace.by_moment or before is None or after is None:
        return before is not None or after is not None
    return (before.windows, before.labels, before.granted_at) != (after.windows, after.labels, after.granted_at)


def _op(namespace: Namespace, before: GrantState | None, after: GrantState | None, others: Cell | None) -> str:
    """One cell's move: by how much for a sum, else to what; where the latest counts, its time, too
    (`=<number>@<time>`). `x` where nothing is left in the cell."""
    if after is None and others is None:
        return "x"
    if namespace.rules.aggregation == "sum":
        return f"+{(after.amount if after else 0) - (before.amount if before else 0)}"
    if namespace.rules.aggregation == "latest":
        if after is not None and (others is None or (after.granted_at, after.seq) > others[3:5]):
            return f"={after.amount}@{after.granted_at}"
        assert others is not None
        return f"={others.latest}@{others.latest_at}"
    if others is None:
        assert after is not None
        return f"={after.amount}"
    ascending = namespace.rules.order == "asc"
    best = others.lowest if ascending else others.highest
    if after is None:
        return f"={best}"
    return f"={min(best, after.amount) if ascending else max(best, after.amount)}"


def _place(namespace: Namespace, after: GrantState | None, others: Cell | None) -> int:
    """The place in line of a score that a grant and the others make."""
    how = namespace.counted
    own = None if after is None else line_key(how, after.amount, tie_place(after.granted_at, after.seq))
    return latest_place((own, None if others is None else others.line_key(how)))


def correction_entry(
    namespace: Namespace,
    ask: CorrectionRequest,
    before: GrantState,
    after: GrantState,
    others: Mapping[str, Cell],
    hold: str = "",
    asked: bytes | None = None,
    loose: bool = False,
) -> PlannedEntry:
    """The entry that claims the grant's next revision. `after.voided` tells whether it counts from then on.

    hold, loose: as `plan_ops` takes them."""
    live = tuple(None if side.voided else side for side in (before, after))
    ops = plan_ops(namespace, live[0], live[1], others, hold, loose)
    revision = before.revision + 1
    body = LogEntry(
        kind=CORRECTION,
        namespace_id=namespace.id,
        user=before.user,
        grant_id=before.grant_id,
        revision=revision,
        amount=0,
        weight=int(not after.voided) - int(not before.voided),
        category=after.category,
        source=after.source,
        source_id=after.source_id,
        action=after.action,
        session_id=after.session_id,
        granted_at=after.granted_at,
        windows=after.windows,
        meta=None,
        day=after.day,
        value=after.amount,
        voided=after.voided,
        verb=ask.verb,
        reason=ask.edit.reason,
        actor=ask.actor,
        key=ask.key,
        asked=asked,
    )
    return PlannedEntry(
        namespace=namespace,
        body=body,
        id=entry_id(CORRECTION, namespace.id, before.grant_id, revision),
        content=blake2b(_pack((ask.verb, after, ask.edit.reason, ask.key)), digest_size=16).digest(),
        windows=ops.windows,
        labels=ops.labels,
        ops=ops.text,
        claim=b"" if ask.key is None or asked is None else claim_of(namespace.id, ask.key, asked),
    )

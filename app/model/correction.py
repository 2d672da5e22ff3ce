"""Corrections: what an edit, a void or a restore makes of a grant."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from .entry import LogEntry
from .entry_names import digest_of_content
from .errors import AmountRange, Forbidden, GrantedAtRange, Invalid, KeyConflict
from .grant import amount_units, granted_micros, is_within_bounds
from .grant_problem import amount_bound, moment_bound
from .labels import labels_of
from .moment import SentMoment
from .namespace import Namespace
from .text import check_label

#: Bytes of the reason that a correction gives: a remark that travels in the log with the correction.
REASON_BYTES_MAX = 256
_PLAIN = ("category", "source", "source_id", "action", "session_id")
EDITABLE = ("amount", "granted_at", *_PLAIN)

Verb = Literal["edit", "void", "restore"]


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an edit: an absent field stays as it is, and null removes a label."""

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
    """A caller's request to change a grant. key: the Idempotency-Key; admin: whether the caller is an admin here;
    backfill: an admin may move the grant to any moment in the past."""

    grant_id: str
    verb: Verb
    edit: Edit
    actor: str
    key: str | None = None
    admin: bool = False
    backfill: bool = False


class GrantState(msgspec.Struct, frozen=True, kw_only=True):
    """A grant as the ledger has it. amount: scaled units; granted_at: microseconds; seq: that of its first entry.
    has_open_letter: whether a correction of it counts that the ledger could not record, so that no plan may begin with
    this state. opening: it is an opening balance, and stays one."""

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
    has_open_letter: bool = False
    opening: bool = False

    @property
    def live(self) -> "GrantState | None":
        """The grant; None if it is voided."""
        return None if self.voided else self

    @property
    def labels(self) -> tuple[str, ...]:
        """The balances in which it counts."""
        return labels_of(self.category, self.source, day=self.day)

    def boards(self, namespace: Namespace) -> tuple[str, ...]:
        """The boards on which it counts."""
        return namespace.boards_of(self.windows, self.category)


def state_from_entry(body: LogEntry, seq: int) -> GrantState:
    """The grant that an entry makes. seq: its order among grants of one moment."""
    names = ("grant_id", "user", "revision", *_PLAIN, "granted_at", "windows", "day", "opening")
    return GrantState(**{name: getattr(body, name) for name in names}, amount=body.amount or 0, voided=False, seq=seq)


class IdempotencyRecord(NamedTuple):
    """A correction made with an Idempotency-Key. request_digest: None if the ledger lacks it."""

    grant_id: str
    revision: int
    request_digest: bytes | None


def apply_edit(
    namespace: Namespace,
    grant: GrantState,
    edit: Edit,
    now: int,
    zone: str | None = None,
    *,
    admin: bool = False,
    backfill: bool = False,
) -> GrantState:
    """The grant after an edit; zone: the user's own; backfill: granted_at may be of any age. admin: an opening balance
    may become what it may be when it comes. Invalid, AmountScale, AmountRange, GrantedAtRange."""
    if grant.quarantined:
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
        if not is_within_bounds(namespace, units, grant.opening and admin):
            raise AmountRange(amount_bound(namespace.rules), field="$.amount")
    if not isinstance(edit.granted_at, UnsetType):
        at = _moment(edit.granted_at)
        past, future = namespace.past_micros, namespace.future_micros
        backfill = backfill or (grant.opening and admin)
        if at != grant.granted_at:
            if (past is not None and at < now - past and not backfill) or (future is not None and at > now + future):
                raise GrantedAtRange(moment_bound(namespace, at, now), field="$.granted_at")
            windows, day = namespace.windows_and_day(at, zone, grant.opening)
            changes |= {"granted_at": at, "windows": windows, "day": day}
    return msgspec.structs.replace(grant, **changes)


def _moment(sent: msgspec.Raw) -> int:
    """The granted_at of an edit. Invalid for null, because every grant has one."""
    at = granted_micros(sent)
    if at is None:
        raise Invalid("must not be null", field="$.granted_at")
    return at


def apply_correction(
    namespace: Namespace, grant: GrantState, request: CorrectionRequest, now: int, zone: str | None = None
) -> GrantState:
    """The grant after a correction. zone: the user's own. Forbidden, and the problems of an edit."""
    if request.verb == "edit":
        return apply_edit(namespace, grant, request.edit, now, zone, admin=request.admin, backfill=request.backfill)
    if grant.quarantined and not request.admin:
        raise Forbidden("only an admin's key decides about a grant in quarantine")
    return msgspec.structs.replace(grant, voided=request.verb == "void", quarantined=False)


def digest_request(namespace: Namespace, request: CorrectionRequest, digest_key: bytes = b"") -> bytes:
    """16 bytes over the normalised request: action, grant and reason. `revision` is a condition and not part of it.
    digest_key: the deployment's.

    Invalid, AmountScale, AmountRange.
    """
    edit = request.edit
    changes: dict[str, object] = {name: value for name in _PLAIN if (value := getattr(edit, name)) is not UNSET}
    if not isinstance(edit.amount, UnsetType):
        changes["amount"] = amount_units(edit.amount, namespace.rules.scale)
    if not isinstance(edit.granted_at, UnsetType):
        changes["granted_at"] = _moment(edit.granted_at)
    content = request.grant_id, request.verb, sorted(changes.items()), edit.reason
    return digest_of_content(content, digest_key)


def revision_by_key(records: Sequence[IdempotencyRecord], grant_id: str, request_digest: bytes) -> int | None:
    """The revision that the same request made before with its key; None if the key is unused. KeyConflict.

    records: the corrections that were made with the key.
    """
    mine = next((record for record in records if record.grant_id == grant_id), None)
    if mine is None:
        if records:
            raise KeyConflict("this Idempotency-Key was used to correct another grant", field="Idempotency-Key")
        return None
    if mine.request_digest not in (None, request_digest):
        raise KeyConflict("this Idempotency-Key was used for another correction", field="Idempotency-Key")
    return mine.revision

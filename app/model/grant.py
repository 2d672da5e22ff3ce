"""A grant as a client sends it, checked field by field and turned into an entry for the log."""

import re
from typing import Any

import msgspec

from .entry import LogEntry, PlannedEntry
from .entry_kinds import BACKFILL, GRANT
from .entry_names import digest_of_content, entry_id
from .errors import Invalid
from .labels import labels_of
from .meta import meta_text
from .micros import to_micros
from .moment import SentMoment, read_moment
from .namespace import Namespace
from .score import to_units
from .text import ID_BYTES_MAX, check_label, check_text

_NO_BOUNDS = (None, None)
_JSON_NUMBER = re.compile(r"-?\d[\d.eE+-]*")
_BEGINNINGS = frozenset(b"%c" % char for char in b"-0123456789")
_unpack = msgspec.msgpack.Decoder(type=int | float).decode


class Grant(msgspec.Struct, forbid_unknown_fields=True):
    """One grant's fields as sent. `amount` stays the number's text, so that it never becomes a float, and `granted_at`
    the time's text, so that it is not rounded. `opening`: an opening balance, which only an admin may send."""

    grant_id: str
    user_id: str
    amount: msgspec.Raw
    category: str | None = None
    source: str | None = None
    source_id: str | None = None
    action: str | None = None
    granted_at: SentMoment | msgspec.UnsetType = msgspec.UNSET
    session_id: str | None = None
    meta: dict[str, Any] | None = None
    opening: bool = False


class NamedGrant(Grant, forbid_unknown_fields=True, kw_only=True):
    """A grant that names its namespace."""

    namespace: str


def plan(
    grant: Grant,
    namespace: Namespace,
    now: int,
    *,
    actor: str | None = None,
    zone: str | None = None,
    backfill: bool = False,
    batch: str | None = None,
    digest_key: bytes = b"",
) -> PlannedEntry:
    """The entry of a grant that arrives at `now` (microseconds), sent with the key `actor`. zone: the user's own.

    backfill: an admin lets it in at any age, after seals too, and without a velocity check. So is each opening balance
    let in: it stands for all grants before its moment.
    digest_key: the deployment's.

    Raises the problems that do not depend on time or rules (Invalid, AmountScale, AmountRange). All others travel as
    the entry's verdict, because a retry of a grant that counted is a duplicate, even if the rules changed since.
    """
    _check_texts(grant)
    units = amount_units(grant.amount, namespace.rules.scale)
    sent_at = granted_micros(grant.granted_at)
    granted_at = now if sent_at is None else sent_at
    backfill = backfill or grant.opening
    body = _log_entry(grant, namespace, units=units, granted_at=granted_at, actor=actor, zone=zone, batch=batch)
    return PlannedEntry(
        kind=BACKFILL if backfill else GRANT,
        namespace=namespace,
        body=body,
        id=entry_id(GRANT, namespace.id, grant.grant_id, 1),
        content=_content(body, sent_at, digest_key),
        verdict=_verdict(namespace, body, now=now, backfill=backfill),
        known_since=_known_since(namespace, sent_at, now),
        boards=namespace.boards_of(body.windows, grant.category),
        labels=labels_of(grant.category, grant.source, day=body.day),
    )


def _log_entry(
    grant: Grant,
    namespace: Namespace,
    *,
    units: int,
    granted_at: int,
    actor: str | None,
    zone: str | None,
    batch: str | None,
) -> LogEntry:
    """What the log carries of a grant. Invalid for its meta."""
    windows, day = namespace.windows_and_day(granted_at, zone, grant.opening)
    return LogEntry(
        kind=GRANT.name,
        namespace_id=namespace.id,
        user=grant.user_id,
        grant_id=grant.grant_id,
        revision=1,
        entry_amount=units,
        live_delta=1,
        category=grant.category,
        source=grant.source,
        source_id=grant.source_id,
        action=grant.action,
        session_id=grant.session_id,
        granted_at=granted_at,
        windows=windows,
        meta=None if grant.meta is None else meta_text(grant.meta),
        day=day,
        actor=actor,
        batch=batch,
        opening=grant.opening,
    )


def _check_texts(grant: Grant) -> None:
    """Checks them one by one, because a loop over them took a twentieth of the plan."""
    check_text(grant.grant_id, "$.grant_id", ID_BYTES_MAX)
    check_text(grant.user_id, "$.user_id", ID_BYTES_MAX)
    if grant.category is not None:
        check_label(grant.category, "$.category")
    if grant.source is not None:
        check_label(grant.source, "$.source")
    if grant.source_id is not None:
        check_label(grant.source_id, "$.source_id")
    if grant.action is not None:
        check_label(grant.action, "$.action")
    if grant.session_id is not None:
        check_label(grant.session_id, "$.session_id")


def amount_units(raw: msgspec.Raw, scale: int) -> int:
    """Scaled units of an amount as sent. Invalid, AmountScale, AmountRange."""
    return to_units(_number_text(raw), scale)


def _number_text(raw: msgspec.Raw) -> str:
    """The text of a JSON number, or of a MessagePack one as its shortest decimal."""
    token = bytes(raw)
    if token.isdigit() or (token[:1] in _BEGINNINGS and _JSON_NUMBER.fullmatch(token.decode())):
        return token.decode()
    raise Invalid("must be a number", field="$.amount")


def msgpack_number(raw: msgspec.Raw) -> msgspec.Raw:
    """A MessagePack number as the text that JSON would carry."""
    try:
        return msgspec.Raw(repr(_unpack(raw)).encode())
    except msgspec.DecodeError:
        raise Invalid("must be a number", field="$.amount") from None


def granted_micros(sent: msgspec.Raw | msgspec.UnsetType) -> int | None:
    """Microseconds of a granted_at; None if none was sent. Invalid."""
    moment = None if isinstance(sent, msgspec.UnsetType) else read_moment(sent, "$.granted_at")
    return None if moment is None else to_micros(moment)


def _content(body: LogEntry, sent_at: int | None, digest_key: bytes) -> bytes:
    """16 bytes over the fields as sent, normalised, without those that the server filled in."""
    sent = (
        body.kind,
        body.namespace_id,
        body.grant_id,
        body.user,
        body.entry_amount,
        body.category,
        body.source,
        body.source_id,
        body.action,
        body.session_id,
        sent_at,
        body.meta,
    )
    # Only where it is true: a repeat of an older grant has the digest that it had.
    return digest_of_content((*sent, True) if body.opening else sent, digest_key)


def _verdict(namespace: Namespace, body: LogEntry, *, now: int, backfill: bool) -> str:
    if namespace.rules.mode == "frozen":
        return "namespace_frozen"
    past, future, granted_at = namespace.past_micros, namespace.future_micros, body.granted_at
    too_old = past is not None and granted_at < now - past and not backfill
    if too_old or (future is not None and granted_at > now + future):
        return "granted_at_range"
    if namespace.amount_bounds != _NO_BOUNDS and not is_within_bounds(namespace, body.entry_amount, body.opening):
        return "quarantined" if namespace.rules.suspicious == "quarantine" else "amount_range"
    return ""


def is_within_bounds(namespace: Namespace, units: int, opening: bool) -> bool:
    """Whether a grant may have an amount. An opening balance that is a sum stands for many grants: the bounds of one do
    not hold for it."""
    low, high = namespace.amount_bounds
    if (low is None or units >= low) and (high is None or units <= high):
        return True
    return opening and namespace.aggregation.adds


def _known_since(namespace: Namespace, sent_at: int | None, now: int) -> int | None:
    """The earliest moment at which this grant may have been sent before; None: unknown.

    It was acceptable from accept_future before its granted_at, by the largest accept_future that was ever in force. A
    grant without granted_at took the moment of its first arrival: only the dedup generations recognise it, and a later
    repeat is healed from the ledger.
    """
    ahead = namespace.future_micros_max
    return None if ahead is None else (now if sent_at is None else sent_at) - ahead

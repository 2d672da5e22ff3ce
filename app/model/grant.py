"""A grant as a client sends it, checked field by field and turned into an entry for the log."""

import re
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from .entry import GRANT, Entry, LogEntry, entry_id
from .errors import Invalid
from .namespace import Namespace
from .score import to_units
from .text import ID_BYTES_MAX, LABEL_BYTES_MAX, check_text
from .windows import EARLIEST, LATEST, to_micros

META_BYTES_MAX = 2048

_JSON_NUMBER = re.compile(r"-?\d[\d.eE+-]*")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_canonical = msgspec.json.Encoder(order="deterministic").encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(type=int | float).decode


class Grant(msgspec.Struct, forbid_unknown_fields=True):
    """One grant's fields as sent. `amount` stays the number's own text, so that no float ever touches it."""

    grant_id: str
    user_id: str
    amount: msgspec.Raw
    category: str | None = None
    source: str | None = None
    source_id: str | None = None
    action: str | None = None
    granted_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    session_id: str | None = None
    meta: dict[str, Any] | None = None


class NamedGrant(Grant, forbid_unknown_fields=True, kw_only=True):
    """A grant that names its namespace."""

    namespace: str


def plan(grant: Grant, namespace: Namespace, now: int) -> Entry:
    """The entry of a grant that arrives at `now` (microseconds).

    Raises the problems that no rule can change (Invalid, AmountScale, AmountRange). What hangs on time or rules
    travels as the entry's verdict: a retry that counted is a duplicate, whatever changed since.
    """
    check_text(grant.grant_id, "$.grant_id", ID_BYTES_MAX)
    check_text(grant.user_id, "$.user_id", ID_BYTES_MAX)
    for field in ("category", "source", "source_id", "action", "session_id"):
        value: str | None = getattr(grant, field)
        if value is not None:
            check_text(value, f"$.{field}", LABEL_BYTES_MAX)
    units = to_units(_number_text(grant.amount), namespace.rules.scale)
    meta = None if grant.meta is None else _meta(grant.meta)
    sent_at = None if grant.granted_at is None else _granted_at(grant.granted_at)
    granted_at = now if sent_at is None else sent_at
    windows = namespace.calendar.names_at(granted_at)
    body = LogEntry(
        kind=GRANT,
        namespace_id=namespace.id,
        user=grant.user_id,
        grant_id=grant.grant_id,
        revision=1,
        amount=units,
        weight=1,
        category=grant.category,
        source=grant.source,
        source_id=grant.source_id,
        action=grant.action,
        session_id=grant.session_id,
        granted_at=granted_at,
        windows=windows,
        meta=meta,
    )
    return Entry(
        namespace=namespace,
        body=body,
        id=entry_id(GRANT, namespace.id, grant.grant_id, 1),
        content=_content(body, sent_at),
        verdict=_verdict(namespace, units, granted_at, now),
        needs_history=_may_be_old(namespace, sent_at),
    )

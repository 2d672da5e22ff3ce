"""Events out of rows of the ledger and of the audit."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from ..model.entry import LogEntry
from ..model.event import OF_AUDIT, OF_LEDGER, AuditEvent, Edited, GrantEvent, LedgerEvent, LossRecorded, WindowSealed
from ..model.namespace import Namespace
from ..model.visibility import visible_name

#: The advisory lock behind which those events of the audit draw their ids that webhooks are told of: so the ids are in
#: the order of commits, over all namespaces. It is taken before any lock of a namespace.
EVENTS_LOCK = 0x6C62_0012
_unpack = msgspec.msgpack.Decoder(LogEntry).decode


def ledger_event(namespace: Namespace, row: asyncpg.Record) -> LedgerEvent:
    """An event of the ledger, from a row with the columns of the fragment `event_columns`."""
    kind = OF_LEDGER[row["kind"]]
    if kind is WindowSealed:
        return WindowSealed(
            at=row["recorded_at"], actor=None, seq=row["seq"], epoch=row["epoch"], window=row["grant_id"]
        )
    fields: dict[str, Any] = {
        "at": row["recorded_at"],
        "user_id": visible_name(row["user"]),
        **{name: row[name] for name in ("actor", "seq", "epoch")},
    }
    if issubclass(kind, (GrantEvent, LossRecorded)):
        fields |= {
            "change": namespace.number(row["score_delta"]),
            "score": namespace.number_or_none(row["score"]),
        }
    if not issubclass(kind, GrantEvent):
        return kind(**fields)
    fields |= {
        # A duplicate's row has a name of its own. The grant that it repeats is in the dead letters' table.
        "grant_id": row["grant_id"] if row["claimed"] is None else _unpack(row["claimed"]).grant_id,
        "amount": namespace.number(row["amount"]),
    }
    same = ("revision", "category", "source", "source_id", "action", "session_id")
    fields |= {name: row[name] for name in (*same, "granted_at")}
    if row["opening"]:
        fields["opening"] = True
    if "reason" in kind.__struct_fields__:
        fields["reason"] = row["reason"]
    if kind is Edited:
        fields["previous_amount"] = namespace.number(row["previous_amount"])
    return kind(**fields)


#: Times in the bodies of the audit. They are texts there, some with an offset, and clients get them in UTC.
_TIMES = {"as_of", "starts", "ends"}


def audit_event(namespace: Namespace, row: asyncpg.Record) -> AuditEvent:
    """An event of the audit, from its row."""
    body = msgspec.json.decode(row["body"], type=dict[str, Any])
    if body.pop("user_number", None) is not None:
        body["user_id"] = visible_name(row["user"])
    if "change" in body:
        body["change"] = namespace.number(body["change"])
    for name in _TIMES & body.keys():
        body[name] = None if body[name] is None else datetime.fromisoformat(body[name]).astimezone(UTC)
    return OF_AUDIT[row["type"]](at=row["at"], actor=row["actor"], audit_id=row["id"], **body)

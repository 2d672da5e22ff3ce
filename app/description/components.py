"""Every schema that has a name: those of the types that decode and encode, and those of answers made of several."""

import re
from datetime import datetime
from functools import cache
from typing import get_type_hints

import msgspec

from ..admin.key_handlers import KeyRequest, RotateRequest
from ..admin.token_handlers import TokenRequest
from ..model.correction import Edit
from ..model.event import OF_AUDIT, OF_LEDGER
from ..model.grant import Grant, NamedGrant
from ..model.move import Move
from ..model.namespace import Rules
from ..model.profile import NamespaceProfile, Profile
from ..model.webhook import WebhookRequest, WebhookSettings
from ..read.activity import UserActivityRequest
from ..read.bulk import BoardsRequest, BulkStatsRequest, RanksRequest
from ..read.totals import UsersRequest
from ..webhooks.handlers import ResendRequest
from ..write.correction_handlers import Correction, VoidRequest
from ..write.receipts import CorrectionReceipt, RankedReceipt
from .admin_answers import ADMIN_ANSWERS, WEBHOOK_STATE
from .answers import ANSWERS
from .problems import PROBLEMS
from .schema import AMOUNT, MOMENT, REF, TEXT, Schema, batch_of, map_of, maybe, plain, ref, said

_EVENTS = (*OF_LEDGER.values(), *OF_AUDIT.values())
_REQUESTS: tuple[type, ...] = (
    *(Rules, Grant, NamedGrant, Edit, VoidRequest, Correction, UsersRequest, UserActivityRequest, RanksRequest),
    *(BoardsRequest, BulkStatsRequest, Profile, NamespaceProfile, WebhookRequest, ResendRequest, TokenRequest),
    *(KeyRequest, RotateRequest),
)
_ANSWERS: tuple[type, ...] = (RankedReceipt, CorrectionReceipt, Move, WebhookSettings, *_EVENTS)
_AMOUNTS: tuple[type, ...] = (Grant, NamedGrant, Edit, Correction)
_STATUS: Schema = {
    "type": "string",
    "enum": ["applied", "duplicate", "quarantined"],
    "description": "`duplicate`: it counted before, and nothing changed. `quarantined`: it waits for an admin.",
}


_ABOUT_GRANTS = (
    "One fact: a user got an amount. Without `granted_at` it is of now. `opening`: an opening balance, which takes a "
    "key with `admin`."
)


@cache
def components() -> dict[str, Schema]:
    """Every schema, by its name."""

    def number(kind: type) -> Schema:
        if kind is msgspec.Raw:
            return AMOUNT
        raise NotImplementedError(kind)

    _, made = msgspec.json.schema_components((*_REQUESTS, *_ANSWERS), schema_hook=number, ref_template=REF + "{name}")
    schemas: dict[str, Schema] = plain(made)
    for kind in (*_REQUESTS, *_ANSWERS):
        _note_moments(kind, schemas[kind.__name__]["properties"])
    for kind in (Grant, NamedGrant):
        schemas[kind.__name__]["properties"]["meta"] = maybe(ref("Meta"))
        schemas[kind.__name__]["description"] = _ABOUT_GRANTS
    for kind in _AMOUNTS:
        schemas[kind.__name__]["properties"]["amount"] = AMOUNT
    for schema in schemas.values():
        schema.pop("title", None)
        if not schema.get("required"):
            schema.pop("required", None)
    ranked = schemas.pop("RankedReceipt")
    for receipt in (ranked, schemas["CorrectionReceipt"]):
        receipt["properties"]["status"] = _STATUS
    ranked["required"] = [name for name in ranked["required"] if name not in ("rank", "previous_rank")]
    ranked["description"] = (
        "A grant that counted now or before. With `?rank=true` it has `rank` and `previous_rank` on the `all` board."
    )
    settings = schemas.pop("WebhookSettings")
    return {
        **schemas,
        **ANSWERS,
        **ADMIN_ANSWERS,
        **PROBLEMS,
        "Grants": {**_either(Grant), "description": "A grant, or a list of them."},
        "NamedGrants": {**_either(NamedGrant), "description": "The same with their namespaces."},
        "Receipt": ranked,
        "Event": _event(),
        "Namespace": _namespace(schemas["Rules"]),
        "Webhook": _webhook(settings),
    }


def _either(kind: type) -> Schema:
    return {"oneOf": [ref(kind), batch_of(kind)]}


def _note_moments(kind: type, properties: dict[str, Schema]) -> None:
    """Says which texts are moments: the types do, the schemas that are made of them do not."""
    for name, hint in get_type_hints(kind).items():
        if name in properties and datetime in getattr(hint, "__args__", (hint,)):
            properties[name] = {**properties[name], "format": "date-time"}


def _event() -> Schema:
    mapping = {str(kind.__struct_config__.tag): REF + kind.__name__ for kind in _EVENTS}
    return {
        "description": "What happened; `type` says what. New types may come.",
        "oneOf": [ref(kind) for kind in _EVENTS],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _namespace(rules: Schema) -> Schema:
    """A namespace as a client reads it: every rule is there."""
    settings = {name: _always_there(schema) for name, schema in rules["properties"].items()}
    resets = map_of(maybe(MOMENT), "When the board of each period begins again from zero; null: never.")
    move = said(maybe(ref(Move)), "How far a move from another system is, for admins; null where there was none.")
    return {
        "type": "object",
        "description": "A namespace: its name, and every rule.",
        "required": ["name", *settings],
        "properties": {"name": TEXT, **settings, "resets": resets, "move": move},
    }


def _webhook(settings: Schema) -> Schema:
    """A webhook as a client reads it."""
    about = {name: _always_there(schema) for name, schema in settings["properties"].items()}
    secret = said(TEXT, "`whsec_…`: shown once, where it is new.")
    return {
        "type": "object",
        "description": "A webhook.",
        "required": ["id", *about, *WEBHOOK_STATE],
        "properties": {"id": TEXT, **about, **WEBHOOK_STATE, "secret": secret},
    }


def _always_there(schema: Schema) -> Schema:
    """A field of a request in an answer, where it is never absent."""
    text = re.sub(r" ?Absent: `.*`\.", "", schema.get("description", ""))
    rest = {name: value for name, value in schema.items() if name != "description"}
    return {**rest, "description": text} if text else rest

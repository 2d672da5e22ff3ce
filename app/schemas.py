"""The schemas of requests and answers in OpenAPI: taken from the types that decode and encode, or written here if an
answer is made of several types."""

from typing import Any

import msgspec

from .admin.key_handlers import KeyRequest, RotateRequest
from .admin.token_handlers import TokenRequest
from .model.correction import Edit
from .model.event import OF_AUDIT, OF_LEDGER
from .model.grant import Grant, NamedGrant
from .model.move import Move
from .model.namespace import Rules
from .model.profile import NamespaceProfile, Profile
from .model.webhook import WebhookRequest, WebhookSettings
from .read.activity import UserActivityRequest
from .read.bulk import BoardsRequest, BulkStatsRequest, RanksRequest
from .read.includes import FullEntry
from .read.totals import UsersRequest
from .webhooks.handlers import STATES, ResendRequest
from .write.correction_handlers import Correction, VoidRequest
from .write.receipts import CorrectionReceipt, RankedReceipt, Receipt

Schema = dict[str, Any]

_EVENTS = (*OF_LEDGER.values(), *OF_AUDIT.values())
_READ = (
    *(FullEntry, UsersRequest, UserActivityRequest, RanksRequest, BoardsRequest, BulkStatsRequest),
    *(
        Move,
        Profile,
        NamespaceProfile,
        WebhookSettings,
        WebhookRequest,
        ResendRequest,
        TokenRequest,
        KeyRequest,
        RotateRequest,
    ),
)
_WRITTEN = (Grant, NamedGrant, Receipt, RankedReceipt, CorrectionReceipt, Edit, VoidRequest, Correction)
_TYPES = (Rules, *_WRITTEN, *_READ, *_EVENTS)
_REF = "#/components/schemas/"


def ref(kind: type | str) -> Schema:
    """A reference to a type's schema, or to one in `components` by its name."""
    return {"$ref": _REF + (kind if isinstance(kind, str) else kind.__name__)}


def list_of(schema: Schema) -> Schema:
    """A list of any length."""
    return {"type": "array", "items": schema}


def batch_of(kind: type) -> Schema:
    """A list as long as one request may bring."""
    return {**list_of(ref(kind)), "maxItems": 1000}


def one_or_batch(kind: type) -> Schema:
    """One, or a list of them."""
    return {"oneOf": [ref(kind), batch_of(kind)]}


def object_of(**properties: Schema) -> Schema:
    """An object of these fields, all of them optional."""
    return {"type": "object", "properties": properties}


OBJECT: Schema = {"type": "object"}
NUMBER: Schema = {"type": "number", "description": "An exact decimal with at most the namespace's scale of places."}
_MAYBE: Schema = {"type": ["number", "null"]}
_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
_SUM: Schema = {"type": "number"}
PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {**dict.fromkeys(("type", "title", "code", "detail", "field"), _TEXT), "status": _INTEGER},
}
BATCH: Schema = {
    "type": "object",
    "required": ["applied", "duplicate", "rejected", "results"],
    "properties": {**dict.fromkeys(("applied", "duplicate", "rejected"), _INTEGER), "results": list_of(OBJECT)},
}
BOARD = object_of(
    **dict.fromkeys(("namespace", "window"), _TEXT),
    **dict.fromkeys(("epoch", "version", "total", "count"), _INTEGER),
    **dict.fromkeys(("starts", "ends", "category", "next_cursor"), _MAYBE_TEXT),
    entries=list_of(ref(FullEntry)),
    missing=list_of(_TEXT),
)
_BIN: Schema = {"type": "object", "properties": {"from": NUMBER, "to": NUMBER, "count": _INTEGER}}
_FIGURES: Schema = {
    "count": _INTEGER,
    **dict.fromkeys(("sum", "mean", "stddev", "min", "max"), _MAYBE),
    "percentiles": {"type": "object", "additionalProperties": _MAYBE},
}
#: What a live view `stats` has.
STATISTICS: Schema = {"type": "object", "required": [*_FIGURES], "properties": _FIGURES}
STATS = object_of(
    **dict.fromkeys(("namespace", "window"), _TEXT),
    **dict.fromkeys(("starts", "ends", "category", "band"), _MAYBE_TEXT),
    **dict.fromkeys(("epoch", "version"), _INTEGER),
    **_FIGURES,
    histogram=list_of(_BIN),
)
_BAND = object_of(name=_TEXT, count=_INTEGER, min=_MAYBE, max=_MAYBE)
BOARD_STATS = object_of(**STATS["properties"], bands=list_of(_BAND))
RANKED_STATS = object_of(**STATS["properties"], percentile=_MAYBE)
EVENT_LIST: Schema = {
    "type": "object",
    "required": ["events", "next_after", "lag_seq"],
    "properties": {
        "events": list_of({"oneOf": [ref(kind) for kind in _EVENTS]}),
        "next_after": {"type": "string", "description": "Works as `after`, at the end of the stream too."},
        "lag_seq": {"type": "integer", "description": "Entries of the partition that are not in the ledger yet."},
    },
}
_COUNT: Schema = {
    "type": "object",
    "required": ["count", "sum"],
    "properties": {"user_id": _TEXT, "count": _INTEGER, "sum": _SUM},
}
ACTIVITY: Schema = {
    "type": "object",
    "required": ["namespace", "since", "until", "by", "lag_seq"],
    "properties": {
        "namespace": _TEXT,
        **dict.fromkeys(("since", "until"), _MAYBE_MOMENT),
        "by": {"enum": ["granted", "recorded"]},
        **_COUNT["properties"],
        "lag_seq": _INTEGER,
    },
}
USERS_ACTIVITY: Schema = {
    **ACTIVITY,
    "properties": {
        **{name: schema for name, schema in ACTIVITY["properties"].items() if name not in _COUNT["properties"]},
        "users": list_of(_COUNT),
        "missing": list_of(_TEXT),
    },
}
TRENDS = list_of(
    {
        "type": "object",
        "required": ["at", "grants", "sum", "users", "mean", "board_mean"],
        "properties": {
            "at": _MOMENT,
            **dict.fromkeys(("grants", "users"), _INTEGER),
            **dict.fromkeys(("sum", "mean"), _SUM),
            "board_mean": _MAYBE,
        },
    }
)
_WEBHOOK_STATE = object_of(
    **dict.fromkeys(("id", "key_id"), _TEXT),
    state={"enum": ["active", "stopped"]},
    stop_reason=_MAYBE_TEXT,
    **dict.fromkeys(("created_at", "updated_at"), _MOMENT),
    previous_secret_until=_MAYBE_MOMENT,
    secret={"type": "string", "description": "Shown once: where it is new."},
)
NAMESPACE: Schema = {
    "allOf": [
        ref(Rules),
        object_of(
            name=_TEXT,
            resets={"type": "object", "additionalProperties": _MAYBE_MOMENT},
            move={"description": "For admins; null where it never moved.", "oneOf": [ref(Move), {"type": "null"}]},
        ),
    ]
}
WEBHOOK: Schema = {"allOf": [ref(WebhookSettings), _WEBHOOK_STATE]}
CLIENT_TOKEN = object_of(
    **dict.fromkeys(("token", "token_id", "user_id"), _TEXT), namespaces=list_of(_TEXT), expires_at=_MOMENT
)
DELIVERIES = object_of(
    deliveries=list_of(
        object_of(
            **dict.fromkeys(("message_id", "type"), _TEXT),
            state={"enum": list(STATES)},
            attempts=_INTEGER,
            **dict.fromkeys(("first_attempt_at", "last_attempt_at"), _MOMENT),
            next_attempt_at=_MAYBE_MOMENT,
            status={"type": ["integer", "null"]},
            error=_MAYBE_TEXT,
        )
    ),
    next_cursor=_MAYBE_TEXT,
)
API_KEY = object_of(
    id=_TEXT,
    name=_MAYBE_TEXT,
    scopes=list_of(_TEXT),
    created_at=_MOMENT,
    **dict.fromkeys(("rotated_at", "previous_secret_until", "revoked_at"), _MAYBE_MOMENT),
    **dict.fromkeys(("created_by", "rotated_by", "revoked_by"), _MAYBE_TEXT),
    is_own={"type": "boolean", "description": "Whether the request came with this key."},
)
_SETTING = object_of(id=_TEXT, scopes=list_of(_TEXT), is_own={"type": "boolean"})
KEYS = object_of(
    keys=list_of(ref("ApiKey")),
    bootstrap_key={
        "description": "LEADERBOARD_API_KEY of this server, a setting; null where there is none.",
        "oneOf": [_SETTING, {"type": "null"}],
    },
    next_cursor=_MAYBE_TEXT,
)
NEW_KEY: Schema = {
    "allOf": [ref("ApiKey"), object_of(key={"type": "string", "description": "What its holder sends. Shown once."})]
}
RECEIPTS: Schema = {"oneOf": [ref(Receipt), ref(RankedReceipt), ref("Batch")]}


def components() -> dict[str, Schema]:
    """Every schema that has a name."""

    def number(kind: type) -> Schema:
        if kind is msgspec.Raw:
            return NUMBER
        raise NotImplementedError(kind)

    _, schemas = msgspec.json.schema_components(_TYPES, schema_hook=number, ref_template=_REF + "{name}")
    for kind in (Grant, NamedGrant):
        schemas[kind.__name__]["properties"]["amount"] = NUMBER
    return {
        **schemas,
        "Problem": PROBLEM,
        "Batch": BATCH,
        "Board": BOARD,
        "Webhook": WEBHOOK,
        "ClientToken": CLIENT_TOKEN,
        "ApiKey": API_KEY,
        "NewKey": NEW_KEY,
    }

"""/openapi.json: the interface as OpenAPI 3.1, its schemas taken from the very types that decode and encode."""

from functools import cache
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from . import __doc__ as about
from .http.bodies import JSON, encode_json
from .model.correction import Edit
from .model.event import OF_AUDIT, OF_LEDGER
from .model.grant import Grant, NamedGrant
from .model.namespace import Rules
from .model.profile import NamespaceProfile, Profile
from .read.activity import UserActivityRequest
from .read.bulk import BoardsRequest, BulkStatsRequest, RanksRequest
from .read.includes import FullEntry
from .read.score_bounds import BOUNDS
from .read.totals import UserList
from .write.correction_handlers import Correction, VoidRequest
from .write.receipts import CorrectionReceipt, RankedReceipt, Receipt

_EVENTS = (*OF_LEDGER.values(), *OF_AUDIT.values())
_READ = (
    FullEntry,
    UserList,
    UserActivityRequest,
    RanksRequest,
    BoardsRequest,
    BulkStatsRequest,
    Profile,
    NamespaceProfile,
)
_WRITTEN = (Grant, NamedGrant, Receipt, RankedReceipt, CorrectionReceipt, Edit, VoidRequest, Correction)
_TYPES = (Rules, *_WRITTEN, *_READ, *_EVENTS)
_REF = "#/components/schemas/"
_NUMBER = {"type": "number", "description": "An exact decimal with at most the namespace's scale of places."}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "code", "detail", "field")},
        "status": {"type": "integer"},
    },
}
_BATCH = {
    "type": "object",
    "required": ["applied", "duplicate", "rejected", "results"],
    "properties": {
        **{name: {"type": "integer"} for name in ("applied", "duplicate", "rejected")},
        "results": {"type": "array", "items": {"type": "object"}},
    },
}
_BOARD = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("namespace", "window")},
        **{name: {"type": "integer"} for name in ("epoch", "version", "total", "count")},
        **{name: {"type": ["string", "null"]} for name in ("starts", "ends", "category", "next_cursor")},
        "entries": {"type": "array", "items": {"$ref": _REF + "FullEntry"}},
        "missing": {"type": "array", "items": {"type": "string"}},
    },
}
_MAYBE = {"type": ["number", "null"]}
_BIN = {"type": "object", "properties": {"from": _NUMBER, "to": _NUMBER, "count": {"type": "integer"}}}
_STATS: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("namespace", "window")},
        **{name: {"type": ["string", "null"]} for name in ("starts", "ends", "category", "band")},
        **{name: {"type": "integer"} for name in ("epoch", "version", "count")},
        **dict.fromkeys(("sum", "mean", "stddev", "min", "max"), _MAYBE),
        "percentiles": {"type": "object", "additionalProperties": _MAYBE},
        "histogram": {"type": "array", "items": _BIN},
    },
}
_BAND = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}, "min": _MAYBE, "max": _MAYBE},
}
_BOARD_STATS = {
    "type": "object",
    "properties": {**_STATS["properties"], "bands": {"type": "array", "items": _BAND}},
}
_RANKED_STATS = {"type": "object", "properties": {**_STATS["properties"], "percentile": _MAYBE}}
_EVENT_LIST = {
    "type": "object",
    "required": ["events", "next_after", "lag_seq"],
    "properties": {
        "events": {"type": "array", "items": {"oneOf": [{"$ref": _REF + kind.__name__} for kind in _EVENTS]}},
        "next_after": {"type": "string", "description": "Works as `after`, at the end of the stream too."},
        "lag_seq": {"type": "integer", "description": "Entries of the partition that are not in the ledger yet."},
    },
}
_COUNT: dict[str, Any] = {
    "type": "object",
    "required": ["count", "sum"],
    "properties": {"user_id": {"type": "string"}, "count": {"type": "integer"}, "sum": {"type": "number"}},
}
_RANGED: dict[str, Any] = {
    "type": "object",
    "required": ["namespace", "since", "until", "by", "lag_seq"],
    "properties": {
        "namespace": {"type": "string"},
        **{name: {"type": ["string", "null"], "format": "date-time"} for name in ("since", "until")},
        "by": {"enum": ["granted", "recorded"]},
        **_COUNT["properties"],
        "lag_seq": {"type": "integer"},
    },
}
_RANGED_USERS = {
    **_RANGED,
    "properties": {
        **{name: held for name, held in _RANGED["properties"].items() if name not in _COUNT["properties"]},
        "users": {"type": "array", "items": _COUNT},
        "missing": {"type": "array", "items": {"type": "string"}},
    },
}
_TRENDS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["at", "grants", "sum", "users", "mean", "board_mean"],
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            **{name: {"type": "integer"} for name in ("grants", "users")},
            **{name: {"type": "number"} for name in ("sum", "mean")},
            "board_mean": {"type": ["number", "null"]},
        },
    },
}
_OBJECT: dict[str, Any] = {"type": "object"}


class _Operation(NamedTuple):
    """What one method of one path takes and answers: request schema, and a response schema a status."""

    method: str
    path: str
    summary: str
    query: tuple[str, ...]
    body: dict[str, Any] | None
    answers: dict[str, dict[str, Any] | None]


def _grants(name: str) -> dict[str, Any]:
    one = {"$ref": _REF + name}
    return {"oneOf": [one, {"type": "array", "items": one, "maxItems": 1000}]}


_SPACE = "/v1/namespaces/{namespace}"
_RECEIPTS = {"oneOf": [{"$ref": _REF + name} for name in ("Receipt", "RankedReceipt", "Batch")]}
_BOARD_QUERY = (
    *("limit", "offset", "cursor", "around", "radius", "user", "category", "ranking", "include"),
    *("as_of", "compare_to"),
    *BOUNDS,
)
_STATS_QUERY = ("category", "min_score", "max_score", "exclusive", "histogram", "percentiles", "interpolate")
_PICK_QUERY = ("category", "ranking")
_EXPLAIN_QUERY = ("window", "cursor", "limit")
_EVENTS_QUERY = ("after", "type", "actor", "session_id", "limit")
_PAGE_QUERY = ("cursor", "limit")
_HISTORY_QUERY = ("since", "until", "cursor", "limit")
_LIST_QUERY = ("state", "source", "source_id", "cursor", "limit")
_RANGE_QUERY = ("since", "until", "by")
_TRENDS_QUERY = ("bucket", "since", "until", "limit", "cursor")
_OK: dict[str, dict[str, Any] | None] = {"200": _OBJECT}
_ENTRY: dict[str, dict[str, Any] | None] = {"200": {"$ref": _REF + "FullEntry"}}
_BOARDS: tuple[dict[str, dict[str, Any] | None], ...] = (
    {"200": {"$ref": _REF + "Board"}},
    {"200": {"type": "object", "properties": {"boards": {"type": "array", "items": {"$ref": _REF + "Board"}}}}},
)
_COUNTED: dict[str, dict[str, Any] | None] = {"200": _RECEIPTS, "201": _RECEIPTS}
_CORRECTED: dict[str, dict[str, Any] | None] = {"200": {"$ref": _REF + "CorrectionReceipt"}}
_HIDDEN: dict[str, dict[str, Any] | None] = {"200": _OBJECT, "202": _OBJECT}
_VOID_QUERY = ("dry_run", "reason", "revision")
_REMARK = {"$ref": _REF + "VoidRequest"}
_MANY = {"type": "array", "items": {"$ref": _REF + "Correction"}, "maxItems": 1000}
_OPERATIONS = (
    _Operation("get", "/v1/namespaces", "The namespaces that the key may read", ("prefix",), None, _OK),
    _Operation("put", _SPACE, "Create or change", (), {"$ref": _REF + "Rules"}, {"200": _OBJECT, "201": _OBJECT}),
    _Operation("get", _SPACE, "Its rules", (), None, _OK),
    _Operation("delete", _SPACE, "Delete", ("confirm",), None, {"204": None}),
    _Operation("get", f"{_SPACE}/grants", "Grants in quarantine, or of one source", _LIST_QUERY, None, _OK),
    _Operation("post", f"{_SPACE}/grants", "Grant points", ("rank", "backfill"), _grants("Grant"), _COUNTED),
    _Operation(
        *("post", "/v1/grants", "Grant across namespaces", ("atomic", "rank", "backfill")),
        _grants("NamedGrant"),
        _COUNTED,
    ),
    _Operation("get", f"{_SPACE}/grants/{{grant_id}}", "One grant, from the ledger", (), None, _OK),
    _Operation(
        "patch",
        f"{_SPACE}/grants/{{grant_id}}",
        "Edit it",
        ("dry_run", "backfill"),
        {"$ref": _REF + "Edit"},
        _CORRECTED,
    ),
    _Operation("delete", f"{_SPACE}/grants/{{grant_id}}", "Void it", _VOID_QUERY, None, _CORRECTED),
    _Operation("post", f"{_SPACE}/grants/{{grant_id}}/restore", "Restore it", ("dry_run",), _REMARK, _CORRECTED),
    _Operation("post", f"{_SPACE}/corrections", "Correct many", (), _MANY, {"200": {"$ref": _REF + "Batch"}}),
    _Operation("get", f"{_SPACE}/events", "What happened", _EVENTS_QUERY, None, {"200": _EVENT_LIST}),
    _Operation("get", f"{_SPACE}/boards/{{window}}", "A board", _BOARD_QUERY, None, {"200": {"$ref": _REF + "Board"}}),
    _Operation("get", f"{_SPACE}/boards/{{window}}/stats", "Its statistics", _STATS_QUERY, None, {"200": _BOARD_STATS}),
    _Operation(
        *("get", "/v1/stats", "The statistics of many namespaces", ("prefix", "window", "band"), None),
        {"200": {"type": "object", "properties": {"namespaces": {"type": "array", "items": _RANKED_STATS}}}},
    ),
    _Operation("get", f"{_SPACE}/boards/{{window}}/at/{{position}}", "Who stands there", _PICK_QUERY, None, _ENTRY),
    _Operation(
        "get", f"{_SPACE}/boards/{{window}}/percentile/{{percentile}}", "The score there", _PICK_QUERY, None, _OK
    ),
    _Operation("get", f"{_SPACE}/boards/{{window}}/rank-of/{{score}}", "A score's rank", _PICK_QUERY, None, _OK),
    _Operation("get", f"{_SPACE}/boards/{{window}}/random", "Some by chance", ("n", *_PICK_QUERY), None, _BOARDS[0]),
    _Operation("get", f"{_SPACE}/boards/{{window}}/count", "How many", ("category", *BOUNDS), None, _OK),
    _Operation("post", f"{_SPACE}/ranks", "Many users on many boards", (), {"$ref": _REF + "RanksRequest"}, _BOARDS[1]),
    _Operation("post", "/v1/boards", "Stretches of many boards", (), {"$ref": _REF + "BoardsRequest"}, _BOARDS[1]),
    _Operation(
        *("post", "/v1/stats", "The statistics of many boards", (), {"$ref": _REF + "BulkStatsRequest"}),
        {"200": {"type": "object", "properties": {"boards": {"type": "array", "items": _STATS}}}},
    ),
    _Operation("post", f"{_SPACE}/totals", "What many users have", (), {"$ref": _REF + "UserList"}, _OK),
    _Operation("get", f"{_SPACE}/users", "Users by the beginning of an id or a name", ("q", *_PAGE_QUERY), None, _OK),
    _Operation("get", f"{_SPACE}/users/{{user}}", "Where a user stands", (), None, _OK),
    _Operation("get", f"{_SPACE}/users/{{user}}/explain", "Why a score is what it is", _EXPLAIN_QUERY, None, _OK),
    _Operation("get", f"{_SPACE}/users/{{user}}/grants", "A user's grants", _HISTORY_QUERY, None, _OK),
    _Operation(
        "get", f"{_SPACE}/users/{{user}}/activity", "Their grants by time", _RANGE_QUERY, None, {"200": _RANGED}
    ),
    _Operation("get", f"{_SPACE}/activity", "All grants by time", _RANGE_QUERY, None, {"200": _RANGED}),
    _Operation(
        *("post", f"{_SPACE}/activity", "Many users' grants by time", (), {"$ref": _REF + "UserActivityRequest"}),
        {"200": _RANGED_USERS},
    ),
    _Operation("get", f"{_SPACE}/trends", "Hours or days, bucket by bucket", _TRENDS_QUERY, None, {"200": _TRENDS}),
    _Operation(
        *("put", f"{_SPACE}/users/{{user}}", "What they are called there", (), {"$ref": _REF + "NamespaceProfile"}),
        _HIDDEN,
    ),
    _Operation("post", f"{_SPACE}/users/{{user}}/hide", "Take a user off its boards", (), None, _HIDDEN),
    _Operation("post", f"{_SPACE}/users/{{user}}/unhide", "Show them there again", (), None, _HIDDEN),
    _Operation("get", "/v1/users/{user}", "A user's profile", (), None, _OK),
    _Operation("put", "/v1/users/{user}", "Replace it", (), {"$ref": _REF + "Profile"}, _HIDDEN),
    _Operation("delete", "/v1/users/{user}", "Erase a user", (), None, {"202": _OBJECT, "204": None}),
    _Operation("post", "/v1/users/{user}/hide", "Take a user off every board", (), None, _HIDDEN),
    _Operation("post", "/v1/users/{user}/unhide", "Show them again", (), None, _HIDDEN),
    _Operation("get", "/v1/users/{user}/standings", "Where a user stands everywhere", _PAGE_QUERY, None, _OK),
    _Operation("get", "/healthz", "The process is up", (), None, _OK),
    _Operation("get", "/readyz", "Writes are taken", (), None, {"200": _OBJECT, "503": _OBJECT}),
)


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for held in _OPERATIONS:
        paths.setdefault(held.path, {})[held.method] = _operation(held)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Leaderboard", "version": "1", "description": about},
        "paths": paths,
        "components": {
            "schemas": {**_schemas(), "Problem": _PROBLEM, "Batch": _BATCH, "Board": _BOARD},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _schemas() -> dict[str, Any]:
    def number(kind: type) -> dict[str, Any]:
        if kind is msgspec.Raw:
            return _NUMBER
        raise NotImplementedError(kind)

    _, found = msgspec.json.schema_components(_TYPES, schema_hook=number, ref_template=_REF + "{name}")
    for name in ("Grant", "NamedGrant"):
        found[name]["properties"]["amount"] = _NUMBER
    return dict(found)


def _operation(held: _Operation) -> dict[str, Any]:
    named = [part[1:-1] for part in held.path.split("/") if part.startswith("{")]
    text = {"type": "string"}
    told: dict[str, Any] = {
        "summary": held.summary,
        "parameters": [{"name": name, "in": "path", "required": True, "schema": text} for name in named]
        + [{"name": name, "in": "query", "schema": text} for name in held.query],
        "responses": {
            **{status: _answer(held.summary, schema) for status, schema in held.answers.items()},
            **({"304": {"description": "Unchanged since the ETag in If-None-Match"}} if _is_fresh(held) else {}),
            "default": {
                "description": "A problem",
                "content": {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}},
            },
        },
    }
    if held.body is not None:
        told["requestBody"] = {"content": {JSON: {"schema": held.body}, "application/msgpack": {"schema": held.body}}}
    return told


def _is_fresh(held: _Operation) -> bool:
    """Whether its answers have an ETag."""
    kept = "/boards/{window}" in held.path and not held.path.endswith("/random")
    return held.method == "get" and (kept or held.path == f"{_SPACE}/users/{{user}}")


def _answer(summary: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    return {"description": summary} | ({} if schema is None else {"content": {JSON: {"schema": schema}}})


async def serve(request: Request) -> Response:
    """`GET /openapi.json`."""
    return Response(encode_json(document()), media_type=JSON)

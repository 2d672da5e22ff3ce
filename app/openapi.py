"""/openapi.json: the table of routes as OpenAPI 3.1, with the texts, parameters and examples of `app/description`."""

from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .description import parameters, problems
from .description.components import components
from .description.examples import answer_examples, request_examples
from .description.operation import TAGS, Operation
from .description.problems import PROBLEM_MEDIA
from .description.read_operations import READ_OPERATIONS
from .description.schema import INTEGER, TEXT, Schema, ref
from .description.write_operations import WRITE_OPERATIONS
from .http.bodies import JSON, encode_json
from .model.csv_cells import CSV
from .read.conditional import tagged_answer
from .routes import ROUTES, Route

#: What the service is, for people who read the document.
ABOUT = "A realtime leaderboard server on Redis whose every number can be proven from an append-only ledger."

#: What a request shows to be known.
BEARER = "An API key, or a client token of `POST /v1/tokens`, which only reads. Public namespaces are read without."

#: What holds for every operation.
_FOR_ALL = (
    "Every body is JSON, or MessagePack with `Content-Type` and `Accept` of `application/msgpack`. Fields and "
    "parameters that are not described are refused. A problem has a stable `code`; new codes, and new fields of "
    "answers, may come with a new release."
)
_STREAM = "text/event-stream"
OPERATIONS: dict[str, Operation] = {**READ_OPERATIONS, **WRITE_OPERATIONS}
#: Problems that any request may meet, whatever it asks for.
_ANYWHERE = ("internal", "method_not_allowed", "request_timeout", "uri_too_long", "headers_too_large")
_STATUS_TEXTS = {
    400: "The request cannot be read",
    401: "No valid key",
    403: "The key does not allow this",
    404: "There is no such thing",
    405: "The path does not take this method",
    409: "It contradicts what is recorded",
    413: "Too large",
    415: "The body's media type is not spoken here",
    422: "Understood, and refused",
    429: "More than this client's share: try again",
    503: "Not now: try again",
}
_SCOPES = {
    "name": "the namespace in the path",
    "each": "each namespace that is named",
    "all": "the whole deployment (the pattern `*`)",
}
_HEADERS: dict[str, Schema] = {
    "RetryAfter": {"description": "Seconds after which to try again.", "schema": INTEGER, "example": 1},
    "ETag": {"description": "Names this answer, for `If-None-Match`.", "schema": TEXT, "example": '"1-42-bW9uZGF5"'},
    "NextCursor": {"description": "The `cursor` of the next page of a table.", "schema": TEXT, "example": "MjUgaGFt"},
    "LagSeq": {"description": "Entries that the ledger lacks yet.", "schema": INTEGER, "example": 0},
    "Link": {"description": "The address of the next page.", "schema": TEXT, "example": '<?cursor=MTYy>; rel="next"'},
}
_CORRECTED = ("editGrant", "voidGrant", "restoreGrant", "correctGrants")


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        if route.is_described:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, OPERATIONS[route.name])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leaderboard",
            "version": "1",
            "description": f"{ABOUT}\n\n{_FOR_ALL}",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "/", "description": "The server that this document comes from."},
            {"url": "http://localhost:8000", "description": "`leaderboard dev` on this machine."},
        ],
        "externalDocs": {"url": "/asyncapi.json", "description": "WebSockets and event streams, as AsyncAPI 3"},
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components(),
            "examples": {code: problems.example_of(code) for code in _codes()},
            "headers": _HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": BEARER}},
        },
        "security": [{"key": []}],
    }


def _codes() -> list[str]:
    """The codes that an operation may answer."""
    named = {code for operation in OPERATIONS.values() for code in operation.problems}
    return sorted({*named, *_ANYWHERE})


def _operation(route: Route, operation: Operation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "operationId": route.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description} {_rights_text(route)}",
        "parameters": _parameters(route),
        "security": _security(route),
    }
    if route.body is not None:
        body["requestBody"] = {"required": operation.needs_body, "content": _request_content(route, route.body)}
    return {**body, "responses": {**_answers(route), **_problems(operation)}}


def _rights_text(route: Route) -> str:
    scope, over, is_public = route.required
    if scope is None:
        return "Needs no key."
    public = " A public namespace is read without a key." if is_public else ""
    return f"Needs the scope `{scope}` over {_SCOPES[over]}.{public}"


def _security(route: Route) -> list[dict[str, list[str]]]:
    """The ways in; the scope is in the description and, as a role, beside the scheme."""
    scope, _, is_public = route.required
    if scope is None:
        return []
    return [{"key": [scope]}, *([{}] if is_public else [])]


def _parameters(route: Route) -> list[Schema]:
    kind = route.path.split("/")[2] if route.path.startswith("/v1/") else ""
    shown = [
        (parameters.IDS[kind] if name == "id" else parameters.PATH[name]).body(name, "path", required=True)
        for name in route.parameters
    ]
    for name in route.query:
        parameter = parameters.OF_OPERATION.get((route.name, name)) or parameters.QUERY[name]
        shown.append(parameter.body(name, "query", required=(route.name, name) in parameters.REQUIRED))
    if route.has_etag:
        shown.append(parameters.IF_NONE_MATCH.body("If-None-Match", "header"))
    if route.name in _CORRECTED:
        shown.append(parameters.IDEMPOTENCY_KEY.body("Idempotency-Key", "header"))
    if route.is_stream:
        shown.append(parameters.LAST_EVENT_ID.body("Last-Event-ID", "header"))
    return shown


def _request_content(route: Route, schema: Schema) -> dict[str, Any]:
    """JSON alone. Generators know no grants in lines (NDJSON): the operation's description tells of them."""
    return {JSON: {"schema": schema, "examples": request_examples(route.name, media=JSON)}}


def _answers(route: Route) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status in route.statuses:
        about = _ABOUT_STATUS.get(status, OPERATIONS[route.name].summary)
        answers[status] = {"description": about}
        if route.is_stream:
            answers[status]["content"] = _content(route, status, _STREAM, TEXT)
        elif status != "204" and route.answer is not None:
            answers[status]["content"] = _content(route, status, JSON, route.answer)
        headers = _answer_headers(route)
        if headers and status == "200":
            answers[status]["headers"] = {name: {"$ref": f"#/components/headers/{key}"} for name, key in headers}
    if route.has_csv:
        answers["200"]["content"] |= _content(route, "200", CSV, TEXT)
    if route.has_etag:
        answers["304"] = {"description": "Unchanged since the ETag in If-None-Match"}
    return answers


_ABOUT_STATUS = {
    "201": "It is new, and on disk",
    "202": "It is recorded, and takes effect by itself",
    "204": "Done",
    "503": "Writes would be refused",
}


def _answer_headers(route: Route) -> list[tuple[str, str]]:
    headers = [("ETag", "ETag")] if route.has_etag else []
    headers += [("Next-Cursor", "NextCursor"), ("Lag-Seq", "LagSeq")] if route.has_csv else []
    return headers + ([("Lag-Seq", "LagSeq"), ("Link", "Link")] if route.name == "getTrends" else [])


def _content(route: Route, status: str, media: str, schema: Schema) -> dict[str, Any]:
    return {media: {"schema": schema, "examples": answer_examples(route.name, status, media=media)}}


def _problems(operation: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, codes in problems.by_status(operation.problems).items():
        named = ", ".join(f"`{code}`" for code in codes)
        answers[str(status)] = {"description": f"{_STATUS_TEXTS[status]}: {named}", "content": _problem_content(codes)}
        if status in (429, 503):
            answers[str(status)]["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return {**answers, "default": {"description": "Another problem", "content": _problem_content(_ANYWHERE)}}


def _problem_content(codes: tuple[str, ...] | list[str]) -> dict[str, Any]:
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    return {PROBLEM_MEDIA: {"schema": ref("Problem"), "examples": examples}}


@cache
def _encoded() -> bytes:
    return encode_json(document())


async def serve(request: Request) -> Response:
    """`GET /openapi.json`."""
    return tagged_answer(request, None, _encoded(), JSON)

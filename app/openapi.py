"""/openapi.json: the table of routes as OpenAPI 3.1."""

from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .http.bodies import JSON, MSGPACK, encode_json
from .model.csv_cells import CSV
from .read.conditional import tagged_answer
from .routes import ROUTES, Route
from .schemas import Schema, components, ref
from .write.acknowledgements import LEVELS

#: What the service is, for people who read the document.
ABOUT = "A realtime leaderboard server on Redis whose every number can be proven from an append-only ledger."

#: What a request shows to be known.
BEARER = "An API key, or a client token of `POST /v1/tokens`, which only reads. Public namespaces are read without."


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        if route.is_described:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Leaderboard", "version": "1", "description": ABOUT},
        "externalDocs": {"url": "/asyncapi.json", "description": "WebSockets and event streams, as AsyncAPI 3"},
        "paths": paths,
        "components": {
            "schemas": components(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": BEARER}},
        },
        "security": [{"key": []}, {}],
    }


def _operation(route: Route) -> dict[str, Any]:
    answers = {status: _answer(route.summary, None if status == "204" else route.answer) for status in route.statuses}
    if route.is_stream:
        answers["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    if route.has_csv:
        answers["200"]["content"][CSV] = {"schema": {"type": "string"}}
    if route.has_etag:
        answers["304"] = {"description": "Unchanged since the ETag in If-None-Match"}
    problem = {"application/problem+json": {"schema": ref("Problem")}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [_parameter(name, "path") | {"required": True} for name in route.parameters]
        + [_parameter(name, "query") for name in route.query]
        + ([_parameter("Last-Event-ID", "header")] if route.is_stream else []),
        "responses": {**answers, "default": {"description": "A problem", "content": problem}},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {media: {"schema": route.body} for media in (JSON, MSGPACK)}}
    return operation


def _parameter(name: str, where: str) -> dict[str, Any]:
    values = {"enum": list(LEVELS)} if name == "ack" else {}
    return {"name": name, "in": where, "schema": {"type": "string", **values}}


def _answer(summary: str, schema: Schema | None) -> dict[str, Any]:
    return {"description": summary} | ({} if schema is None else {"content": {JSON: {"schema": schema}}})


@cache
def _encoded() -> bytes:
    return encode_json(document())


async def serve(request: Request) -> Response:
    """`GET /openapi.json`."""
    return tagged_answer(request, None, _encoded(), JSON)

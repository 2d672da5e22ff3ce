"""The busiest routes, answered before Starlette, and the answers to exceptions."""

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .access.cors import Cors
from .endpoints import as_asgi
from .handlers import Handlers
from .http.bodies import header, problem_response
from .model.errors import BadRequest, Internal, Invalid, MethodNotAllowed, NotFound, Problem, TooLarge
from .routes import ROUTES

log = structlog.get_logger()

#: Parameters of a query: 500 users and every other one. Each costs a microsecond before the key is checked.
QUERY_FIELDS_MAX = 550
#: Paths whose route is cached.
_PATHS_MAX = 1_024
#: Characters of a path that is cached. Names and windows are not longer; longer paths go through Starlette.
_PATH_CHARACTERS_MAX = 400
#: Where WebSockets are taken.
LIVE_PATH = "/v1/live"
#: A key or a client token in a path, where somebody put it by mistake: no log shows it.
_SECRET = re.compile(r"lb_[\w-]+|eyJ[\w.-]+")
_HOT = tuple((route.method, route.path, route.path.split("/"), route.handler) for route in ROUTES if route.is_hot)


@lru_cache(maxsize=_PATHS_MAX)
def _hot_route(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The path in the table and its parameters, if a hot route answers it. O(hot routes)."""
    segments = path.split("/")
    for hot_method, hot_path, pattern, _ in _HOT:
        if hot_method == method and (parameters := _match(pattern, segments)) is not None:
            return hot_path, parameters
    return None


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    parameters = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{") and segment:
            parameters[part[1:-1]] = segment
        elif part != segment:
            return None
    return parameters


class FastPath:
    """Answers the busiest routes without Starlette, whose router, middleware and wrappers take a tenth of such a
    request.

    For all other routes it gives Starlette the path as it was sent, so that an encoded slash stays part of its segment.
    """

    def __init__(self, app: ASGIApp, handlers: Handlers, live: ASGIApp, cors: Cors) -> None:
        self._app = app
        self._cors = cors
        self._live = live
        self._endpoints = {path: as_asgi(handler(handlers)) for _, path, _, handler in _HOT}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the two busiest routes and live connections, passes on everything else."""
        if scope["type"] != "http":
            # A WebSocket stays for hours: each frame of a call on its stack is memory.
            is_live = scope["type"] == "websocket" and scope["path"] == LIVE_PATH
            await (self._live if is_live else self._app)(scope, receive, send)
            return
        origin = header(scope, b"origin")
        if origin:
            fields = self._cors.preflight(scope, origin)
            if fields is not None:
                await send({"type": "http.response.start", "status": 204, "headers": fields})
                await send({"type": "http.response.body", "body": b""})
                return
            send = self._cors.send_to(scope, origin, send)
        wrong = _wrong_query(scope["query_string"]) if scope["query_string"] else None
        if wrong is not None:
            await problem_response(scope, wrong)(scope, receive, send)
            return
        endpoint = self._endpoint(scope)
        if endpoint is self._app:
            await self._app(scope, receive, send)
            return
        try:
            await endpoint(scope, receive, send)
        except Problem as problem:
            await problem_response(scope, problem)(scope, receive, send)
        except Exception as error:
            await _unexpected(scope, error)(scope, receive, send)

    def _endpoint(self, scope: Scope) -> ASGIApp:
        if b"%" in scope["raw_path"]:
            scope["path"] = scope["raw_path"].decode("latin-1")
            return self._app
        path: str = scope["path"]
        hot = _hot_route(scope["method"], path) if len(path) <= _PATH_CHARACTERS_MAX else None
        if hot is None:
            return self._app
        pattern, parameters = hot
        scope["path_params"] = parameters.copy()
        return self._endpoints[pattern]


def _wrong_query(query: bytes) -> Problem | None:
    """What makes a query unreadable for every route: invalid UTF-8, which would make two names equal, or too many
    parameters."""
    if query.count(b"&") >= QUERY_FIELDS_MAX:
        return Invalid(f"at most {QUERY_FIELDS_MAX} parameters are taken", field="?")
    if not query.isascii():
        return BadRequest("the query holds bytes that are not percent-encoded")
    try:
        if b"%" in query:
            unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return BadRequest("the query is not UTF-8")
    return None


async def _problem(request: Request, error: Problem) -> Response:
    return problem_response(request.scope, error)


async def _http_error(request: Request, error: HTTPException) -> Response:
    known: dict[int, Problem] = {
        404: NotFound("there is no such path"),
        405: MethodNotAllowed(f"{request.method} is not taken here", headers=dict(error.headers or {})),
        413: TooLarge("the body is too large"),
    }
    return problem_response(request.scope, known.get(error.status_code, BadRequest(str(error.detail))))


async def _failure(request: Request, error: Exception) -> Response:
    return _unexpected(request.scope, error)


def _unexpected(scope: Scope, error: Exception) -> Response:
    log.error("unexpected", path=_SECRET.sub("…", scope["path"]), error=type(error).__name__, exc_info=error)
    return problem_response(scope, Internal("it is logged"))


#: The answer to each kind of exception that a handler raises.
EXCEPTION_ANSWERS: dict[Any, Any] = {Problem: _problem, HTTPException: _http_error, Exception: _failure}

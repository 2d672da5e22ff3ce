"""Endpoints: a path's methods, its parameters, and handlers as ASGI applications."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from .model.errors import BadRequest

Endpoint = Callable[[Request], Awaitable[Response]]


class IdConvertor(Convertor[str]):
    """A path segment as sent, percent-decoded only after the path is split: an id may hold a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """BadRequest for what is not UTF-8."""
        if "%" not in value:
            return value
        try:
            return unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise BadRequest("the path is not UTF-8") from None

    def to_string(self, value: str) -> str:
        """Unused: no URL is built here."""
        raise NotImplementedError


register_url_convertor("id", IdConvertor())


class ScopeEndpoint:
    """An ASGI application made of a handler that needs no Request, only the scope of one."""

    def __init__(self, handler: Callable[[Scope], Awaitable[Response]]) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        response = await self._handler(scope)
        await response(scope, receive, send)


class MethodEndpoint:
    """A path with an endpoint for each method, of which each is a function of a Request or an ASGI application.

    One route in Starlette: of several for the same path, its `Allow` would name the first one's methods only.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint | ASGIApp]) -> None:
        self._endpoints = {method: as_asgi(endpoint) for method, endpoint in endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request by its method's endpoint; HEAD is GET."""
        method = scope["method"]
        await self._endpoints["GET" if method == "HEAD" else method](scope, receive, send)


def as_asgi(endpoint: Endpoint | ASGIApp) -> ASGIApp:
    """An ASGI application of either kind of endpoint. Like Starlette, it takes a function for one of a Request."""
    if inspect.isfunction(endpoint) or inspect.ismethod(endpoint):
        return request_response(endpoint)
    return endpoint  # type: ignore[return-value]


def method_route(path: str, endpoints: Mapping[str, Endpoint | ASGIApp]) -> Route:
    """One of Starlette's routes for all methods of a path, whose parameters are segments as they were sent."""
    return Route(re.sub(r"{(\w+)}", r"{\1:id}", path), MethodEndpoint(endpoints), methods=list(endpoints))

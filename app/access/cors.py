"""CORS: which pages of other origins may read answers and open WebSockets. Nothing here asks a store."""

import re
from collections.abc import Callable
from urllib.parse import unquote

from starlette.types import Message, Scope, Send

from ..http.bodies import header
from ..http.connections import ANSWER
from ..model.errors import Forbidden
from ..model.origins import Origins

Field = tuple[bytes, bytes]

#: Seconds for which a browser remembers the answer to a preflight; Chromium takes no more.
PREFLIGHT_S_MAX = 7_200
#: Characters of an origin that an error repeats.
_ORIGIN_CHARS_MAX = 100
_NAMESPACE = re.compile(r"/v1/namespaces/([^/]+)(?:/.*)?", re.DOTALL)
_READS = frozenset({"GET", "HEAD"})
_EXPOSED: Field = (b"access-control-expose-headers", b"ETag, Retry-After, RateLimit, X-Request-Id")
_VARY: Field = (b"vary", b"Origin")
_MAX_AGE: Field = (b"access-control-max-age", b"%d" % PREFLIGHT_S_MAX)
#: What a page of a listed origin may send, and what one of any other.
_LISTED: tuple[Field, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Accept, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id",
    ),
    _MAX_AGE,
)
_ANY: tuple[Field, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"Accept, Content-Type, If-None-Match, Last-Event-ID, X-Request-Id"),
    _MAX_AGE,
)
_TO_ALL: Field = (b"access-control-allow-origin", b"*")


class Cors:
    """The rules of a server. is_public: whether a namespace of this name is public, as far as the process knows."""

    def __init__(self, origins: Origins, is_public: Callable[[str], bool]) -> None:
        self._origins = origins
        self._is_public = is_public

    def preflight(self, scope: Scope, origin: str) -> list[Field] | None:
        """The header fields of the answer to a browser's question whether a page may send a request; None: this is no
        such question, or the page may not. Whether a namespace is public is not told here: the request itself tells."""
        if scope["method"] != "OPTIONS" or self._origins.are_off:
            return None
        method = header(scope, b"access-control-request-method")
        if method and self._origins.have(origin):
            return [(b"access-control-allow-origin", origin.encode("latin-1")), *_LISTED, _VARY]
        if method in _READS and _NAMESPACE.fullmatch(scope["path"]):
            return [_TO_ALL, *_ANY, _VARY]
        return None

    def send_to(self, scope: Scope, origin: str, send: Send) -> Send:
        """A `send` that adds the header fields for a page of an origin, to problems as well."""
        if self._origins.are_off:
            return send
        scope.pop(ANSWER, None)  # A whole answer is the same for everybody: it would leave without these fields.

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._fields(scope, origin)]}
            await send(message)

        return send_with_fields

    def check_socket(self, scope: Scope) -> None:
        """Forbidden for a WebSocket of a page of another origin that is not listed. Without Origin it is no page."""
        origin = header(scope, b"origin")
        if not origin or self._origins.have(origin) or _is_same(origin, header(scope, b"host")):
            return
        shown = origin[:_ORIGIN_CHARS_MAX]
        raise Forbidden(f"pages of {shown!r} may open no WebSocket here: LEADERBOARD_CORS_ORIGINS does not list it")

    def _fields(self, scope: Scope, origin: str) -> tuple[Field, ...]:
        if scope["method"] in _READS and not header(scope, b"authorization") and self._opens(scope["path"]):
            return _TO_ALL, _EXPOSED, _VARY
        if self._origins.have(origin):
            return (b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED, _VARY
        return (_VARY,)

    def _opens(self, path: str) -> bool:
        """Whether a path is one of a public namespace."""
        match = _NAMESPACE.fullmatch(path)
        return match is not None and self._is_public(unquote(match[1]))


def _is_same(origin: str, host: str) -> bool:
    """Whether a page comes from this server: the scheme is unknown here, where a proxy ends TLS."""
    return origin.partition("://")[2].lower() == host.lower() != ""

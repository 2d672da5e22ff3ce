"""How a client keeps an answer: ETag, If-None-Match and Cache-Control."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..http.bodies import encode, header, send_whole
from ..model.namespace import Namespace

_OF_ARCHIVES = "a"
#: Seconds for which a client or a proxy may take a costly answer as fresh, and then for how many it may show the old
#: one while it asks again.
_ALIKE_S, _STALE_S = 5, 30


class RenderedAnswer(NamedTuple):
    """An answer as it leaves: its body, in the client's format, and its head. fields: the header fields in one piece,
    of an answer that may be given again."""

    body: bytes
    headers: list[tuple[bytes, bytes]]
    status: int = 200
    fields: bytes = b""


class RenderedResponse(Response):
    """A response whose head is made already: making one is a twentieth of a board's answer."""

    def __init__(self, render: RenderedAnswer) -> None:
        self.status_code = render.status
        self.body = render.body
        self.raw_headers = render.headers
        self.background = None
        self._fields = render.fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        if self._fields and send_whole(scope, self.status_code, self._fields, bytes(self.body)):
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def digest(data: bytes) -> str:
    """A short name for bytes."""
    return urlsafe_b64encode(blake2b(data, digest_size=12).digest()).decode()


def tag_of(question: str, epoch: int, version: int, is_archived: bool) -> str:
    """The ETag of what a question is answered at a board's version; an archive's tells that it is one."""
    return f'"{epoch}-{version}-{question}{_OF_ARCHIVES if is_archived else ""}"'


def matches(wanted: str, tag: str) -> bool:
    """Whether an If-None-Match holds a tag. `*` holds none: what is there is not known before it is read."""
    return any(held.strip().removeprefix("W/") == tag for held in wanted.split(","))


def _head(namespace: Namespace | None, tag: str, is_heavy: bool) -> list[tuple[bytes, bytes]]:
    who = "public" if namespace is not None and namespace.is_public and namespace.rules.mode != "shadow" else "private"
    how = f"max-age={_ALIKE_S}, stale-while-revalidate={_STALE_S}" if is_heavy else "no-cache"
    return [(b"etag", tag.encode()), (b"cache-control", f"{who}, {how}".encode()), (b"vary", b"Accept")]


def render(namespace: Namespace | None, tag: str, is_heavy: bool, body: bytes, media: str) -> RenderedAnswer:
    """An answer with its tag. is_heavy: it costs much to make, and a cache may give it for some seconds unasked."""
    head = [(b"content-length", b"%d" % len(body)), (b"content-type", media.encode()), *_head(namespace, tag, is_heavy)]
    return RenderedAnswer(body, head, fields=b"".join([b"%b: %b\r\n" % field for field in head]))


def not_modified(namespace: Namespace | None, tag: str, is_heavy: bool) -> RenderedAnswer:
    """304: the client holds it already."""
    return RenderedAnswer(b"", _head(namespace, tag, is_heavy), 304)


def answer_with_etag(
    request: Request,
    namespace: Namespace | None,
    body: Any,
    is_heavy: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response whose tag is the body's own digest, for what no version tells; 304 where the client holds it. headers:
    more of them, with either."""
    data, media = encode(request.scope, body)
    tag = f'"{digest(data)}"'
    if matches(header(request.scope, b"if-none-match"), tag):
        found = not_modified(namespace, tag, is_heavy)
    else:
        found = render(namespace, tag, is_heavy, data, media)
    more = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return RenderedResponse(found._replace(headers=[*found.headers, *more], fields=b"") if more else found)

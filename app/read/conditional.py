"""Answers that clients may cache: ETag, If-None-Match and Cache-Control."""

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
#: Seconds for which a client or a proxy may use a costly answer without asking, and further seconds for which it may
#: show the old answer while it asks again.
_FRESH_S, _STALE_S = 5, 30


class RenderedAnswer(NamedTuple):
    """An answer as it is sent: its body in the client's format, and its head. fields: the header fields of a cached
    answer, as one text."""

    body: bytes
    headers: list[tuple[bytes, bytes]]
    status: int = 200
    fields: bytes = b""


class RenderedResponse(Response):
    """A response with a ready head: making one takes a twentieth of the time of a board's answer."""

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
    """A short digest of bytes, as text."""
    return urlsafe_b64encode(blake2b(data, digest_size=12).digest()).decode()


def tag_of(question: str, epoch: int, version: int, is_archived: bool) -> str:
    """The ETag of the answer to a question at a board's version. question: its digest. An archive's tag differs."""
    return f'"{epoch}-{version}-{question}{_OF_ARCHIVES if is_archived else ""}"'


def matches(if_none_match: str, tag: str) -> bool:
    """Whether an If-None-Match names a tag. `*` names none: the board is not known before it is read."""
    return any(one.strip().removeprefix("W/") == tag for one in if_none_match.split(","))


def _head(namespace: Namespace | None, tag: str, is_heavy: bool) -> list[tuple[bytes, bytes]]:
    who = "public" if namespace is not None and namespace.is_public and namespace.rules.mode != "shadow" else "private"
    how = f"max-age={_FRESH_S}, stale-while-revalidate={_STALE_S}" if is_heavy else "no-cache"
    return [(b"etag", tag.encode()), (b"cache-control", f"{who}, {how}".encode()), (b"vary", b"Accept, Origin")]


def render(namespace: Namespace | None, tag: str, is_heavy: bool, body: bytes, media: str) -> RenderedAnswer:
    """An answer with its tag. is_heavy: it is costly to make, and caches may use it for some seconds without asking."""
    head = [(b"content-length", b"%d" % len(body)), (b"content-type", media.encode()), *_head(namespace, tag, is_heavy)]
    return RenderedAnswer(body, head, fields=b"".join([b"%b: %b\r\n" % field for field in head]))


def not_modified(namespace: Namespace | None, tag: str, is_heavy: bool) -> RenderedAnswer:
    """304: the client has the answer already."""
    return RenderedAnswer(b"", _head(namespace, tag, is_heavy), 304)


def answer_with_etag(
    request: Request,
    namespace: Namespace | None,
    body: Any,
    is_heavy: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response whose tag is the digest of its body, for answers without a version; 304 if the client has it. headers:
    further ones."""
    data, media = encode(request.scope, body)
    return tagged_answer(request, namespace, data, media, is_heavy=is_heavy, headers=headers)


def tagged_answer(
    request: Request,
    namespace: Namespace | None,
    data: bytes,
    media: str,
    *,
    is_heavy: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The same of a body that is encoded already."""
    tag = f'"{digest(data)}"'
    if matches(header(request.scope, b"if-none-match"), tag):
        rendered = not_modified(namespace, tag, is_heavy)
    else:
        rendered = render(namespace, tag, is_heavy, data, media)
    more = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return RenderedResponse(rendered._replace(headers=[*rendered.headers, *more], fields=b"") if more else rendered)

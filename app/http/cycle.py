"""One request and its answer in uvicorn's protocol. Head and body leave in one write.

uvicorn itself writes them one by one: that costs two system calls and two packets, and the client wakes twice.
"""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from .connections import ANSWER

_ASGI: Any = {"version": "3.0", "spec_version": "2.3"}
_WITHOUT_BODY = frozenset({204, 304})
#: The length of a body that ends with its connection.
_UNKNOWN = -1


class Cycle(RequestResponseCycle):
    """The ASGI side of one request: what the application receives and sends."""

    # Initial values. uvicorn sets them for each request, which takes a twentieth of the time of a board's answer.
    disconnected = response_started = response_complete = access_log = False
    more_body = True
    chunked_encoding = None
    expected_content_length = 0
    _head = b""  # of an answer whose body has not begun

    def __init__(self, scope: Any, protocol: HttpToolsProtocol, *, keep_alive: bool) -> None:
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.on_response = protocol.on_response_complete
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.keep_alive = keep_alive
        self.message_event = asyncio.Event()
        self.body = bytearray()

    async def receive(self) -> Any:
        """The next piece of the body; after the last one, that the client is gone."""
        if self.more_body or self.disconnected or self.response_complete or self.waiting_for_100_continue:
            return await super().receive()
        if not self.message_event.is_set():
            return await super().receive()
        # The whole body is there: no wait.
        self.message_event.clear()
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def send(self, message: Any) -> None:
        """Sends an answer's head, then its body in one or more pieces. RuntimeError for any other message."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            _expect(message, "http.response.start")
            self.response_started = True
            self.waiting_for_100_continue = False
            self._head = self._begin(message["status"], message.get("headers", ()))
        elif not self.response_complete:
            _expect(message, "http.response.body")
            self._go_on(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError("the answer is complete already")

    def answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Sends a whole answer at once. False: use `send` instead, which may have to wait. fields: header fields as
        bytes, each with its line end, one of them Content-Length."""
        if self.flow.write_paused or self.disconnected or self.response_started or not self.keep_alive:
            return False
        if self.scope["method"] == "HEAD":
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[status], fields, body))
        self._complete()
        return True

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The head of an answer."""
        lines = [STATUS_LINE[status]]
        length = None
        is_stated = self.keep_alive  # HTTP/1.1 keeps the connection unless the head says otherwise.
        for name, value in headers:
            lines += name, b": ", value, b"\r\n"
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive, is_stated = False, True
        count = len(lines) >> 2
        if self.scope["method"] == "HEAD":
            self.chunked_encoding, length = False, 0
        elif length is None and status not in _WITHOUT_BODY:
            if self.scope.get("http_version") == "1.0":  # It knows no chunks: the connection's end is the body's.
                length = _UNKNOWN
            else:
                self.chunked_encoding = True
                lines.append(b"transfer-encoding: chunked\r\n")
                count += 1
        self.expected_content_length = length or 0
        if not is_stated:
            lines.append(b"connection: close\r\n")
            count += 1
        lines.append(b"\r\n")
        head = b"".join(lines)
        # A value with a line end could begin another field, or another answer.
        if head.count(b"\n") != count + 2 or head.count(b"\r") != count + 2:
            raise RuntimeError("a header field holds a line's end")
        return head

    def _go_on(self, body: bytes, more: bool) -> None:
        """Writes a piece of the body, after the head if that is not written yet."""
        if self.scope["method"] == "HEAD":
            data = self._head
        elif self.chunked_encoding:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data = self._head + piece + (b"" if more else b"0\r\n\r\n")
        elif self.expected_content_length == _UNKNOWN:
            data = self._head + body
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("the answer's body is not as long as its Content-Length")
            data = self._head + body
        self._head = b""
        if data:
            self.transport.write(data)
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        # Otherwise scope and cycle would refer to each other, and only the garbage collector could free them.
        self.scope.pop(ANSWER, None)  # type: ignore[misc]
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class CycleProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with `Cycle` for its requests."""

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item]
            "root_path": "",
            "headers": self.headers,
            "state": self.app_state.copy(),
        }

    def on_headers_complete(self) -> None:
        """Starts the application, or queues the request until those before it are answered. Leaves WebSockets alone."""
        parser, scope = self.parser, self.scope
        scope["method"] = parser.get_method().decode("ascii")
        version = parser.get_http_version()
        if version != "1.1":
            scope["http_version"] = version
        if parser.should_upgrade() and self._should_upgrade():
            return
        url = httptools.parse_url(self.url)
        raw_path = url.path
        scope["raw_path"] = raw_path
        scope["path"] = unquote(raw_path.decode("ascii")) if b"%" in raw_path else raw_path.decode("ascii")
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = cycle = Cycle(scope, self, keep_alive=version != "1.0" and parser.should_keep_alive())
        scope[ANSWER] = cycle.answer  # type: ignore[literal-required]
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))


def has_path(target: bytes) -> bool:
    """Whether a target that does not begin with a path (`http://host/path`, `*`, `host:port`) contains one."""
    try:
        return bool(httptools.parse_url(target).path)
    except httptools.HttpParserError:
        return False


def _expect(message: Any, kind: str) -> None:
    if message["type"] != kind:
        raise RuntimeError(f"expected {kind}, got {message['type']}")

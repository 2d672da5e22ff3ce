"""One request and its answer, on uvicorn's terms: head and body leave in one write.

uvicorn writes them one by one: two system calls, two packets, and a client that wakes twice.
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


class Cycle(RequestResponseCycle):
    """What an application receives and sends of one request."""

    # How each begins; uvicorn sets these one by one, a twentieth of a board's answer.
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
        """The body, in pieces as they come; then that the client is gone."""
        if self.more_body or self.disconnected or self.response_complete or self.waiting_for_100_continue:
            return await super().receive()
        if not self.message_event.is_set():
            return await super().receive()
        # The whole body is there: nothing is waited for.
        self.message_event.clear()
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def send(self, message: Any) -> None:
        """Takes an answer's head, then its body in one piece or several. RuntimeError for what is no answer."""
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
        """Sends a whole answer at once; False where it is to be sent by `send`, which may have to wait. fields: header
        fields as they leave, each with its line's end, one of them Content-Length."""
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
        is_told = self.keep_alive  # that the connection is kept is told by saying nothing
        for name, value in headers:
            lines += name, b": ", value, b"\r\n"
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive, is_told = False, True
        count = len(lines) >> 2
        if self.scope["method"] == "HEAD":
            self.chunked_encoding, length = False, 0
        elif length is None and status not in _WITHOUT_BODY:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
            count += 1
        self.expected_content_length = length or 0
        if not is_told:
            lines.append(b"connection: close\r\n")
            count += 1
        lines.append(b"\r\n")
        head = b"".join(lines)
        # A value with a line's end would begin another field, or another answer.
        if head.count(b"\n") != count + 2 or head.count(b"\r") != count + 2:
            raise RuntimeError("a header field holds a line's end")
        return head

    def _go_on(self, body: bytes, more: bool) -> None:
        """Writes a piece of the body, behind the head where that is still to go."""
        if self.scope["method"] == "HEAD":
            data = self._head
        elif self.chunked_encoding:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data = self._head + piece + (b"" if more else b"0\r\n\r\n")
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
        # Else scope and cycle would hold each other, and each request be left to the garbage collector.
        self.scope.pop(ANSWER, None)  # type: ignore[misc]
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class CycleProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with our cycle."""

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
        """The application begins, or waits until the requests before are answered. A WebSocket's begins elsewhere."""
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
    """Whether a target that is no path by itself (`http://host/path`, `*`, `host:port`) holds one."""
    try:
        return bool(httptools.parse_url(target).path)
    except httptools.HttpParserError:
        return False


def _expect(message: Any, kind: str) -> None:
    if message["type"] != kind:
        raise RuntimeError(f"expected {kind}, got {message['type']}")

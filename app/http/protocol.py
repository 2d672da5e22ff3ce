"""uvicorn's HTTP protocol with limits.

uvicorn limits neither the size of a request's head, nor the time of a request, nor how long an answer stays unread.

A connection reads one request at a time: nothing yet, then its head, then its body. The application may answer
meanwhile. Only the client's part is timed, because the application has its own deadlines.
"""

import asyncio
import socket
from itertools import chain
from time import monotonic
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..model.errors import BadRequest, HeadersTooLarge, Problem, RateLimited, RequestTimeout, UriTooLong
from .connections import BODY_BYTES_A_S_MIN, CONNECTION, CONNECTIONS, Connections, Owner, Queue
from .cycle import CycleProtocol, has_path
from .sockets import drop, set_option, unsent_bytes
from .whole_answer import whole_answer

#: Bytes of a request's path and query: 500 users of 128 bytes each, as `?user=` names them.
URL_BYTES_MAX = 64 * 1024
#: Bytes of a request's header fields, names and values. A token has 4 KB at most; a proxy's domain may add cookies.
HEADERS_BYTES_MAX = 16 * 1024
#: Header fields of a request; browsers behind two proxies send 40.
HEADERS_MAX = 100
#: Requests that may wait on a connection while one is answered. One more closes it, and the client sends them again.
PIPELINED_MAX = 32
#: Bytes beside the body (chunk sizes, trailers) that a request may always bring, however small its chunks are.
_FRAMING_BYTES_MAX = 64 * 1024
#: Bytes of a body that are read and discarded after its answer, so that a client that sends all first gets the answer.
_DRAINED_BYTES_MAX = 128 * 1024 * 1024
#: Bytes by which an unread answer must shrink in `WRITE_S_MAX`.
_WRITE_BYTES_MIN = 10 * 1024
#: Bytes of an answer that the kernel buffers; it doubles the number. At 100 ms to the client that is 5 MB a second.
SEND_BUFFER_BYTES_MAX = 256 * 1024

# Which part of a request is read. Plain numbers: a member of an Enum costs 0.1 µs, a dozen times a request.
_NOTHING, _HEAD, _BODY = 0, 1, 2
_REFUSED = 3  # Everything that comes is discarded.


class HttpProtocol(CycleProtocol):
    """HTTP/1.1 with one write for each answer, and with limits on what a client sends, how slowly, and what it leaves
    unread.

    A WebSocket takes over the transport and counts as the same connection. `api_key_id`: of the last accepted API key.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, CONNECTION: self}, _loop)
        self.all: Connections = app_state[CONNECTIONS]
        self.api_key_id: str | None = None
        self._reading = _NOTHING
        self._queue: Queue | None = None
        self._counted = False
        self._fed_bytes = self._head_bytes = self._raw_bytes = self._body_bytes = 0
        self._unread_bytes = 0
        self._refusal: Problem | None = None
        self._body_owners: dict[Owner, int] = {}

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection came."""
        if not self.all.admit():
            transport.abort()
            return
        self._counted = True
        set_option(transport.get_extra_info("socket"), socket.SO_SNDBUF, SEND_BUFFER_BYTES_MAX)
        super().connection_made(transport)
        self._enter(self.all.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if not self._counted:
            return
        self._counted = False
        self.all.leave()
        self._enter(None)
        self.all.blocked.pop(self, None)
        super().connection_lost(exc)
        self._release()
        self.app_state = {}

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        before = self._reading
        if before == _REFUSED:
            return
        if before == _BODY:
            self._raw_bytes += len(data)
        self._fed_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return
        except httptools.HttpParserError:
            self._refuse(self._refusal or BadRequest("the request is no HTTP/1.1"))
            return
        if before != _NOTHING:
            self._check_bytes(before, len(data))
        elif self._reading == _NOTHING and self._queue is None:  # A whole request, as most come: it is answered now.
            self._fed_bytes = 0
            return
        if self._reading != _HEAD:
            self._fed_bytes = 0
        self._complete()

    def pause_writing(self) -> None:
        """The client reads its answer more slowly than it is written."""
        super().pause_writing()
        self._note_blocked()

    def resume_writing(self) -> None:
        """The client has read most of its answer."""
        super().resume_writing()
        self.all.blocked.pop(self, None)

    # What the parser calls. An exception from here ends the request.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._reading = _HEAD
        self._head_bytes = 0
        if self._queue is not None:
            self._enter(None)

    def on_url(self, url: bytes) -> None:
        """A piece of path and query."""
        if len(self.url) + len(url) > URL_BYTES_MAX:
            self._raise(UriTooLong(f"path and query take at most {URL_BYTES_MAX} bytes"))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer's."""
        if len(self.headers) >= HEADERS_MAX:
            self._raise(HeadersTooLarge(f"at most {HEADERS_MAX} header fields are taken"))
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The whole head: starts the application, or queues the request until those before it are answered."""
        # Most heads come in one small piece; then the sizes of the fields need not be added up.
        if self._fed_bytes > HEADERS_BYTES_MAX and sum(map(len, chain(*self.headers))) > HEADERS_BYTES_MAX:
            self._raise(_headers_too_large())
        if len(self.pipeline) >= PIPELINED_MAX:
            self._raise(RateLimited(f"at most {PIPELINED_MAX} requests may wait on a connection"))
        if not self.url.startswith(b"/") and not has_path(self.url):
            self._raise(BadRequest("the request's target is no path"))
        self._reading = _BODY
        self._raw_bytes = self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(body)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._reading = _NOTHING
        HttpToolsProtocol.on_message_complete(self)

    # What the application's side calls.

    def accept(self, api_key_id: str) -> None:
        """An API key was accepted: the connection is not dropped to make room, and bodies count for the key."""
        self.api_key_id = api_key_id

    def hold(self, scope: Any, size: int) -> None:
        """Counts bytes of a body until its request is answered. RateLimited, Overloaded."""
        if not self._counted:
            raise BadRequest("the connection was closed")
        owner = Owner(self.api_key_id or self.all.address_of(scope), self.api_key_id is not None)
        self.all.bodies.take(owner, size)
        self._body_owners[owner] = self._body_owners.get(owner, 0) + size

    def on_response_complete(self) -> None:
        """An answer is written: the next request has its turn."""
        self.server_state.total_requests += 1
        if self._body_owners:
            self._release()
        if self.transport.is_closing():
            self._note_blocked()
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._say_goodbye(self._refusal)
        elif self.expect_100_continue and self._reading == _BODY and not self._body_bytes:
            self._refuse(BadRequest("the body is not waited for"))  # It is unknown whether more of it comes.
        else:
            self.flow.resume_reading()
            self._complete()

    def handle_websocket_upgrade(self) -> None:
        """The head of a WebSocket is read: it takes over the transport, and counts instead of this connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._refuse(BadRequest("a WebSocket begins once all answers before are there"))
            return
        self._enter(None)
        self._counted = False
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]
        self.app_state = {}

    # What the sweep calls.

    def expire(self, queue: Queue) -> None:
        """The connection's time in a queue is over."""
        if queue is self._queue:
            self._queue = None
        if queue is self.all.blocked:
            unread = self.transport.get_write_buffer_size()
            if unread <= self._unread_bytes - _WRITE_BYTES_MIN:
                self._note_blocked()
            else:
                self.drop()
        elif queue is self.all.head and self.flow.read_paused:
            self._enter(queue)
        elif queue is self.all.head and self._reading == _HEAD:
            self._refuse(RequestTimeout(f"a request's head takes at most {self.all.limits.head_s_max:g} s"))
        elif queue is self.all.goodbye or unsent_bytes(self.transport):
            self.drop()
        else:
            self.transport.close()

    def check_body(self, now: float, since: float) -> None:
        """Refuses a body that comes too slowly."""
        limits, spent = self.all.limits, now - since
        if self.flow.read_paused:
            self.all.body[self] = now  # The server waits, not the client.
            self._raw_bytes = 0
        elif spent > limits.body_s_max:
            self._refuse(RequestTimeout(f"a body takes at most {limits.body_s_max:g} s"))
        elif max(self._raw_bytes, self._body_bytes) < BODY_BYTES_A_S_MIN * (spent - limits.body_grace_s):
            self._refuse(RequestTimeout(f"a body brings at least {BODY_BYTES_A_S_MIN} bytes a second"))

    def drop(self) -> None:
        """Ends the connection at once. What the client has not taken is discarded."""
        self._enter(None)
        drop(self.transport)

    # Between them.

    def _check_bytes(self, before: int, size: int) -> None:
        """Limits what no other check sees: a field without end, which stays in the parser, and the chunks' frames."""
        if self._reading == _HEAD and before == _HEAD:
            self._head_bytes += size
            if self._head_bytes > len(self.url) + HEADERS_BYTES_MAX:
                self._refuse(_headers_too_large())
        elif self._reading == _BODY and before == _BODY:
            framing = self._raw_bytes - self._body_bytes
            if framing > max(_FRAMING_BYTES_MAX, self._body_bytes):
                self._refuse(BadRequest("the body's chunks are smaller than their frames"))
            elif self._raw_bytes > _DRAINED_BYTES_MAX:
                self.drop()

    def _complete(self) -> None:
        """Enters the queue for what the client has to send next."""
        if self._reading == _HEAD:
            queue: Queue | None = self.all.head
        elif self._reading == _BODY:
            queue = self.all.body
        elif self._reading == _REFUSED:
            return
        elif self.cycle is not None and (self.pipeline or not self.cycle.response_complete):
            queue = None
        else:
            queue = self.all.anonymous_idle if self.api_key_id is None else self.all.idle
        if queue is not self._queue:
            self._enter(queue)

    def _enter(self, queue: Queue | None) -> None:
        if self._queue is not None:
            self._queue.pop(self, None)
        self._queue = queue
        if queue is not None:
            queue[self] = monotonic()

    def _note_blocked(self) -> None:
        """Notes that from now on the client has to take some of what is written."""
        if self._counted and (unread := self.transport.get_write_buffer_size()):
            self._unread_bytes = unread
            self.all.blocked[self] = monotonic()
            self.all.blocked.move_to_end(self)

    def _release(self) -> None:
        owners, self._body_owners = self._body_owners, {}
        for owner, size in owners.items():
            self.all.bodies.give_back(owner, size)

    def _raise(self, problem: Problem) -> None:
        self._refusal = problem
        raise problem

    def _refuse(self, problem: Problem) -> None:
        """Takes nothing more. Sends the problem once the requests before are answered, and closes."""
        self._refusal = problem
        is_cut = self._reading == _BODY
        self._reading = _REFUSED
        self._enter(None)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._say_goodbye(None if is_cut else problem)
        elif is_cut and self.pipeline:
            self.pipeline.popleft()
        elif is_cut:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.drop()
            else:
                self._say_goodbye(problem)

    def _say_goodbye(self, problem: Problem | None) -> None:
        """Sends the problem and closes. None: the request was answered before its body was complete. What the client
        still sends is discarded for a moment, because closing a socket with unread bytes would drop the problem."""
        if self.transport.is_closing():
            return
        if problem is not None:
            self.transport.write(whole_answer(problem))
        self.transport.write_eof()
        self.flow.resume_reading()
        self._enter(self.all.goodbye)


def _headers_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"a request's header fields take at most {HEADERS_BYTES_MAX} bytes")

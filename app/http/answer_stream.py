"""An answer without an end, which others write after its request's task has ended."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.server import ServerState

from ..model.errors import BadRequest
from .connections import Connections
from .protocol import HttpProtocol
from .sockets import drop, unsent_bytes, write_at_once


class AnswerStream(asyncio.Protocol):
    """The rest of a connection, from the head of its last answer on. It counts as the same connection.

    is_clear: the kernel has taken all that was written. is_chunked: pieces of the body are framed as HTTP/1.1 has it.
    on_clear: called when the kernel has taken all, after a while in which it had not; on_gone: when the connection is
    lost; on_shutdown: when the server stops.
    """

    __slots__ = (
        "_all",
        "_is_over",
        "_server_state",
        "_transport",
        "is_chunked",
        "is_clear",
        "on_clear",
        "on_gone",
        "on_shutdown",
    )

    def __init__(
        self, transport: Any, connections: Connections, server_state: ServerState, *, is_chunked: bool
    ) -> None:
        self._transport = transport
        self._all = connections
        self._server_state = server_state
        self._is_over = False
        self.is_chunked = is_chunked
        self.is_clear = True
        self.on_clear: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.on_shutdown: Callable[[], None] | None = None

    def take_over(self) -> None:
        """Takes the connection from the protocol that wrote the head."""
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        transport = self._transport
        transport.set_protocol(self)
        write_at_once(transport)
        self.is_clear = not transport.get_write_buffer_size()

    def push(self, data: bytes) -> None:
        """Writes a piece of the body, framed already where `is_chunked`. Nobody waits; see `is_clear`."""
        if not self._is_over and not self._transport.is_closing():
            self._transport.write(data)

    def end(self, last: bytes = b"") -> None:
        """Writes a last piece and closes; who does not take all of it in time is dropped."""
        if self._is_over or self._transport.is_closing():
            return
        self._transport.write(last + b"0\r\n\r\n" if self.is_chunked else last)
        self._is_over = True
        if not unsent_bytes(self._transport):
            self._transport.close()
            return
        self._transport.write_eof()  # The client's own end is what it waits for.
        asyncio.get_running_loop().call_later(self._all.limits.goodbye_s_max, self.drop)

    def drop(self) -> None:
        """Ends the connection at once. What the client has not taken is discarded."""
        self._is_over = True
        drop(self._transport)

    # What the event loop and uvicorn call.

    def data_received(self, data: bytes) -> None:
        """The client sent more than the request whose answer has no end: it is not read."""
        if not self._is_over:
            self.drop()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        self.is_clear = False

    def resume_writing(self) -> None:
        """The client read."""
        self.is_clear = True
        if self.on_clear is not None:
            self.on_clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._is_over = True
        self._server_state.connections.discard(self)
        self._all.leave()
        if self.on_gone is not None:
            self.on_gone()
        self.on_clear = self.on_gone = self.on_shutdown = None

    def shutdown(self) -> None:
        """The server stops: uvicorn calls this once a connection, and waits until all are gone."""
        if self.on_shutdown is not None:
            self.on_shutdown()
        else:
            self.end()


class StreamProtocol(HttpProtocol):
    """HTTP/1.1 with answers that have no end."""

    def check_stream(self) -> None:
        """BadRequest unless the answer that is due may be the connection's last one: its request is all that came."""
        if not self._counted or self.transport.is_closing():
            raise BadRequest("the connection was closed")
        if self._reading or self.pipeline:
            raise BadRequest("nothing may follow the head of this request: its answer has no end")

    def begin_stream(self) -> AnswerStream | None:
        """The rest of the answer whose head was sent last. None: the client is gone, or sent more meanwhile and is
        dropped."""
        try:
            self.check_stream()
        except BadRequest:
            self.transport.abort()
            return None
        cycle, transport = self.cycle, self.transport
        is_chunked = bool(cycle.chunked_encoding)
        stream = AnswerStream(transport, self.all, self.server_state, is_chunked=is_chunked)
        self._enter(None)
        self.all.blocked.pop(self, None)
        self._counted = False
        self.connections.discard(self)
        self.flow.resume_reading()
        cycle.response_complete = True
        cycle.message_event.set()
        self.parser = None  # type: ignore[assignment]
        self.app_state = {}
        stream.take_over()
        return stream

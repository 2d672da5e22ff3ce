"""uvicorn's WebSocket protocol with limits on frames, whole frames straight to the transport, and the codes of the live
protocol where it closes. Nothing else of the project knows uvicorn's WebSocket from within.

A message is made of frames, and the application does not see pings, pongs and empty fragments. So frames are counted
here. The server does not read from a client that does not read. If a client does not take the close frame, its socket
is dropped.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from ..http.connections import CONNECTION, CONNECTIONS, Connections
from ..http.sockets import drop, unsent_bytes, write_at_once
from .close_codes import CloseCode

DRAIN = "drain"  # in the lifespan's state: what uvicorn's shutdown calls instead of closing an open WebSocket

#: Frames a second that a client may send, of all kinds.
FRAMES_A_S_MAX = 50
#: Frames at once: a client that comes back sends `auth` and its 50 subscriptions.
FRAMES_BURST_MAX = 100
#: Bytes a second, and at once: as many frames as a second takes, each of the largest message.
FRAME_BYTES_A_S_MAX = FRAMES_A_S_MAX * 16 * 1024
#: Fragments of one message. It bounds a message that never ends.
FRAGMENTS_MAX = 64
#: Bytes parsed before frames are counted again: 170 empty frames, 2 ms of the event loop.
_PIECE_BYTES_MAX = 1_024
#: RFC 6455's close code for a text that is no UTF-8.
_NO_UTF8 = 1007
#: Bytes of a close frame's reason; a close frame has 125 in all.
REASON_BYTES_MAX = 120


class GuardedTransport:
    """A transport that reads only while no reason to pause is set, and that closes within a deadline."""

    def __init__(self, transport: asyncio.Transport, goodbye_s_max: float) -> None:
        self.transport = transport
        self._goodbye_s_max = goodbye_s_max
        self._paused: set[str] = set()
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def pause_reading(self, reason: str = "queue") -> None:
        """Reads nothing more until this reason is removed by `resume_reading`."""
        self._paused.add(reason)
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self, reason: str = "queue") -> None:
        """Removes a reason to pause, and reads on if there is no other."""
        self._paused.discard(reason)
        if not self._paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def is_closing(self) -> bool:
        """Whether nothing is written any more."""
        return self._closing or self.transport.is_closing()

    def write(self, data: Any) -> None:
        """Sends, unless it is closing."""
        if not self.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Sends what is buffered and closes; drops the socket of a client that does not take all of it in time."""
        if self.is_closing():
            return
        self._closing = True
        if not unsent_bytes(self.transport):
            self.transport.close()
            return
        self._end_writing()

    def end_writing(self) -> None:
        """Sends what is buffered and its end, and waits for the client's own; drops the socket if that is late."""
        if not self.is_closing():
            self._closing = True
            self._end_writing()

    def _end_writing(self) -> None:
        asyncio.get_running_loop().call_later(self._goodbye_s_max, self.drop)
        self.transport.write_eof()
        self.transport.resume_reading()  # The client's own end is what it waits for.

    def drop(self) -> None:
        """Ends the connection at once, if it is not gone already."""
        if not self.transport.is_closing():
            drop(self.transport)


class LiveProtocol(WebSocketsSansIOProtocol):
    """A WebSocket with limits, and a shutdown that the application controls.

    is_clear: the kernel has taken all that was written. on_clear: called when it has done so after a while in which it
    had not.

    uvicorn itself closes every WebSocket with 1012 before the application learns of the shutdown. Each worker shuts
    down its own connections, so this works with any number of workers.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, CONNECTION: self}, _loop)
        self._all: Connections = app_state[CONNECTIONS]
        self.close_timeout = self._all.limits.goodbye_s_max
        self.key: str | None = None
        self.is_clear = True
        self.on_clear: Callable[[], None] | None = None
        self._frames: float = FRAMES_BURST_MAX
        self._bytes: float = FRAME_BYTES_A_S_MAX
        self._counted_at = monotonic()
        self._ignores_input = False

    def accept(self, key: str) -> None:
        """A key was accepted."""
        self.key = key

    def connection_made(self, transport: Any) -> None:
        """The HTTP protocol hands over its transport; this counts as the same connection."""
        write_at_once(transport)
        super().connection_made(GuardedTransport(transport, self._all.limits.goodbye_s_max))  # type: ignore[arg-type]

    def forget_head(self) -> None:
        """Frees what only the handshake needs: a third of what an idle socket holds."""
        self.request = self.response = None  # type: ignore[assignment]
        self.scope = {**self.scope, "headers": [], "state": {}}

    def push(self, data: bytes) -> None:
        """Writes one whole frame, if the socket is not closed: past ASGI and the state machine of websockets, which
        knows no frame that could stand around it. Nobody waits; see `is_clear`."""
        if not self.close_sent:
            self.transport.write(data)

    def end(self, code: CloseCode, reason: str) -> None:
        """Closes the socket with a code, behind what is written already; who does not take that in time is dropped. The
        application receives a disconnect."""
        if self.close_sent or self.transport.is_closing():
            return
        text = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code), "reason": text})
        self._send_close(int(code), text)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.read_paused = False
        self._guarded.resume_reading("queue")
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._all.leave()
        super().connection_lost(exc)
        self.app_state = {}
        self.on_clear = None

    def data_received(self, data: bytes) -> None:
        """Bytes came: first the whole head, as the HTTP protocol read it, then frames."""
        if not self.handshake_initiated:
            super().data_received(data)
            if not self.handshake_initiated:
                self._refuse_head()
            return
        for begin in range(0, len(data), _PIECE_BYTES_MAX):
            if self._ignores_input or self.transport.is_closing():
                return
            piece = data[begin : begin + _PIECE_BYTES_MAX]
            self.conn.receive_data(piece)
            if self.conn.parser_exc is not None:
                self._ignores_input = True
                self.handle_parser_exception()
            elif not self._take(len(self.conn.events), len(piece)):
                self._fail(CloseCode.TOO_MANY, "too many messages")
            else:
                self.handle_events()

    def send_receive_event_to_app(self) -> None:
        """A whole message came. A text that is no UTF-8 ends the connection, without a traceback in the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self._send_close(_NO_UTF8)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """The client broke a rule of WebSockets, and `websockets` made the close frame. The server's side ends behind
        it, and the client has a moment to take it: a socket that is closed at once is reset where more comes."""
        close = self.conn.close_sent
        assert close is not None
        self._ignores_input = True
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._guarded.end_writing()

    def _send_close(self, code: int, reason: str = "") -> None:
        """Makes a close frame, unless there is one: frames are parsed before they are handled, and a client's own close
        frame is answered at once."""
        if self.conn.close_sent is None:
            self.conn.send_close(code, reason)

    def handle_cont(self, event: Frame) -> None:
        """A fragment."""
        super().handle_cont(event)
        if len(self.frames) > FRAGMENTS_MAX:
            self._fail(CloseCode.BAD_MESSAGE, f"a message has at most {FRAGMENTS_MAX} fragments")

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to: what it sends may wait."""
        super().pause_writing()
        self.is_clear = False
        self._guarded.pause_reading("writing")

    def resume_writing(self) -> None:
        """The client read."""
        super().resume_writing()
        self._guarded.resume_reading("writing")
        self.is_clear = True
        if self.on_clear is not None:
            self.on_clear()

    def shutdown(self) -> None:
        """Called once a connection when the server stops; it then waits `timeout_graceful_shutdown` for all to end."""
        drain = self.app_state.get(DRAIN)
        if drain is None or self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        drain()

    @property
    def _guarded(self) -> GuardedTransport:
        assert isinstance(self.transport, GuardedTransport)
        return self.transport

    def _take(self, frames: int, size: int) -> bool:
        """Takes frames and bytes off the client's allowance; False if it is used up. It refills up to a burst."""
        now = monotonic()
        spent, self._counted_at = now - self._counted_at, now
        self._frames = min(FRAMES_BURST_MAX, self._frames + spent * FRAMES_A_S_MAX) - frames
        self._bytes = min(FRAME_BYTES_A_S_MAX, self._bytes + spent * FRAME_BYTES_A_S_MAX) - size
        return self._frames >= 0 and self._bytes >= 0

    def _fail(self, code: CloseCode, reason: str) -> None:
        """Takes nothing more. The client has a moment to take the close frame; what it sends meanwhile is discarded."""
        self._ignores_input = True
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code), "reason": reason})
        if self.handshake_complete and not self.close_sent:
            self._send_close(int(code), reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(self.close_timeout, self._guarded.drop)
        self._guarded.resume_reading("queue")

    def _refuse_head(self) -> None:
        """Answers 400 for a head that websockets could not read."""
        self._ignores_input = True
        self.handshake_complete = self.close_sent = True
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

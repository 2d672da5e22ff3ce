"""One board as Server-Sent Events: an answer without an end, without a task and without a timer."""

from collections.abc import Callable
from random import random
from typing import Protocol

from msgspec import UNSET

from ..metrics import LIVE_CONNECTIONS
from ..model.errors import Problem, Unauthorized
from . import protocol
from .connection_sweep import LiveSweep
from .frames import Drain, ServerFrame, StreamError
from .hub import Hub
from .live_writer import LiveTransport, LiveWriter
from .subscriber import REVOKED, Subscriber


class LiveStream(LiveTransport, Protocol):
    """What an event stream needs of its connection. is_chunked: HTTP/1.1 frames the pieces; on_gone: called when it is
    lost; on_shutdown: when the server stops."""

    is_chunked: bool
    on_gone: Callable[[], None] | None
    on_shutdown: Callable[[], None] | None

    def end(self, last: bytes = b"") -> None:
        """Writes the last events and closes."""

    def drop(self) -> None:
        """Ends it at once."""


class EventStream(LiveWriter[LiveStream]):
    """One client and its only subscription. What the client does not take at once stays in the slot.

    release: gives back what was counted for it.
    """

    __slots__ = (
        "_hub",
        "_is_over",
        "_release",
        "_send_s_max",
        "_subscriber",
    )

    def __init__(
        self,
        stream: LiveStream,
        subscriber: Subscriber,
        *,
        hub: Hub,
        sweep: LiveSweep,
        send_s_max: float,
        release: Callable[[], None],
    ) -> None:
        super().__init__(stream, sweep)
        self._subscriber = subscriber
        self._hub = hub
        self._send_s_max = send_s_max
        self._release = release
        self._is_over = False

    def begin(self, on_shutdown: Callable[[], None]) -> None:
        """From here on frames come, the first one as soon as there is one."""
        stream, viewer = self._transport, self._subscriber.viewer
        stream.on_clear, stream.on_gone, stream.on_shutdown = self._flush, self._leave, on_shutdown
        viewer.outlet = self
        self._sweep.open.add(self)
        LIVE_CONNECTIONS.inc()
        if viewer.revoked:
            self.revoke()
        elif stream.is_clear:
            self._hub.deliver(self._subscriber)
        else:
            self._be_late()

    # What others call: the hub, the sweep, the server's end.

    def deliver(self, subscriber: Subscriber) -> None:
        """Sends what the subscription has, slot or fault, if the client takes it now; else once it does."""
        if self._transport.is_clear or subscriber.fault is not None:
            self._send_news()

    def revoke(self) -> None:
        """Ends the stream: its token is not valid any more."""
        self._fail(Unauthorized(REVOKED))

    def drain(self, retry_ms: int) -> None:
        """Asks the client to come back, after a time of its own so that not all come at once, and ends the stream."""
        retry = b"retry: %d\n" % (retry_ms * (1 + random()))
        self._end(self._message(Drain(retry_ms), retry))

    def check_time(self, now: float) -> None:
        """Drops the connection of a client that has not taken a frame in time."""
        if self._is_too_late(now, self._send_s_max):
            self._transport.drop()
            self._leave()

    # Between them.

    def _flush(self) -> None:
        """The client has taken all."""
        self._late_since = None
        self._sweep.waiting.discard(self)
        self._hub.deliver(self._subscriber)

    def _send_news(self) -> None:
        subscriber, frame = self._subscriber, self._subscriber.slot
        if subscriber.fault is not None:
            self._fail(subscriber.fault)
        elif frame is not None:
            subscriber.slot = None
            self._sweep.frames += 1
            self._push(frame.event(self._transport.is_chunked))

    def _message(self, body: ServerFrame, head: bytes = b"") -> bytes:
        return protocol.event_bytes(body, self._transport.is_chunked, head)

    def _fail(self, problem: Problem) -> None:
        field = UNSET if problem.field is None else problem.field
        self._end(self._message(StreamError(problem.code, problem.detail, field)))

    def _end(self, last: bytes) -> None:
        if not self._is_over:
            self._transport.end(last)
            self._leave()

    def _leave(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        stream, viewer = self._transport, self._subscriber.viewer
        self._late_since = stream.on_clear = stream.on_gone = stream.on_shutdown = viewer.outlet = None
        self._sweep.waiting.discard(self)
        self._sweep.open.discard(self)
        self._hub.unsubscribe(self._subscriber)
        LIVE_CONNECTIONS.dec()
        self._release()

"""One WebSocket and its subscriptions. Its task receives; what is sent is written where it is made."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from ..http.connections import CONNECTIONS_MAX, Owner
from ..model.errors import Invalid, Problem, RateLimited, Unauthorized, Unavailable
from ..model.text import check_label
from . import protocol
from .client_quota import ClientQuota
from .close_codes import CloseCode
from .connection_sweep import SILENCE_S, LiveSweep
from .frames import Drain, Pong, Ready, ServerFrame
from .hub import Hub
from .live_writer import LiveTransport, LiveWriter
from .protocol import Auth, Message, Ping, RefusedMessage, Resume, Subscribe, Unsubscribe
from .subscriber import REVOKED, Subscriber, Viewer
from .views import check_view

#: Seconds until a client's first message.
FIRST_MESSAGE_S_MAX = 5.0
#: Seconds until a client is authenticated or watches something.
BEGIN_S_MAX = 10.0
#: Seconds in which a client must take one frame. A client that takes longer is too slow.
SEND_S_MAX = 10.0
#: Subscriptions of a connection.
SUBSCRIPTIONS_MAX = 50
#: Replies that may wait for a client: as many as the messages that it may send at once.
REPLIES_MAX = 100
#: Bytes of a client's message: 50 users of 128 bytes each, escaped, and a token of 4 KB.
MESSAGE_BYTES_MAX = 16 * 1024
#: WebSockets of a key.
KEY_SOCKETS_MAX = 10_000
#: WebSockets of a user of client tokens, within those of the key: some pages on some devices.
USER_SOCKETS_MAX = 20
#: WebSockets of an address without a key: a school behind one address.
ADDRESS_SOCKETS_MAX = 2_000
#: WebSockets without a key, of all addresses together: half of all connections, so that others find room.
ANONYMOUS_SOCKETS_MAX = CONNECTIONS_MAX // 2


@dataclass(frozen=True, kw_only=True)
class LiveLimits:
    """The limits that settings and tests change."""

    first_message_s_max: float = FIRST_MESSAGE_S_MAX
    begin_s_max: float = BEGIN_S_MAX
    send_s_max: float = SEND_S_MAX
    silence_s: float = SILENCE_S
    key_sockets_max: int = KEY_SOCKETS_MAX
    user_sockets_max: int = USER_SOCKETS_MAX
    address_sockets_max: int = ADDRESS_SOCKETS_MAX
    anonymous_sockets_max: int = ANONYMOUS_SOCKETS_MAX


class CloseConnection(Exception):
    """Closes the connection with a code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveSocket(LiveTransport, Protocol):
    """What a connection needs of its WebSocket."""

    def end(self, code: CloseCode, reason: str) -> None:
        """Closes it; `receive` then tells of the disconnect. Nothing happens where it is closed."""

    async def receive(self) -> Any:
        """The client's next message, as ASGI has it."""


class LiveConnection(LiveWriter[LiveSocket]):
    """One client. packed: it speaks MessagePack.

    What the client does not take at once stays in the slots of its subscriptions, which take turns: `_ready` has them
    in the order in which they will be sent. While the client takes all, `_ready` and `_replies` are empty."""

    __slots__ = (
        "_begin_by",
        "_counted_as",
        "_has_begun",
        "_hub",
        "_is_over",
        "_limits",
        "_packed",
        "_quota",
        "_ready",
        "_replies",
        "_subscribers",
        "_viewer",
    )

    def __init__(
        self,
        socket: LiveSocket,
        packed: bool,
        hub: Hub,
        viewer: Viewer,
        limits: LiveLimits,
        quota: ClientQuota,
        sweep: LiveSweep,
    ) -> None:
        super().__init__(socket, sweep)
        self._packed = packed
        self._hub = hub
        self._viewer = viewer
        self._limits = limits
        self._quota = quota
        self._subscribers: dict[int, Subscriber] = {}
        self._ready: dict[Subscriber, None] = {}
        self._replies: list[bytes] = []
        self._has_begun = self._is_over = False
        self._begin_by: tuple[float, str] | None = None
        self._counted_as: Owner | None = None

    async def serve(self) -> None:
        """Receives until the connection ends."""
        self._hub.viewers.add(self._viewer)
        self._viewer.outlet, self._transport.on_clear = self, self._flush
        try:
            self._count()
            await self._receive()
        except CloseConnection as closed:
            self._transport.end(closed.code, closed.reason)
        finally:
            self._leave()

    # What others call: the hub, the sweep, the server's end.

    def deliver(self, subscriber: Subscriber) -> None:
        """Sends what a subscription has, slot or fault, if the client takes it now; else when its turn comes."""
        if self._transport.is_clear:
            self._send_news(subscriber)
        else:
            self._ready[subscriber] = None

    def revoke(self) -> None:
        """Ends the connection: its token is not valid any more."""
        self._end(CloseCode.REVOKED, REVOKED)

    def drain(self, retry_ms: int) -> None:
        """Asks the client to come back, and ends the connection."""
        self._push(self._message(Drain(retry_ms)))
        self._end(CloseCode.DRAIN, "drain")

    def check_time(self, now: float) -> None:
        """Ends the connection if it has not begun in time, or its client has not taken a frame in time."""
        if self._begin_by is not None and now >= self._begin_by[0]:
            self._end(CloseCode.NO_AUTH, self._begin_by[1])
        elif self._is_too_late(now, self._limits.send_s_max):
            self._end(CloseCode.TOO_SLOW, "too slow")

    # Sending.

    def _flush(self) -> None:
        """The client has taken all: sends what waited, until the client is late again."""
        self._late_since = None
        if self._has_begun:
            self._sweep.waiting.discard(self)
        while self._transport.is_clear and self._replies:
            self._push(self._replies.pop(0))
        while self._transport.is_clear and self._ready:
            subscriber = next(iter(self._ready))
            del self._ready[subscriber]
            self._hub.deliver(subscriber)

    def _send_news(self, subscriber: Subscriber) -> None:
        frame = subscriber.slot
        if frame is not None:
            subscriber.slot = None
            self._sweep.frames += 1
            self._push(frame.wire(subscriber.number, self._packed))
        elif subscriber.fault is not None and self._subscribers.get(subscriber.number) is subscriber:
            del self._subscribers[subscriber.number]
            self._push(self._message(protocol.error(subscriber.number, subscriber.fault)))

    def _reply(self, body: ServerFrame) -> None:
        if self._transport.is_clear:
            self._push(self._message(body))
        elif len(self._replies) < REPLIES_MAX:
            self._replies.append(self._message(body))
        else:
            raise CloseConnection(CloseCode.TOO_SLOW, "replies are not read")

    def _message(self, body: ServerFrame) -> bytes:
        return protocol.message_bytes(body, self._packed)

    # The end.

    def _end(self, code: CloseCode, reason: str) -> None:
        """Closes the socket and leaves, whatever the task is doing: it ends when it looks."""
        self._transport.end(code, reason)
        self._leave()

    def _leave(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._begin_by = self._late_since = self._transport.on_clear = self._viewer.outlet = None
        self._sweep.waiting.discard(self)
        self._ready.clear()
        for subscriber in self._subscribers.values():
            self._hub.unsubscribe(subscriber)
        self._hub.viewers.discard(self._viewer)
        if self._counted_as is not None:
            self._quota.give_back(self._counted_as)

    def _count(self) -> None:
        """Counts the WebSocket for its owner: at first for an address, then for a key."""
        owner, before = self._viewer.owner, self._counted_as
        try:
            self._quota.take(owner)
        except RateLimited as problem:
            raise CloseConnection(CloseCode.OVER_LIMIT, problem.detail) from None
        self._counted_as = owner
        if before is not None:
            self._quota.give_back(before)

    # Receiving.

    async def _receive(self) -> None:
        """Takes messages until the connection is over. A client has a time to begin only while the server waits for
        it; where the server could not do what it was asked, the time begins anew."""
        clock = asyncio.get_running_loop().time
        limits, since, has_message = self._limits, clock(), False
        self._sweep.waiting.add(self)
        while not self._is_over:
            if not self._has_begun:
                waits = limits.begin_s_max if has_message else limits.first_message_s_max
                late = "nothing was watched" if has_message else "nothing came"
                self._begin_by = since + waits, f"{late} within {waits:g} s"
            message = await self._transport.receive()
            self._begin_by = None
            if message["type"] == "websocket.disconnect" or self._is_over:
                return
            if not await self._handle(self._decode(message)):
                since = clock()
            has_message = True

    def _begin(self) -> None:
        self._has_begun = True
        if self._late_since is None:
            self._sweep.waiting.discard(self)

    def _decode(self, message: Any) -> Message | RefusedMessage:
        data = message.get("bytes") if message.get("bytes") is not None else message.get("text")
        encoded = data.encode() if isinstance(data, str) else data
        if data is None or len(encoded) > MESSAGE_BYTES_MAX:
            raise CloseConnection(CloseCode.BAD_MESSAGE, "message too large")
        try:
            return protocol.decode(data)
        except Problem as problem:
            raise CloseConnection(CloseCode.BAD_MESSAGE, problem.detail) from None

    async def _handle(self, message: Message | RefusedMessage) -> bool:
        """Handles a message. False if the server could not do it; then the client's time begins anew."""
        match message:
            case Auth():
                return await self._auth(message.token)
            case Subscribe():
                return await self._subscribe(message)
            case RefusedMessage():
                self._reply(protocol.error(message.id, message.problem))
            case Unsubscribe():
                subscriber = self._subscribers.pop(message.id, None)
                if subscriber is not None:
                    self._hub.unsubscribe(subscriber)
            case Ping():
                self._reply(Pong())
        return True

    async def _auth(self, token: str) -> bool:
        """Accepts one token. While a store is away a client may send it again."""
        if self._viewer.is_known:
            raise CloseConnection(CloseCode.BAD_MESSAGE, "a token was accepted already")
        try:
            await self._viewer.enter(token)
        except Unauthorized as problem:
            raise CloseConnection(CloseCode.UNAUTHORIZED, problem.detail) from None
        except Problem as problem:
            self._reply(protocol.error(None, problem))
            return False
        if self._is_over:
            return True
        self._count()
        self._begin()
        self._reply(Ready())
        return True

    async def _subscribe(self, message: Subscribe) -> bool:
        if len(self._subscribers) >= SUBSCRIPTIONS_MAX:
            raise CloseConnection(CloseCode.OVER_LIMIT, f"at most {SUBSCRIPTIONS_MAX} subscriptions")
        resume = Resume(message.epoch, message.version, message.resume_window)
        subscriber = Subscriber(message.id, self._viewer, message.window, resume)
        try:
            if message.id in self._subscribers:
                raise Invalid("the id is in use", field="$.id")
            if message.category is not None:
                check_label(message.category, "$.category")
            view = check_view(message.view)
            await self._hub.subscribe(subscriber, message.namespace, message.window, view, category=message.category)
        except Problem as problem:
            self._reply(protocol.error(message.id, problem))
            return not isinstance(problem, Unavailable)
        if self._is_over:
            self._hub.unsubscribe(subscriber)
            return True
        self._subscribers[message.id] = subscriber
        self._begin()
        return True

"""`/v1/live`: one WebSocket, its subscriptions, and a sender that makes nobody else wait."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..access.client import address_of
from ..access.keys import Keyring
from ..drivers.caller import CALLER, stranger
from ..http.bodies import encode_json, encode_msgpack
from ..http.connections import CONNECTIONS_MAX, Owner
from ..metrics import LIVE_CONNECTIONS, LIVE_FRAMES
from ..model.errors import Invalid, Problem, RateLimited, Unauthorized, Unavailable
from ..task_end import complete, end_all
from . import protocol
from .client_quota import ClientQuota
from .hub import Hub
from .protocol import Auth, CloseCode, Frame, Message, Ping, RefusedMessage, Resume, Subscribe, Unsubscribe
from .subscriber import Subscriber, Viewer
from .views import check_view

#: Seconds until a client's first message.
FIRST_MESSAGE_S_MAX = 5.0
#: Seconds until a client is authenticated or watches something.
BEGIN_S_MAX = 10.0
#: Seconds of silence before a `ping` is sent. Proxies drop connections that are silent for 30 s or 60 s.
SILENCE_S = 25.0
#: Seconds in which a client must take one frame. A client that takes longer is too slow.
SEND_S_MAX = 10.0
#: Seconds to send the close frame. After them the connection is dropped without it.
GOODBYE_S_MAX = 1.0
#: Subscriptions of a connection.
SUBSCRIPTIONS_MAX = 50
#: Replies that may wait for a client: as many as the messages that it may send at once.
REPLIES_MAX = 100
#: Bytes of a client's message: 50 users of 128 bytes each, escaped, and a token of 4 KB.
MESSAGE_BYTES_MAX = 16 * 1024
#: Bytes of a close frame's reason; a close frame has 125 in all.
REASON_BYTES_MAX = 120
#: WebSockets of a key.
KEY_SOCKETS_MAX = 10_000
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
    key_sockets_max: int = KEY_SOCKETS_MAX
    address_sockets_max: int = ADDRESS_SOCKETS_MAX
    anonymous_sockets_max: int = ANONYMOUS_SOCKETS_MAX


class CloseConnection(Exception):
    """Closes the connection with a code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveServer:
    """Every live connection of a process."""

    def __init__(self, hub: Hub, keyring: Keyring, limits: LiveLimits, drain_ms: int = 1_000) -> None:
        self._hub = hub
        self._keyring = keyring
        self._limits = limits
        self._drain_ms = drain_ms
        self._quota = ClientQuota(
            "sockets",
            key_max=limits.key_sockets_max,
            address_max=limits.address_sockets_max,
            anonymous_max=limits.anonymous_sockets_max,
        )
        self._open: set[LiveConnection] = set()
        self._draining = False

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serves one connection until it ends."""
        CALLER.set(stranger(address_of(websocket.scope)))
        offered = websocket.scope.get("subprotocols", [])
        chosen = next((name for name in offered if name in (protocol.JSON, protocol.MSGPACK)), None)
        await websocket.accept(subprotocol=chosen)
        viewer = Viewer(self._keyring, address_of(websocket.scope))
        connection = LiveConnection(websocket, chosen == protocol.MSGPACK, self._hub, viewer, self._limits, self._quota)
        self._open.add(connection)
        if self._draining:
            connection.drain(self._drain_ms)
        LIVE_CONNECTIONS.inc()
        try:
            await connection.serve()
        finally:
            LIVE_CONNECTIONS.dec()
            self._open.discard(connection)

    def drain(self) -> None:
        """Makes every connection send `drain` to its client and close. Does not wait. O(1) when called again."""
        if not self._draining:
            self._draining = True
            for connection in self._open:
                connection.drain(self._drain_ms)


class LiveConnection:
    """One client."""

    def __init__(
        self, websocket: WebSocket, packed: bool, hub: Hub, viewer: Viewer, limits: LiveLimits, quota: ClientQuota
    ) -> None:
        self._websocket = websocket
        self._packed = packed
        self._hub = hub
        self._viewer = viewer
        self._limits = limits
        self._quota = quota
        self._wake = viewer.wake
        self._subscribers: dict[int, Subscriber] = {}
        self._replies: list[dict[str, Any]] = []
        self._goodbye: dict[str, Any] | None = None
        self._has_begun = False
        self._counted_as: Owner | None = None

    async def serve(self) -> None:
        """Receives and sends until one of the two ends."""
        self._hub.viewers.add(self._viewer)
        tasks: list[asyncio.Task[None]] = []
        try:
            self._count()
            tasks += [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except CloseConnection as closed:
            await self._close(closed.code, closed.reason)
        except TimeoutError:
            await self._close(CloseCode.TOO_SLOW, "too slow")
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            try:
                await complete(end_all(tasks))
            finally:
                self._leave()

    def drain(self, retry_ms: int) -> None:
        """Makes the sender send `drain` and close."""
        self._goodbye = {"type": "drain", "retry_ms": retry_ms}
        self._wake.set()

    def _leave(self) -> None:
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

    async def _close(self, code: CloseCode, reason: str) -> None:
        text = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        try:
            await asyncio.wait_for(self._websocket.close(code, text), GOODBYE_S_MAX)
        except (RuntimeError, TimeoutError, WebSocketDisconnect):
            pass

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        limits, since, has_message = self._limits, loop.time(), False
        while True:
            waits = limits.begin_s_max if has_message else limits.first_message_s_max
            left = None if self._has_begun else max(0.0, since + waits - loop.time())
            try:
                message = await asyncio.wait_for(self._websocket.receive(), left)
            except TimeoutError:
                late = "nothing was watched" if has_message else "nothing came"
                raise CloseConnection(CloseCode.NO_AUTH, f"{late} within {waits:g} s") from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if not await self._handle(self._decode(message)):
                since = loop.time()
            has_message = True

    def _decode(self, message: Any) -> Message | RefusedMessage:
        data = message.get("bytes") if message.get("bytes") is not None else message.get("text")
        if data is None or len(data) > MESSAGE_BYTES_MAX:
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
                self._reply({"type": "pong"})
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
        self._count()
        self._has_begun = True
        self._reply({"type": "ready"})
        return True

    async def _subscribe(self, message: Subscribe) -> bool:
        if len(self._subscribers) >= SUBSCRIPTIONS_MAX:
            raise CloseConnection(CloseCode.OVER_LIMIT, f"at most {SUBSCRIPTIONS_MAX} subscriptions")
        resume = Resume(message.epoch, message.version, message.resume_window)
        subscriber = Subscriber(message.id, self._viewer, message.window, resume)
        try:
            if message.id in self._subscribers:
                raise Invalid("the id is in use", field="$.id")
            view = check_view(message.view)
            await self._hub.subscribe(subscriber, message.namespace, message.window, view)
        except Problem as problem:
            self._reply(protocol.error(message.id, problem))
            return not isinstance(problem, Unavailable)
        self._subscribers[message.id] = subscriber
        self._has_begun = True
        return True

    def _reply(self, body: dict[str, Any]) -> None:
        if len(self._replies) >= REPLIES_MAX:
            raise CloseConnection(CloseCode.TOO_SLOW, "replies are not read")
        self._replies.append(body)
        self._wake.set()

    async def _send(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), SILENCE_S)
            except TimeoutError:
                self._replies.append({"type": "ping"})
            self._wake.clear()
            await self._send_replies()
            if self._goodbye is not None:
                await self._within(self._write(self._goodbye))
                raise CloseConnection(CloseCode.DRAIN, "drain")
            if self._viewer.revoked:
                raise CloseConnection(CloseCode.REVOKED, "the key was revoked")
            for subscriber in list(self._subscribers.values()):
                await self._send_news(subscriber)

    async def _send_replies(self) -> None:
        replies, self._replies = self._replies, []
        for body in replies:
            await self._within(self._write(body))

    async def _send_news(self, subscriber: Subscriber) -> None:
        if self._subscribers.get(subscriber.number) is not subscriber:
            return  # Unsubscribed while another's frame was on its way.
        if subscriber.fault is not None:
            del self._subscribers[subscriber.number]
            await self._within(self._write(protocol.error(subscriber.number, subscriber.fault)))
            return
        frame, subscriber.slot = subscriber.slot, None
        if frame is not None:
            LIVE_FRAMES.inc()
            await self._within(self._write_frame(frame, subscriber.number))

    async def _within(self, sending: Coroutine[Any, Any, None]) -> None:
        """Sends. TimeoutError if the client does not read in time."""
        await asyncio.wait_for(sending, self._limits.send_s_max)

    async def _write(self, body: dict[str, Any]) -> None:
        if self._packed:
            await self._websocket.send_bytes(encode_msgpack(body))
        else:
            await self._websocket.send_text(encode_json(body).decode())

    async def _write_frame(self, frame: Frame, number: int) -> None:
        if self._packed:
            await self._websocket.send_bytes(frame.msgpack(number))
        else:
            await self._websocket.send_text(frame.json(number))

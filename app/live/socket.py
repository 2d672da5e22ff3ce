"""`/v1/live`: one WebSocket, its subscriptions, and a sender that never makes anybody else wait."""

import asyncio
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..access.keys import Keyring
from ..metrics import LIVE_CONNECTIONS, LIVE_FRAMES
from ..model.errors import Invalid, Problem, Unauthorized
from ..wire import encode_json, encode_msgpack
from . import protocol
from .hub import Hub
from .protocol import Auth, Close, Frame, Message, Ping, Refused, Subscribe, Unsubscribe
from .subscriber import Subscriber, Viewer
from .views import check_view

AUTH_S = 5.0
SILENCE_S = 25.0
SEND_S = 10.0
SUBSCRIPTIONS_MAX = 50
MESSAGES_A_SECOND_MAX = 50
MESSAGE_BYTES_MAX = 16 * 1024
REASON_BYTES_MAX = 120


class Closed(Exception):
    """The connection is to be closed with a code."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveServer:
    """Every live connection of a process."""

    def __init__(self, hub: Hub, keyring: Keyring, drain_ms: int = 1_000) -> None:
        self._hub = hub
        self._keyring = keyring
        self._drain_ms = drain_ms
        self._open: set[Connection] = set()
        self._draining = False

    async def endpoint(self, socket: WebSocket) -> None:
        """Serves one connection until it ends."""
        offered = socket.scope.get("subprotocols", [])
        chosen = next((name for name in offered if name in (protocol.JSON, protocol.MSGPACK)), None)
        await socket.accept(subprotocol=chosen)
        connection = Connection(socket, chosen == protocol.MSGPACK, self._hub, Viewer(self._keyring))
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
        """Has every connection tell its client to come back, and close. Waits for none; O(1) when called again."""
        if not self._draining:
            self._draining = True
            for connection in self._open:
                connection.drain(self._drain_ms)


class Connection:
    """One client."""

    def __init__(self, socket: WebSocket, packed: bool, hub: Hub, viewer: Viewer) -> None:
        self._socket = socket
        self._packed = packed
        self._hub = hub
        self._viewer = viewer
        self._wake = viewer.wake
        self._subscribers: dict[int, Subscriber] = {}
        self._replies: list[dict[str, Any]] = []
        self._goodbye: dict[str, Any] | None = None

    async def serve(self) -> None:
        """Reads and sends until one of the two ends."""
        self._hub.viewers.add(self._viewer)
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        except TimeoutError:
            await self._close(Close.TOO_SLOW, "too slow")
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for subscriber in self._subscribers.values():
                self._hub.unsubscribe(subscriber)
            self._hub.viewers.discard(self._viewer)

    def drain(self, retry_ms: int) -> None:
        """Has the sender say goodbye and close."""
        self._goodbye = {"type": "drain", "retry_ms": retry_ms}
        self._wake.set()

    async def _close(self, code: Close, reason: str) -> None:
        text = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        try:
            await asyncio.wait_for(self._socket.close(code, text), 1)
        except (RuntimeError, TimeoutError, WebSocketDisconnect):
            pass

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        begun, count, heard = loop.time(), 0, False
        while True:
            limit = None if heard else max(0.0, begun + AUTH_S - loop.time())
            try:
                message = await asyncio.wait_for(self._socket.receive(), limit)
            except TimeoutError:
                raise Closed(Close.NO_AUTH, "nothing came within 5 s") from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if loop.time() - begun > 1:
                begun, count = loop.time(), 0
            count += 1
            if count > MESSAGES_A_SECOND_MAX:
                raise Closed(Close.TOO_MANY, "too many messages")
            await self._handle(self._decode(message))
            heard = True

    def _decode(self, message: Any) -> Message | Refused:
        data = message.get("bytes") if message.get("bytes") is not None else message.get("text")
        if data is None or len(data) > MESSAGE_BYTES_MAX:
            raise Closed(Close.BAD_MESSAGE, "message too large")
        try:
            return protocol.decode(data)
        except Problem as problem:
            raise Closed(Close.BAD_MESSAGE, problem.detail) from None

    async def _handle(self, message: Message | Refused) -> None:
        match message:
            case Auth():
                await self._auth(message.token)
            case Subscribe():
                await self._subscribe(message)
            case Refused():
                self._reply(protocol.error(message.id, message.problem))
            case Unsubscribe():
                subscriber = self._subscribers.pop(message.id, None)
                if subscriber is not None:
                    self._hub.unsubscribe(subscriber)
            case Ping():
                self._reply({"type": "pong"})

    async def _auth(self, token: str) -> None:
        """Taken until a token was accepted: what a store that is away did not answer may be asked again."""
        if self._viewer.is_known:
            raise Closed(Close.BAD_MESSAGE, "a token was accepted already")
        try:
            await self._viewer.enter(token)
        except Unauthorized as problem:
            raise Closed(Close.UNAUTHORIZED, problem.detail) from None
        except Problem as problem:
            self._reply(protocol.error(None, problem))
        else:
            self._reply({"type": "ready"})

    async def _subscribe(self, message: Subscribe) -> None:
        if len(self._subscribers) >= SUBSCRIPTIONS_MAX:
            raise Closed(Close.OVER_LIMIT, f"at most {SUBSCRIPTIONS_MAX} subscriptions")
        subscriber = Subscriber(message.id, self._viewer, (message.epoch, message.version))
        try:
            if message.id in self._subscribers:
                raise Invalid("the id is in use", field="$.id")
            view = check_view(message.view)
            await self._hub.subscribe(subscriber, message.namespace, message.window, view)
        except Problem as problem:
            self._reply(protocol.error(message.id, problem))
        else:
            self._subscribers[message.id] = subscriber

    def _reply(self, body: dict[str, Any]) -> None:
        if len(self._replies) >= 100:
            raise Closed(Close.TOO_SLOW, "replies are not read")
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
                await asyncio.wait_for(self._write(self._goodbye), SEND_S)
                raise Closed(Close.DRAIN, "drain")
            if self._viewer.revoked:
                raise Closed(Close.REVOKED, "the key was revoked")
            for subscriber in list(self._subscribers.values()):
                await self._send_news(subscriber)

    async def _send_replies(self) -> None:
        replies, self._replies = self._replies, []
        for body in replies:
            await asyncio.wait_for(self._write(body), SEND_S)

    async def _send_news(self, subscriber: Subscriber) -> None:
        if self._subscribers.get(subscriber.number) is not subscriber:
            return  # Unsubscribed while another's frame was on its way.
        if subscriber.fault is not None:
            del self._subscribers[subscriber.number]
            await asyncio.wait_for(self._write(protocol.error(subscriber.number, subscriber.fault)), SEND_S)
            return
        frame, subscriber.slot = subscriber.slot, None
        if frame is not None:
            LIVE_FRAMES.inc()
            await asyncio.wait_for(self._write_frame(frame, subscriber.number), SEND_S)

    async def _write(self, body: dict[str, Any]) -> None:
        if self._packed:
            await self._socket.send_bytes(encode_msgpack(body))
        else:
            await self._socket.send_text(encode_json(body).decode())

    async def _write_frame(self, frame: Frame, number: int) -> None:
        if self._packed:
            await self._socket.send_bytes(frame.msgpack(number))
        else:
            await self._socket.send_text(frame.json(number))

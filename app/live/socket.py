"""`/v1/live`: one WebSocket, its subscriptions, and a sender that never makes anybody else wait."""

import asyncio
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..access.guard import check_reader
from ..access.keys import ANONYMOUS, Keyring, Principal
from ..metrics import LIVE_CONNECTIONS, LIVE_FRAMES
from ..model.errors import BoardNotFound, Invalid, Problem
from ..store.directory import Directory
from ..wire import encode_json, encode_msgpack
from . import protocol
from .hub import Hub, Subscriber
from .protocol import Auth, Close, Frame, Message, Ping, Subscribe, Unsubscribe

AUTH_S = 5.0
SILENCE_S = 25.0
SEND_S = 10.0
SUBSCRIPTIONS_MAX = 50
MESSAGES_A_SECOND_MAX = 50
MESSAGE_BYTES_MAX = 16 * 1024


class Closed(Exception):
    """The connection is to be closed with a code."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveServer:
    """Every live connection of a process."""

    def __init__(self, hub: Hub, directory: Directory, keyring: Keyring, drain_ms: int = 1_000) -> None:
        self._hub = hub
        self._directory = directory
        self._keyring = keyring
        self._drain_ms = drain_ms
        self._open: set[Connection] = set()

    async def endpoint(self, socket: WebSocket) -> None:
        """Serves one connection until it ends."""
        offered = socket.scope.get("subprotocols", [])
        chosen = next((name for name in offered if name in (protocol.JSON, protocol.MSGPACK)), None)
        await socket.accept(subprotocol=chosen)
        connection = Connection(socket, chosen == protocol.MSGPACK, self._hub, self._directory, self._keyring)
        self._open.add(connection)
        LIVE_CONNECTIONS.inc()
        try:
            await connection.serve()
        finally:
            LIVE_CONNECTIONS.dec()
            self._open.discard(connection)

    async def drain(self) -> None:
        """Tells every client to come back, and closes."""
        await asyncio.gather(*(held.drain(self._drain_ms) for held in list(self._open)), return_exceptions=True)


class Connection:
    """One client."""

    def __init__(self, socket: WebSocket, packed: bool, hub: Hub, directory: Directory, keyring: Keyring) -> None:
        self._socket = socket
        self._packed = packed
        self._hub = hub
        self._directory = directory
        self._keyring = keyring
        self._principal: Principal = ANONYMOUS
        self._subscribers: dict[int, Subscriber] = {}
        self._wake = asyncio.Event()
        self._replies: list[dict[str, Any]] = []

    async def serve(self) -> None:
        """Reads and sends until one of the two ends."""
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

    async def drain(self, retry_ms: int) -> None:
        """Says goodbye."""
        await asyncio.wait_for(self._write({"type": "drain", "retry_ms": retry_ms}), 1)
        await self._close(Close.DRAIN, "drain")

    async def _close(self, code: Close, reason: str) -> None:
        try:
            await asyncio.wait_for(self._socket.close(code, reason), 1)
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
            await self._handle(self._decode(message), heard)
            heard = True

    def _decode(self, message: Any) -> Message:
        data = message.get("bytes") if message.get("bytes") is not None else message.get("text")
        if data is None or len(data) > MESSAGE_BYTES_MAX:
            raise Closed(Close.BAD_MESSAGE, "message too large")
        try:
            return protocol.decode_msgpack(data) if isinstance(data, bytes) else protocol.decode_json(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Closed(Close.BAD_MESSAGE, str(error)[:120]) from None

    async def _handle(self, message: Message, heard: bool) -> None:
        match message:
            case Auth():
                if heard:
                    raise Closed(Close.BAD_MESSAGE, "auth comes first")
                await self._auth(message.token)
            case Subscribe():
                await self._subscribe(message)
            case Unsubscribe():
                subscriber = self._subscribers.pop(message.id, None)
                if subscriber is not None:
                    self._hub.unsubscribe(subscriber)
            case Ping():
                self._reply({"type": "pong"})

    async def _auth(self, token: str) -> None:
        try:
            self._principal = await self._keyring.principal(token)
        except Problem as problem:
            if problem.status != 401:
                self._reply({"type": "error", "id": None, "code": problem.code})
                return
            raise Closed(Close.UNAUTHORIZED, problem.detail[:120]) from None
        self._reply({"type": "ready"})

    async def _subscribe(self, message: Subscribe) -> None:
        if message.id in self._subscribers:
            self._reply({"type": "error", "id": message.id, "code": "invalid", "detail": "the id is in use"})
            return
        if len(self._subscribers) >= SUBSCRIPTIONS_MAX:
            raise Closed(Close.OVER_LIMIT, f"at most {SUBSCRIPTIONS_MAX} subscriptions")
        subscriber = Subscriber(message.id, self._wake)
        try:
            if message.view.kind != "top":
                raise Invalid("only the view top is built", field="$.view.kind")
            namespace = await self._directory.namespace(message.namespace)
            check_reader(self._principal, namespace)
            if namespace.calendar.find(message.window, 0) is None:
                raise BoardNotFound(f"{namespace.name!r} keeps no board {message.window!r}")
            state = await self._hub.subscribe(subscriber, namespace, message.window, message.view.limit)
        except Problem as problem:
            self._reply({"type": "error", "id": message.id, "code": problem.code, "detail": problem.detail})
            return
        self._subscribers[message.id] = subscriber
        if (message.epoch, message.version) == (state.epoch, state.version):
            self._reply({"type": "uptodate", "id": message.id, "version": state.version})
        elif subscriber.slot is None:
            subscriber.slot = Frame(protocol.snapshot(state))
            self._wake.set()

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
            replies, self._replies = self._replies, []
            for body in replies:
                await asyncio.wait_for(self._write(body), SEND_S)
            for subscriber in list(self._subscribers.values()):
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

"""`/v1/live`: takes WebSockets, and asks all of them to come back before the process ends."""

from starlette.types import Receive, Scope, Send

from ..access.client import address_of
from ..access.cors import Cors
from ..access.keys import Keyring
from ..drivers.caller import CALLER, stranger
from ..http.bodies import problem_response
from ..http.connections import CONNECTION
from ..metrics import LIVE_CONNECTIONS
from ..model.errors import Problem
from . import protocol
from .client_quota import ClientQuota
from .connection_sweep import LiveSweep
from .event_stream import EventStream
from .hub import Hub
from .subscriber import Viewer
from .websocket import LiveConnection, LiveLimits
from .websocket_protocol import LiveProtocol


class LiveServer:
    """Every live connection of a process; an ASGI application for WebSockets. quota: of both kinds together."""

    def __init__(self, hub: Hub, keyring: Keyring, limits: LiveLimits, cors: Cors, drain_ms: int = 1_000) -> None:
        self._hub = hub
        self._cors = cors
        self._keyring = keyring
        self.limits = limits
        self._drain_ms = drain_ms
        self.quota = ClientQuota(
            "sockets",
            key_max=limits.key_sockets_max,
            user_max=limits.user_sockets_max,
            address_max=limits.address_sockets_max,
            anonymous_max=limits.anonymous_sockets_max,
        )
        self._draining = False
        self.sweep = LiveSweep(hub.viewers, limits.silence_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection until it ends."""
        address = address_of(scope)
        CALLER.set(stranger(address))
        chosen = next((name for name in scope["subprotocols"] if name in (protocol.JSON, protocol.MSGPACK)), None)
        await receive()
        try:
            self._cors.check_socket(scope)
        except Problem as problem:
            await problem_response(scope, problem)(scope, receive, send)
            return
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        socket: LiveProtocol = scope["state"][CONNECTION]
        socket.forget_head()
        viewer = Viewer(self._keyring, address)
        is_packed = chosen == protocol.MSGPACK
        connection = LiveConnection(socket, is_packed, self._hub, viewer, self.limits, self.quota, self.sweep)
        self.sweep.open.add(connection)
        if self._draining:
            connection.drain(self._drain_ms)
        LIVE_CONNECTIONS.inc()
        try:
            await connection.serve()
        finally:
            LIVE_CONNECTIONS.dec()
            self.sweep.open.discard(connection)

    def stream(self, stream: EventStream) -> None:
        """Begins an event stream, whose request's task is at its end."""
        stream.begin(self.drain)
        if self._draining:
            stream.drain(self._drain_ms)

    def drain(self) -> None:
        """Makes every connection send `drain` to its client and close. Does not wait. O(1) when called again."""
        if not self._draining:
            self._draining = True
            for connection in list(self.sweep.open):
                connection.drain(self._drain_ms)

"""uvicorn's WebSocket protocol, which says goodbye in the words of the live protocol when its server is to end."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

DRAIN = "drain"  # in the lifespan's state: what uvicorn's shutdown calls instead of closing an open WebSocket


class LiveProtocol(WebSocketsSansIOProtocol):
    """Left to itself uvicorn closes every WebSocket with 1012 before the application hears of its end.

    Every worker's server asks its own connections to shut down, so this holds with any number of workers.
    """

    def shutdown(self) -> None:
        """Called once a connection when the server stops; it then waits `timeout_graceful_shutdown` for all to end."""
        drain = self.app_state.get(DRAIN)
        if drain is None or self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        drain()

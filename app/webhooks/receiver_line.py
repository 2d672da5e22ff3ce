"""The connection to a webhook's receiver, kept for messages that follow at once."""

import ssl
from time import monotonic

import httpcore

#: Seconds for which a connection is kept: then the receiver's name is looked up again.
LINE_S_MAX = 60.0
#: Connections that are kept between two messages, of all webhooks: each is a socket.
LINES_MAX = 512
#: What a receiver, or the way to it, does to a connection.
LINE_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ssl.SSLError)


class ReceiverLine:
    """One webhook's connection. A connection costs as much as some messages; TLS makes it more. lines: those that are
    kept now, of all webhooks."""

    def __init__(self, lines: set["ReceiverLine"]) -> None:
        self._lines = lines
        self._connection: httpcore.AsyncHTTPConnection | None = None
        self._origin: httpcore.Origin | None = None
        self._began_s = 0.0

    def is_usable(self, origin: httpcore.Origin) -> bool:
        """Whether a message may go by it: to the same receiver, and before that has hung up, as far as is known."""
        return (
            self._connection is not None
            and self._origin == origin
            and monotonic() - self._began_s < LINE_S_MAX
            and not self._connection.has_expired()
        )

    async def begin(self, connection: httpcore.AsyncHTTPConnection, origin: httpcore.Origin) -> None:
        """Takes a new connection, which connects with the first message."""
        await self.close()
        self._connection, self._origin, self._began_s = connection, origin, monotonic()

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """Sends a request, and reads the head of the answer. httpcore's errors."""
        assert self._connection is not None, "a line begins with a connection"
        return await self._connection.handle_async_request(request)

    async def end_attempt(self) -> None:
        """Keeps the connection where the answer was read to its end, the receiver keeps it, too, and there is room."""
        if self._connection is None:
            return
        if self._connection.is_available() and (self in self._lines or len(self._lines) < LINES_MAX):
            self._lines.add(self)
        else:
            await self.close()

    async def close(self) -> None:
        """Ends the connection, if there is one."""
        self._lines.discard(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

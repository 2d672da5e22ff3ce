"""One keep-alive connection that asks and waits: as little as can be between the clock and the server."""

import socket
import time


class Line:
    """A connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[float, bytes]:
        """Seconds from the first byte sent to the last one read, and the body. Every answer must be good."""
        started = time.perf_counter()
        self._socket.sendall(request)
        head, _, body = self._socket.recv(65_536).partition(b"\r\n\r\n")
        at = head.lower().index(b"content-length:") + 15
        size = int(head[at:].split(b"\r\n", 1)[0])
        while len(body) < size:
            body += self._socket.recv(65_536)
        took = time.perf_counter() - started
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")), (request, head, body)
        return took, body

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

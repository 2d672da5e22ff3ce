"""A transport that joins what is written in one turn of the event loop.

uvicorn writes an answer's head and body one by one: two system calls, two packets, and a client that wakes twice.
"""

import asyncio
from typing import Any


class Joined:
    """A transport whose writes leave together at the end of the turn; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Takes data to be sent this turn."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        """Sends what is held."""
        held, self._held = self._held, []
        if held and not self.transport.is_closing():
            self.transport.write(b"".join(held))

    def write_eof(self) -> None:
        """Sends what is held and then the end: nothing is written any more, what comes is still read."""
        self.flush()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Sends what is held and closes."""
        self.flush()
        self.transport.close()

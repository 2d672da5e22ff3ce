"""The kernel's side of a connection."""

import asyncio
import socket
import sys

import pytest

from app.http import sockets
from app.http.sockets import write_at_once


class Written(asyncio.Protocol):
    """A server's connection that is written to until the kernel takes no more."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        write_at_once(transport)
        while not self.is_full:
            transport.write(bytes(64 * 1024))

    def pause_writing(self) -> None:
        self.is_full = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the option")
def test_the_kernel_ends_the_connection_of_a_client_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but the kernel looks at the time here."""
    monkeypatch.setattr(sockets, "UNANSWERED_S_MAX", 0.2)
    assert isinstance(asyncio.run(end_of_a_deaf_client()), TimeoutError)


async def end_of_a_deaf_client() -> Exception | None:
    accepted: asyncio.Queue[Written] = asyncio.Queue()

    def accept() -> Written:
        connection = Written()
        accepted.put_nowait(connection)
        return connection

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    async with server, asyncio.timeout(20):
        with socket.create_connection(server.sockets[0].getsockname()[:2]):
            return await (await accepted.get()).lost

"""One WebSocket: its begin and its end."""

from ssl import SSLContext

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

#: Seconds until it is open, and until the token is accepted.
BEGIN_S_MAX = 10.0
#: Seconds for which the server's goodbye is waited for.
END_S_MAX = 1.0
#: Bytes of a frame: 100 rows with long names and pictures are far below.
FRAME_BYTES_MAX = 1024 * 1024


async def open_socket(url: str, ssl: SSLContext | None) -> ClientConnection:
    """url: of the server, `http` or `https`. OSError, TimeoutError and exceptions of websockets. It sends no pings by
    itself: the connection asks a silent server."""
    return await connect(
        "ws" + url.removeprefix("http") + "/v1/live",
        subprotocols=[Subprotocol("leaderboard.v1")],
        open_timeout=BEGIN_S_MAX,
        close_timeout=END_S_MAX,
        ping_interval=None,
        max_size=FRAME_BYTES_MAX,
        ssl=ssl or (True if url.startswith("https") else None),
    )


async def close_socket(socket: ClientConnection) -> None:
    """Says goodbye. Who is cancelled meanwhile does not leave the socket open."""
    try:
        await socket.close()
    finally:
        socket.transport.abort()

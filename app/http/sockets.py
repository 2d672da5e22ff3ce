"""The kernel's side of a connection: how much it buffers for a client, and how to discard that."""

import fcntl
import socket
import struct
import sys
import termios
from typing import Any

#: Bytes that the kernel buffers for a client to whom frames or events are pushed; it doubles the number. A snapshot of
#: 100 rows is 12 KB. A client that does not read costs no more than this, and what one frame leaves in our own buffer.
PUSH_BUFFER_BYTES_MAX = 32 * 1024
#: Seconds after which a client is gone that acknowledges nothing of what was sent: a phone that left its network. The
#: kernel goes on for a quarter of an hour by default, and the connection would count for its address so long.
UNANSWERED_S_MAX = 60.0
#: SO_LINGER: on close the kernel discards what it buffers for the peer, instead of trying to send it for minutes.
_NO_LINGER = struct.pack("ii", 1, 0)


def write_at_once(transport: Any) -> None:
    """From here on a transport has no buffer of its own: it writes at once, and pauses its protocol where the kernel
    does not take all. The kernel buffers little, since who is late gets a newer state instead; and it ends the
    connection of a client that is gone."""
    sock = transport.get_extra_info("socket")
    set_option(sock, socket.SO_SNDBUF, PUSH_BUFFER_BYTES_MAX)
    if sys.platform == "linux":
        set_option(sock, socket.TCP_USER_TIMEOUT, round(UNANSWERED_S_MAX * 1000), level=socket.IPPROTO_TCP)
    transport.set_write_buffer_limits(high=0)


def drop(transport: Any) -> None:
    """Ends a connection at once. Unsent bytes, here and in the kernel, are discarded."""
    set_option(transport.get_extra_info("socket"), socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def unsent_bytes(transport: Any) -> int:
    """Bytes that the client has not taken: those buffered here, and those in the kernel that are not acknowledged."""
    waiting = int(transport.get_write_buffer_size())
    try:
        in_kernel = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        return waiting
    return waiting + int.from_bytes(in_kernel, sys.byteorder)


def set_option(sock: Any, option: int, value: int | bytes, *, level: int = socket.SOL_SOCKET) -> None:
    """Sets a socket's option. A socket that is gone is ignored."""
    try:
        sock.setsockopt(level, option, value)
    except (AttributeError, OSError):
        pass

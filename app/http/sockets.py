"""The kernel's part of a connection: what it holds for a client, and how to have it let go."""

import fcntl
import socket
import struct
import sys
import termios
from typing import Any

#: What the kernel holds for the peer is thrown away on close, instead of being offered to it for minutes.
_NO_LINGER = struct.pack("ii", 1, 0)


def drop(transport: Any) -> None:
    """Ends a connection without a word: what is unsent here and in the kernel is thrown away."""
    set_option(transport.get_extra_info("socket"), socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def unsent_bytes(transport: Any) -> int:
    """Bytes that the client has not taken: those that wait here, and those in the kernel that are not acknowledged."""
    waiting = int(transport.get_write_buffer_size())
    try:
        held = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        return waiting
    return waiting + int.from_bytes(held, sys.byteorder)


def set_option(held: Any, option: int, value: int | bytes) -> None:
    """Sets a socket's option, where the socket is still there."""
    try:
        held.setsockopt(socket.SOL_SOCKET, option, value)
    except (AttributeError, OSError):
        pass

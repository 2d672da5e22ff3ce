"""How long a connection may be silent before it counts as dead: a peer whose machine failed does not close it."""

import socket

#: Seconds of silence before the first probe of a connection: a dead peer is noticed after 25 s.
KEEPALIVE_IDLE_S = 10
#: Seconds between two probes.
KEEPALIVE_INTERVAL_S = 5
#: Probes without an answer after which the connection is dead.
KEEPALIVE_PROBES_MAX = 3
#: Milliseconds that what was sent may stay unacknowledged by the peer's machine: as long as the probes take.
UNACKNOWLEDGED_MS_MAX = 25_000


def keepalive_options() -> dict[int, int]:
    """The TCP options that this platform has."""
    options = {
        "TCP_KEEPIDLE": KEEPALIVE_IDLE_S,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_S,
        "TCP_KEEPCNT": KEEPALIVE_PROBES_MAX,
        "TCP_USER_TIMEOUT": UNACKNOWLEDGED_MS_MAX,
    }
    return {getattr(socket, name): value for name, value in options.items() if hasattr(socket, name)}


def keep_alive(connection: socket.socket | None) -> None:
    """Sets these options on a TCP socket. Does nothing with any other."""
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in keepalive_options().items():
        connection.setsockopt(socket.IPPROTO_TCP, option, value)

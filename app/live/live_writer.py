"""What the two kinds of live connections share: they write at once what their client takes, and the sweep knows who is
late and who has heard nothing for long."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .connection_sweep import LOOK_AT_ALL_S, LiveSweep
from .frames import ServerFrame, ServerPing


class LiveTransport(Protocol):
    """The socket below. is_clear: the client has taken all that was written; on_clear: called once it has, after a
    while in which it had not."""

    is_clear: bool
    on_clear: Callable[[], None] | None

    def push(self, data: bytes) -> None:
        """Writes one whole message. Nobody waits."""


T = TypeVar("T", bound=LiveTransport)


class LiveWriter(Generic[T]):
    """One client's writer. It has no timer: `LiveSweep` looks at it."""

    __slots__ = ("_is_silent", "_late_since", "_silent_s", "_sweep", "_transport")

    def __init__(self, transport: T, sweep: LiveSweep) -> None:
        self._transport = transport
        self._sweep = sweep
        self._is_silent, self._silent_s = True, 0.0
        self._late_since: float | None = None

    def check_time(self, now: float) -> None:
        """Ends it if it did not do in time what it must. now: by the loop's clock."""
        raise NotImplementedError

    def drain(self, retry_ms: int) -> None:
        """Asks the client to come back, and ends it."""
        raise NotImplementedError

    def check_silence(self) -> None:
        """Sends a ping if nothing was sent for `silence_s`: proxies keep the connection, and a client that is gone is
        noticed."""
        self._silent_s = self._silent_s + LOOK_AT_ALL_S if self._is_silent else 0.0
        self._is_silent = True
        if self._silent_s >= self._sweep.silence_s and self._transport.is_clear:
            self._push(self._message(ServerPing()))

    def _message(self, body: ServerFrame) -> bytes:
        """A message as this connection sends it."""
        raise NotImplementedError

    def _push(self, data: bytes) -> None:
        self._is_silent = False
        self._transport.push(data)
        if not self._transport.is_clear:
            self._be_late()

    def _be_late(self) -> None:
        """From now on the client has a time in which it must take what was written."""
        if self._late_since is None:
            self._late_since = asyncio.get_running_loop().time()
            self._sweep.waiting.add(self)

    def _is_too_late(self, now: float, send_s_max: float) -> bool:
        return self._late_since is not None and now - self._late_since >= send_s_max

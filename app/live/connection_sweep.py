"""The open live connections of a process, WebSockets and event streams: who is late, who has heard nothing for long,
and whose client token is over. One loop looks, so none of them needs a timer of its own."""

import asyncio
from collections.abc import Collection
from typing import Protocol

from ..metrics import LIVE_FRAMES

#: Seconds between two looks at the connections that must do something by a time.
LOOK_S = 0.25
#: Seconds of silence before a `ping` is sent. Proxies drop connections that are silent for 30 s or 60 s.
SILENCE_S = 25.0
#: Seconds between two looks at all connections.
LOOK_AT_ALL_S = 1.0
#: Connections that are looked at before other tasks run: 1 ms of the event loop.
_LOOKED_MAX = 2_000


class Swept(Protocol):
    """An open connection."""

    def check_time(self, now: float) -> None:
        """Ends it if it did not do in time what it must. now: by the loop's clock."""

    def check_silence(self) -> None:
        """Called every LOOK_AT_ALL_S: says something if nothing was said for long."""

    def drain(self, retry_ms: int) -> None:
        """Asks the client to come back, and ends it."""


class Expiring(Protocol):
    """The viewer behind a connection."""

    def check_expiry(self) -> None:
        """Ends the connection if its client token is over. O(1)."""


class LiveSweep:
    """All of them. waiting: those that must do something by a time; frames: sent to subscriptions, not yet told;
    viewers: of all connections, whose client tokens may end; silence_s: before a `ping`."""

    def __init__(self, viewers: Collection[Expiring] = (), silence_s: float = SILENCE_S) -> None:
        self._viewers = viewers
        self.silence_s = silence_s
        self.open: set[Swept] = set()
        self.waiting: set[Swept] = set()
        self.frames = 0

    async def run(self) -> None:
        """Looks for ever."""
        clock = asyncio.get_running_loop().time
        look_at_all_at = clock()
        while True:
            await asyncio.sleep(LOOK_S)
            now = clock()
            for connection in list(self.waiting):
                connection.check_time(now)
            if now >= look_at_all_at:
                look_at_all_at = now + LOOK_AT_ALL_S
                await self._look_at_all()

    async def _look_at_all(self) -> None:
        frames, self.frames = self.frames, 0
        LIVE_FRAMES.inc(frames)
        everyone = list(self.open)
        for first in range(0, len(everyone), _LOOKED_MAX):
            for connection in everyone[first : first + _LOOKED_MAX]:
                connection.check_silence()
            await asyncio.sleep(0)
        viewers = list(self._viewers)
        for first in range(0, len(viewers), _LOOKED_MAX):
            for viewer in viewers[first : first + _LOOKED_MAX]:
                viewer.check_expiry()
            await asyncio.sleep(0)

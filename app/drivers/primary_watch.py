"""Gives up calls that wait for a former primary: a node that hangs, or was cut off, while another took its place."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Protocol
from weakref import WeakSet

import structlog

log = structlog.get_logger()

#: Seconds between two looks at what is under way.
TICK_S = 0.1
#: Seconds without an answer behind which it is asked who the primaries are. Most calls take some ms.
SILENT_S = 0.3
#: Seconds between two questions to Sentinels while all is well: a former primary that they cannot reach may answer
#: others, and nobody tells it.
QUESTION_S = 1.0


class WatchedLink(Protocol):
    """A connection to a node. url: where it leads, "" before it was made; waits_since_s: since when a call is under way
    (monotonic clock), None: none is."""

    url: str
    waits_since_s: float | None

    async def close(self) -> None:
        """Ends it; a call under way raises ConnectionError."""
        ...


class PrimaryWatch:
    """The watch of one map of nodes. read_primaries: the URLs of the primaries of now, or what RedisConnection raises.
    asks_always: it also asks from time to time while all links answer. It runs while calls are under way."""

    def __init__(self, read_primaries: Callable[[], Awaitable[set[str]]], *, asks_always: bool) -> None:
        self._read_primaries = read_primaries
        self._asks_always = asks_always
        self._links: WeakSet[WatchedLink] = WeakSet()
        self._is_on = False
        self._began_s = monotonic()
        self._question: asyncio.Task[None] | None = None
        self._has_failed = False

    def add(self, link: WatchedLink) -> None:
        """Watches a link from now on."""
        self._links.add(link)

    def note_call(self) -> None:
        """A call is under way. O(1): every call begins here."""
        if not self._is_on:
            self._is_on = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        """One look. O(links)."""
        now = monotonic()
        waiting = [link for link in self._links if link.waits_since_s is not None]
        late = [link for link in waiting if now - (link.waits_since_s or now) >= SILENT_S]
        if self._asks_always and now - self._began_s >= QUESTION_S:
            late = [link for link in self._links if link.url]
        is_asking = self._question is not None and not self._question.done()
        if late and not is_asking:
            self._began_s = now
            self._question = asyncio.create_task(self._ask())
            is_asking = True
        self._is_on = bool(waiting) or is_asking
        if self._is_on:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def _ask(self) -> None:
        """Ends the links to former primaries. Where nobody tells who they are, all links stay."""
        try:
            primaries = await self._read_primaries()
        except Exception as error:  # Nobody waits for this task: what ends it would be told by nobody.
            # A node that is silent is told by its contact; anything else is a refusal or a defect.
            if not (isinstance(error, OSError) or self._has_failed):
                log.warning("primaries are not known", error=f"{type(error).__name__}: {error}")
                self._has_failed = True
            return
        self._has_failed = False
        for link in list(self._links):
            if link.url and link.url not in primaries:
                await link.close()

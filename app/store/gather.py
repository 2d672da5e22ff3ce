"""Reads gathered: calls wait for the round under way and travel together; equal calls of one round share one answer."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

from ..model.errors import Problem, Recovering, StoreUnavailable
from . import keys
from .redis import LOST, Call, Link, away

ROUND_CALLS_MAX = 256
BACKLOG_CALLS_MAX = 10_000
_CHANGES: Call = ("HMGET", keys.DEPLOYMENT, "id", "changes", "profiles")


class Gatherer:
    """The one reader of a process. Every round also reads how often namespaces or keys have changed, and profiles.

    on_changes, on_profiles: called with these two numbers before the round's answers are given out.
    """

    def __init__(self, link: Link, on_changes: Callable[[int], None], on_profiles: Callable[[int], None]) -> None:
        self._link = link
        self._on_changes = on_changes
        self._on_profiles = on_profiles
        self._waiting: dict[Hashable, tuple[Call, asyncio.Future[Any]]] = {}
        self._wake = asyncio.Event()

    async def call(self, call: Call) -> Any:
        """The reply; an error reply is raised. StoreUnavailable where Redis does not answer or too much waits."""
        key = tuple(call)
        held = self._waiting.get(key)
        if held is None:
            if len(self._waiting) >= BACKLOG_CALLS_MAX:
                raise away(ConnectionError())
            held = self._waiting[key] = (call, asyncio.get_running_loop().create_future())
            self._wake.set()
        # Shielded: one reader that goes away must not take the shared answer from the others.
        reply = await asyncio.shield(held[1])
        if isinstance(reply, Problem):
            raise reply
        if isinstance(reply, Exception):
            raise StoreUnavailable(f"Redis refuses a read: {reply}")
        return reply

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            taken = [self._waiting.pop(key) for key in list(self._waiting)[:ROUND_CALLS_MAX]]
            try:
                replies = await self._round([call for call, _ in taken])
            except LOST as error:
                replies = [away(error)] * len(taken)
            for (_, future), reply in zip(taken, replies, strict=True):
                if not future.done():
                    future.set_result(reply)

    async def _round(self, calls: list[Call]) -> list[Any]:
        """A read may go again: one retry on a fresh connection hides a restart."""
        try:
            changes, *replies = await self._link.run([_CHANGES, *calls])
        except LOST:
            changes, *replies = await self._link.run([_CHANGES, *calls])
        if isinstance(changes, Exception):
            return [changes] * len(calls)
        if changes[0] is None:
            # What is unknown here must not read as what is not there.
            return [Recovering("this Redis has lost what it held, or was never migrated")] * len(calls)
        self._on_changes(int(changes[1] or 0))
        self._on_profiles(int(changes[2] or 0))
        return replies

"""Announcements: each partition in Redis is told that something has changed, once it is published."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..drivers.postgres import Fetch
from ..drivers.redis import Call, RedisRefused, is_loss
from ..model.errors import Problem, Recovering, StoreUnavailable
from . import fields
from .changes import EVERYTHING, Changed, announce_call, names_of

#: Names of one announcement; where more has changed, everything counts as changed.
NAMES_MAX = 64

#: The replies to calls, each by itself: an error, or what its node raised, stands in place of a reply.
RunApart = Callable[[Sequence[Call]], Awaitable[list[Any]]]


class Announcer:
    """Announces to all partitions. fetch: a query of Postgres, which gives out the numbers.

    A partition whose node is away is left out, as long as others are told: it is compared with Postgres before it is
    used again. behind: no number may be lower than this one. StoreUnavailable and RedisRefused where none is told, or
    where one that answers refuses.
    """

    def __init__(
        self, fetch: Fetch, run_apart: RunApart, partitions: int, *, is_cluster: bool, behind: int = 0
    ) -> None:
        self._fetch = fetch
        self._run_apart = run_apart
        # The keys of one call lie in one slot, where there are slots.
        self._groups = [[p] for p in range(partitions)] if is_cluster else [list(range(partitions))]
        self._behind = behind

    async def announce(self, changed: Changed) -> None:
        """Namespaces and API keys. O(partitions)."""
        await self._announce(fields.CHANGES, names_of(changed))

    async def announce_profiles(self, users: Sequence[str] = ()) -> None:
        """The profiles of users; of anybody without any, as where a name must not stay. O(partitions)."""
        await self._announce(fields.PROFILES, users)

    async def announce_everything(self) -> None:
        """That anything may have changed. A deployment that never had a profile goes on having none. O(partitions)."""
        await self.announce(EVERYTHING)
        (row,) = await self._fetch("get_change_number", fields.PROFILES)
        if row["number"] or self._behind:
            await self.announce_profiles()

    async def _announce(self, field: str, names: Sequence[str]) -> None:
        names = names if len(names) <= NAMES_MAX else []
        number = await self._next_number(field, self._behind, len(names))
        latest = await self._tell(field, number, names)
        if latest > number:
            # Another announcement came first; or Postgres is an older one, and its numbers say nothing.
            await self._tell(field, await self._next_number(field, latest, len(names)), names)

    async def _next_number(self, field: str, behind: int, count: int) -> int:
        (row,) = await self._fetch("take_change_numbers", field, behind, max(1, count))
        return int(row["number"])

    async def _tell(self, field: str, number: int, names: Sequence[str]) -> int:
        """The greatest number that a partition had before."""
        replies = await self._run_apart([announce_call(group, field, number, names) for group in self._groups])
        for reply in replies:
            if isinstance(reply, Exception) and not _is_away(reply):
                raise reply if isinstance(reply, Problem) else RedisRefused(str(reply))
        before = [int(reply) for reply in replies if isinstance(reply, int)]
        if not before and replies and all(isinstance(reply, Exception) for reply in replies):
            raise replies[0]
        return max(before, default=0)


def _is_away(reply: Exception) -> bool:
    """Whether the node is away, or the call went and its reply is not to be used."""
    return is_loss(reply) or isinstance(reply, (StoreUnavailable, Recovering))


def apart(call: Callable[[Call], Awaitable[Any]]) -> RunApart:
    """Runs calls one by one through what answers one call at a time, all at once."""

    async def run(calls: Sequence[Call]) -> list[Any]:
        return await asyncio.gather(*map(call, calls), return_exceptions=True)

    return run

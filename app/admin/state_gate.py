"""Changes of the deployment's state are refused while Postgres is older than Redis: they would be made without what
Redis was told since, and lost with the older Postgres."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ..drivers.postgres import Fetch, Postgres
from ..drivers.redis import REDIS_ERRORS, Call, RedisConnection, ask
from ..drivers.some_nodes import PresentNodes
from ..model.errors import Problem, Recovering
from ..store import keys
from ..store.state_history import (
    StateNote,
    compare_state,
    note_call,
    note_recorded_call,
    parse_note,
    read_state_notes,
    recorded_call,
)


class Gate(Protocol):
    """What stands before a change of the state, and between its commit and its publication."""

    async def check(self) -> None:
        """Whether Postgres has all that Redis was told of. Where no node of Redis answers, nothing is known, and
        nothing is refused. Recovering, StoreUnavailable."""

    async def note(self) -> None:
        """Notes in Redis what Postgres has recorded: from here on an older one is known, also if this process ends
        before the change is published. While a store is away, it notes nothing."""


class StateGate:
    """A server's: a call or two to each store. call: answers one call to Redis. While the node of the deployment is
    away, each partition is asked."""

    def __init__(self, fetch: Fetch, call: Callable[[Call], Awaitable[Any]], partitions: int) -> None:
        self._fetch = fetch
        self._call = call
        self._partitions = range(partitions)

    async def check(self) -> None:
        """See Gate."""
        notes = await self._read([note_call(keys.DEPLOYMENT), recorded_call()])
        notes = notes or await self._read([note_call(keys.meta(p)) for p in self._partitions])
        await _refuse_behind(self._fetch, notes)

    async def _read(self, calls: Sequence[Call]) -> list[StateNote]:
        replies = await asyncio.gather(*map(self._call, calls), return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, Problem):
                raise reply
        return [parse_note(call, reply) for call, reply in zip(calls, replies, strict=True) if isinstance(reply, bytes)]

    async def note(self) -> None:
        """See Gate."""
        with suppress(Problem):
            await self._call(note_recorded_call((await compare_state(self._fetch, [])).latest))


class CommandGate:
    """A command's. `link` knows SET_IF_NEWER; O(partitions)."""

    def __init__(self, postgres: Postgres, link: RedisConnection) -> None:
        self._postgres = postgres
        self._link = link

    async def check(self) -> None:
        """See Gate."""
        row = await self._postgres.fetch_one("get_deployment")
        if row is not None:
            notes = await read_state_notes(PresentNodes(self._link), range(row["partitions"]))
            await _refuse_behind(self._postgres.fetch, list(notes.values()))

    async def note(self) -> None:
        """See Gate."""
        with suppress(Problem, *REDIS_ERRORS):
            latest = (await compare_state(self._postgres.fetch, [])).latest
            await ask(self._link, note_recorded_call(latest), what="a note of the state")


async def _refuse_behind(fetch: Fetch, notes: Collection[StateNote]) -> None:
    if notes and (behind := (await compare_state(fetch, notes)).behind) is not None:
        raise Recovering(behind)

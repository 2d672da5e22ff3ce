"""Changes of the deployment's state are refused while Postgres is older than Redis: they would be made without what
Redis was told since, and lost with the older Postgres."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from ..drivers.postgres import Fetch, Postgres
from ..drivers.redis import Call, RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..model.errors import Problem, Recovering
from ..store import keys
from ..store.state_history import StateNote, compare_state, note_call, parse_note, read_state_notes

#: Checks one change; Recovering where it is refused.
CheckState = Callable[[], Awaitable[None]]


class StateGate:
    """A server's. call: answers one call to Redis."""

    def __init__(self, fetch: Fetch, call: Callable[[Call], Awaitable[Any]], partitions: int) -> None:
        self._fetch = fetch
        self._call = call
        self._partitions = range(partitions)

    async def check(self) -> None:
        """One call to each store. While the node of the deployment is away, a call to each partition; where none
        answers, nothing is known, and nothing is refused. Recovering, StoreUnavailable."""
        notes = await self._read([keys.DEPLOYMENT]) or await self._read([keys.meta(p) for p in self._partitions])
        await _refuse_behind(self._fetch, notes)

    async def _read(self, hashes: Sequence[str]) -> list[StateNote]:
        replies = await asyncio.gather(*(self._call(note_call(key)) for key in hashes), return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, Problem):
                raise reply
        answers = zip(hashes, replies, strict=True)
        return [parse_note(key, reply) for key, reply in answers if isinstance(reply, bytes)]


async def check_state(postgres: Postgres, link: RedisConnection) -> None:
    """The same for a command. Recovering, StoreUnavailable; O(partitions)."""
    row = await postgres.fetch_one("get_deployment")
    if row is not None:
        notes = await read_state_notes(PresentNodes(link), range(row["partitions"]))
        await _refuse_behind(postgres.fetch, list(notes.values()))


async def _refuse_behind(fetch: Fetch, notes: Collection[StateNote]) -> None:
    if notes and (behind := (await compare_state(fetch, notes)).behind) is not None:
        raise Recovering(behind)

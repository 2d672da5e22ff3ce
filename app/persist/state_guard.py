"""Keeps a persister from working by an older state than Redis was told of: it would show hidden users again, and take
entries of namespaces that Postgres does not know yet for faulty ones."""

from time import monotonic

from ..drivers.postgres import Fetch
from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..store.state_history import compare_state, read_state_notes

#: Seconds for which a comparison holds that found nothing.
COMPARED_S = 1.0


class StateGuard:
    """Compares before each piece of work, if the last time is a while ago. For one connection to Postgres: an older
    one is reached by another. Nobody else uses `link` meanwhile. partitions: of the deployment."""

    def __init__(self, link: RedisConnection, partitions: int) -> None:
        self._link = link
        self._partitions = range(partitions)
        self._passed_s = -COMPARED_S

    async def refusal(self, fetch: Fetch) -> str | None:
        """Why nothing may be done; None: it may. Nodes of Redis that are away are left out. REDIS_ERRORS, asyncpg's
        errors; O(partitions)."""
        if monotonic() - self._passed_s < COMPARED_S:
            return None
        notes = await read_state_notes(PresentNodes(self._link), self._partitions)
        behind = (await compare_state(fetch, list(notes.values()))).behind
        if behind is None:
            self._passed_s = monotonic()
        return behind

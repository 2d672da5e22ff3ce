"""Keeps a persister from working by an older state than Redis was told of: it would show hidden users again, and take
entries of namespaces that Postgres does not know yet for faulty ones."""

from ..drivers.postgres import Fetch
from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..store.state_history import compare_state, read_state_notes


class StateGuard:
    """Compares before each piece of work. Nobody else uses `link` meanwhile. partitions: of the deployment."""

    def __init__(self, link: RedisConnection, partitions: int) -> None:
        self._link = link
        self._partitions = range(partitions)

    async def refusal(self, fetch: Fetch) -> str | None:
        """Why nothing may be done; None: it may. Nodes of Redis that are away are left out. REDIS_ERRORS, asyncpg's
        errors; O(partitions)."""
        notes = await read_state_notes(PresentNodes(self._link), self._partitions)
        return (await compare_state(fetch, list(notes.values()))).behind

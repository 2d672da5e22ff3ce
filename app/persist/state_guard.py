"""Keeps a persister from working by an older state than Redis was told of: it would show hidden users again, and take
entries of namespaces that Postgres does not know yet for faulty ones."""

from collections.abc import Callable
from time import monotonic

from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..store.state_history import compare_state, read_state_notes
from .ledger_session import LedgerSession

#: Seconds for which one comparison holds on one connection to Postgres: a Postgres that is replaced ends it.
COMPARISON_S = 1.0


class StateGuard:
    """Compares the states of both stores before work is done. Nobody else uses `link` meanwhile. partitions: of the
    deployment."""

    def __init__(self, link: RedisConnection, partitions: int, clock: Callable[[], float] = monotonic) -> None:
        self._link = link
        self._partitions = range(partitions)
        self._clock = clock
        self._session: LedgerSession | None = None
        self._until = 0.0
        self._refusal: str | None = None

    async def refusal(self, session: LedgerSession) -> str | None:
        """Why nothing may be done; None: it may. Where the node of the deployment is away, partitions that answer tell;
        where none does, nothing is refused. REDIS_ERRORS, asyncpg's errors; O(1), else O(partitions)."""
        if session is not self._session or self._clock() >= self._until:
            present = PresentNodes(self._link)
            notes = await read_state_notes(present, ()) or await read_state_notes(present, self._partitions)
            self._refusal = (await compare_state(session.fetch, list(notes.values()))).behind
            self._session, self._until = session, self._clock() + COMPARISON_S
        return self._refusal

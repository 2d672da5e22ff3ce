"""Deletes the keys and archives of deleted namespaces. Their ids are never used again, so these only take room."""

from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Any

from ..drivers.redis import Call, RedisConnection, RedisLink, ask
from ..store import keys
from ..store.key_space import delete_call, scan_call
from ..store.namespace_cache import version_call
from ..store.nodes import PartitionNodes
from ..store.profile_cache import forget_profiles_in_call
from .faults import DROP, EVERYWHERE, Faults, WorkUnit
from .ledger_session import LedgerSession

#: Seconds that one step may take, because the ledger waits meanwhile.
STEP_S = 0.05
#: Keys that one call scans: a ms of Redis or less.
_KEYS_A_SCAN = 1_000
#: Rows of an archive that one statement deletes: the ledger waits no longer than that.
_ROWS_A_CALL = 1_000


class NamespaceDropper:
    """Drops the boards, balances, counters and archives of deleted namespaces, a little at a time, because the ledger
    waits meanwhile. The ledger keeps their entries.

    One pass over all keys of the nodes of Redis that have their partitions, and then over the archives, serves all
    namespaces that were deleted when it began. It takes at most a twentieth of the time. Its cursor is only in memory:
    after a lost connection, or where a partition has moved, the pass begins again, because a cursor has no meaning for
    another Redis. An archive that cannot be deleted does not stop the others.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, faults: Faults | None = None) -> None:
        self._clock = clock
        self._faults = Faults() if faults is None else faults
        self._cursor = b"0"
        self._version = -1
        self._nodes: list[str] = []
        self._doomed: frozenset[tuple[int, int]] = frozenset()
        self._scanned = False

    async def step(self, session: LedgerSession, link: RedisConnection, partitions: Collection[int]) -> None:
        """Clears for at most STEP_S and one call more. RedisRefused; the stores' errors."""
        now = self._clock()
        if not self._faults.is_due(_ALL):
            return
        with self._faults.guard(_ALL):
            if not self._doomed:
                await self._begin(session, link, partitions)
            self._scanned = bool(self._doomed) and (self._scanned or await self._scan(link, now + STEP_S))
        if self._scanned:
            await self._clear_all(session, now + STEP_S)

    async def _begin(self, session: LedgerSession, link: RedisConnection, partitions: Collection[int]) -> None:
        """Begins a pass. It raises the versions first, so that no plan from before a deletion writes after the
        cursor."""
        deleted = await session.deleted_namespaces(partitions)
        due = [row for row in deleted if self._faults.is_due(_unit(*row[:2]))]
        for p, namespace_id, version in due:
            await _run(link, version_call(p, namespace_id=namespace_id, version=version))
            await _run(link, forget_profiles_in_call(namespace_id))
        self._doomed = frozenset((p, namespace_id) for p, namespace_id, _ in due)
        self._begin_scan(link)

    def _begin_scan(self, link: RedisConnection) -> None:
        nodes = PartitionNodes(link)
        self._version, self._nodes = nodes.version, sorted({nodes.of(p) for p, _ in self._doomed})
        self._cursor, self._scanned = b"0", False

    async def _scan(self, link: RedisConnection, until: float) -> bool:
        """Continues the scan. Returns whether the pass is complete."""
        if self._version != link.version:
            self._begin_scan(link)
        while self._nodes:
            self._cursor, page = await _run(link.link(self._nodes[-1]), scan_call(self._cursor, _KEYS_A_SCAN))
            await self._delete(link, page)
            if self._cursor == b"0":
                self._nodes.pop()
            if self._nodes and self._clock() >= until:
                return False
        return True

    async def _delete(self, link: RedisConnection, page: Sequence[bytes]) -> None:
        """Deletes those keys of a page that belong to a deleted namespace, a call for each partition."""
        gone: dict[int, list[bytes]] = {}
        for key in page:
            if (place := keys.namespace_of(key)) is not None and place in self._doomed:
                gone.setdefault(place[0], []).append(key)
        for names in gone.values():
            await _run(link, delete_call(names))

    async def _clear_all(self, session: LedgerSession, until: float) -> None:
        """Deletes archives, some rows at a time, of one namespace after the other."""
        for place in sorted(self._doomed):
            with self._faults.guard(_unit(*place)):
                if not await self._clear(session, [place[1]], until):
                    return
                await session.mark_dropped([place[1]])
            self._doomed -= {place}

    async def _clear(self, session: LedgerSession, ids: list[int], until: float) -> bool:
        """Deletes some rows. Returns whether none is left."""
        while await session.drop_archives(ids, _ROWS_A_CALL):
            if self._clock() >= until:
                return False
        return True


_ALL = WorkUnit(EVERYWHERE, DROP)


def _unit(p: int, namespace_id: int) -> WorkUnit:
    return WorkUnit(p, DROP, f"of namespace {namespace_id}")


async def _run(link: RedisLink, call: Call) -> Any:
    return await ask(link, call, what="to drop a deleted namespace")

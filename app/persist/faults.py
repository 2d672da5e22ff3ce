"""Work that fails and is tried again later, while everything else goes on.

A unit of work is the smallest part that can fail alone: the ledger of a partition, a window's archive, a user's heal.
A unit that failed waits, twice as long each time. Failures are reported in the log, as a metric, and in Postgres, from
where servers read them for /readyz.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import structlog

from ..drivers.redis import NodeLost, RedisRefused
from ..metrics import FAULTS
from .failure import DEAD_LETTERS_PAUSE_S, TooManyDeadLetters, code_of, public_cause
from .leases import SessionEnded, Superseded

log = structlog.get_logger()

#: Seconds a unit waits after its first failure; a deadlock or a failover passes in less.
FIRST_PAUSE_S = 0.5
#: Longest pause between two tries: a repaired unit goes on soon, and one that still fails costs little.
PAUSE_S_MAX = 15.0
#: Failing units that are remembered. Further ones are tried again at once and reported only in the log.
FAULTS_MAX = 10_000
#: Faults that one pass records in Postgres: each is a statement, and the ledger waits for them.
RECORDED_A_PASS_MAX = 100

LEDGER, LOG, COUNTS, MAINTENANCE, SEAL, ARCHIVE = "ledger", "log", "counts", "maintenance", "seal", "archive"
HEAL, INTENT, ERASURE, DROP = "heal", "state of user", "erasure of user", "deletion"
SEASONS, DEAD_LETTER, PUBLISH, CLOCK = "seasons", "dead letter", "namespace", "clock"
HEALS, LETTERS, ARCHIVES, LAG = "all heals", "all dead letters", "all archives", "lag"
#: The partition of work that belongs to no partition.
EVERYWHERE = -1


class WorkUnit(NamedTuple):
    """A unit of work. kind: one of those above; name: what it is within its partition, never a client's text."""

    partition: int
    kind: str
    name: str = ""

    @property
    def where(self) -> int | str:
        """The partition; `all`: it is of none alone."""
        return "all" if self.partition == EVERYWHERE else self.partition

    @property
    def words(self) -> dict[str, object]:
        """What a line of the log tells of it: what, where, and its name if it has one."""
        return {"what": self.kind, "partition": self.where, **({"name": self.name} if self.name else {})}


def is_plural(kind: str) -> bool:
    """Whether the name of a kind of work is a plural."""
    return kind in (COUNTS, SEASONS) or kind.startswith("all ")


PUBLISHING, SEALING, USERS, ALL_ARCHIVES, STATE, CAPACITY, SEARCH = (
    WorkUnit(EVERYWHERE, f"all {what}")
    for what in (
        *("namespaces", "seals", "states of users", "archives", "changes of the deployment's state"),
        *("figures of Redis", "updates of search"),
    )
)


@dataclass(slots=True)
class Fault:
    """A unit that failed. due: when it may be tried again."""

    cause: str
    code: str
    pause_s: float
    due: float


class Faults:
    """The units of one persister that fail now. Each call is O(1), those that list units are O(units)."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._faults: dict[WorkUnit, Fault] = {}
        self._unrecorded: dict[WorkUnit, None] = {}

    def __len__(self) -> int:
        return len(self._faults)

    def has(self, unit: WorkUnit) -> bool:
        """Whether a unit failed and has not succeeded since."""
        return unit in self._faults

    def is_due(self, unit: WorkUnit) -> bool:
        """Whether a unit may be tried now."""
        fault = self._faults.get(unit)
        return fault is None or fault.due <= self._clock()

    def names(self, partition: int, kind: str) -> list[str]:
        """The names of the units of a kind that are not due."""
        return [unit.name for unit in self._faults if unit[:2] == (partition, kind) and not self.is_due(unit)]

    def note(self, unit: WorkUnit, error: Exception) -> None:
        """A unit failed: it waits, twice as long as the last time."""
        fault = self._faults.get(unit)
        first = DEAD_LETTERS_PAUSE_S if isinstance(error, TooManyDeadLetters) else FIRST_PAUSE_S
        pause = first if fault is None else max(first, min(PAUSE_S_MAX, fault.pause_s * 2))
        cause, code = public_cause(error), code_of(error)
        if fault is None or fault.code != code:
            log.error("work fails", **unit.words, cause=cause)
        if fault is not None:
            self._gauge(unit, fault.code, -1)
        elif len(self._faults) >= FAULTS_MAX:
            return
        if fault is None or fault.cause != cause:
            self._unrecorded[unit] = None
        self._faults[unit] = Fault(cause, code, pause, self._clock() + pause)
        self._gauge(unit, code, 1)

    def end_long_pause(self, unit: WorkUnit) -> None:
        """A unit that waits for somebody to look is tried now."""
        fault = self._faults.get(unit)
        if fault is not None and fault.pause_s > PAUSE_S_MAX:
            fault.due = min(fault.due, self._clock())

    def clear_for(self, unit: WorkUnit, cause: str) -> None:
        """What a unit failed for is over, if that began with these words: nobody waits for its next try to learn so."""
        fault = self._faults.get(unit)
        if fault is not None and fault.cause.startswith(cause):
            self.clear(unit)

    def clear(self, unit: WorkUnit) -> None:
        """A unit succeeded."""
        fault = self._faults.pop(unit, None)
        if fault is not None:
            self._unrecorded[unit] = None
            self._gauge(unit, fault.code, -1)
            log.info("work goes on", **unit.words)

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets the units of partitions that another persister has now; it reports them anew."""
        for unit in [unit for unit in self._faults if unit.partition not in partitions and unit.partition >= 0]:
            self._gauge(unit, self._faults.pop(unit).code, -1)
            self._unrecorded.pop(unit, None)

    @contextmanager
    def guard(self, unit: WorkUnit) -> Iterator[None]:
        """Notes an error inside as this unit's fault. If the connection to a store was lost, it also raises it on. The
        unit waits in that case too: it may have broken the connection, so the others come first the next time."""
        try:
            yield
        except Exception as error:
            if isinstance(error, Superseded) and not isinstance(error, SessionEnded):
                raise  # The partition is another persister's by now, and so is its work.
            self.note(unit, error)
            if is_lost(error):
                raise
        else:
            self.clear(unit)

    async def attempt(self, unit: WorkUnit, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Does a unit's work if it is due, in its `guard`. Raises what `guard` raises."""
        if self.is_due(unit):
            with self.guard(unit):
                await work(*args)

    async def all_or_each(
        self, kind: str, partitions: Collection[int], work: Callable[[list[int]], Awaitable[None]]
    ) -> None:
        """Does work for some partitions at once; if that fails, for each partition alone."""
        due = [p for p in partitions if self.is_due(WorkUnit(p, kind))]
        if not due:
            return
        try:
            await work(due)
        except Exception as error:
            if is_lost(error):
                raise
            for p in due:
                with self.guard(WorkUnit(p, kind)):
                    await work([p])
        else:
            for p in due:
                self.clear(WorkUnit(p, kind))

    def take(self) -> list[tuple[WorkUnit, str | None]]:
        """Changes to record in Postgres: units, each with the cause of its failure, or None if it works again."""
        taken = list(self._unrecorded)[:RECORDED_A_PASS_MAX]
        for unit in taken:
            del self._unrecorded[unit]
        return [(unit, self._faults[unit].cause if unit in self._faults else None) for unit in taken]

    def requeue(self, units: Collection[WorkUnit]) -> None:
        """Puts back units whose change could not be recorded."""
        self._unrecorded.update(dict.fromkeys(units))

    def requeue_partition(self, partition: int) -> None:
        """Marks all faults of a partition to be recorded again."""
        self._unrecorded.update(dict.fromkeys(unit for unit in self._faults if unit.partition == partition))

    @staticmethod
    def _gauge(unit: WorkUnit, code: str, step: int) -> None:
        FAULTS.labels(unit.kind, str(unit.where), code).inc(step)


def is_lost(error: Exception) -> bool:
    """Whether a store is gone, and not one of its nodes alone. Then an error does not say which unit is at fault."""
    if isinstance(error, (RedisRefused, NodeLost)):
        return False
    if isinstance(error, Superseded):
        return True
    lost = (ConnectionError, TimeoutError, OSError, asyncpg.PostgresConnectionError, asyncpg.InternalClientError)
    return isinstance(error, lost) or type(error) is asyncpg.InterfaceError

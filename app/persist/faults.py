"""Work that fails and is tried again later, while everything else goes on.

A unit of work is the smallest part that can fail alone: the ledger of a partition, a window's archive, a user's heal.
A unit that failed waits, twice as long each time. What fails is told in the log, as a metric, and in Postgres, where
servers read it for /readyz.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import structlog

from ..drivers.redis import RedisRefused
from ..metrics import FAULTS
from .failure import TooManyDeadLetters, code_of, public_cause
from .leases import Superseded

log = structlog.get_logger()

#: Seconds a unit waits after its first failure; a deadlock or a failover passes in less.
FIRST_PAUSE_S = 0.5
#: Seconds between two tries at most: what is mended goes on soon, and what is not costs little.
PAUSE_S_MAX = 15.0
#: Seconds a partition waits that had too many dead letters: long enough for somebody to look before more are set aside.
DEAD_LETTERS_PAUSE_S = 600.0
#: Units that are remembered; beyond, a failing one is tried again at once and told in the log alone.
FAULTS_MAX = 10_000
#: Faults told to Postgres in one pass: each is a statement, and the ledger waits for them.
TOLD_A_PASS_MAX = 100

LEDGER, LOG, COUNTS, MAINTENANCE, SEAL, ARCHIVE = "ledger", "log", "counts", "maintenance", "seal", "archive"
HEAL, INTENT, ERASURE, DROP = "heal", "state of user", "erasure of user", "deletion"
SEASONS, DEAD_LETTER, PUBLISH, CLOCK = "seasons", "dead letter", "namespace", "clock"
HEALS, LETTERS, ARCHIVES, LAG = "all heals", "all dead letters", "all archives", "lag"
#: A partition that stands for all: work that is not of one.
EVERYWHERE = -1


class WorkUnit(NamedTuple):
    """A unit of work. kind: one of those above; name: what it is within its partition, never a client's text."""

    partition: int
    kind: str
    name: str = ""


PUBLISHING, SEALING, USERS = (
    WorkUnit(EVERYWHERE, f"all {what}") for what in ("namespaces", "seals", "states of users")
)


@dataclass(slots=True)
class Fault:
    """A unit that failed. due: when it may be tried again."""

    cause: str
    code: str
    pause_s: float
    due: float


class Faults:
    """What fails at present in one persister. O(1) a question."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._held: dict[WorkUnit, Fault] = {}
        self._untold: dict[WorkUnit, None] = {}

    def __len__(self) -> int:
        return len(self._held)

    def is_due(self, unit: WorkUnit) -> bool:
        """Whether a unit may be tried now."""
        held = self._held.get(unit)
        return held is None or held.due <= self._clock()

    def names(self, partition: int, kind: str) -> list[str]:
        """The names of the units of a kind that are not due."""
        return [unit.name for unit in self._held if unit[:2] == (partition, kind) and not self.is_due(unit)]

    def note(self, unit: WorkUnit, error: Exception) -> None:
        """A unit failed: it waits, twice as long as the last time."""
        held = self._held.get(unit)
        first = DEAD_LETTERS_PAUSE_S if isinstance(error, TooManyDeadLetters) else FIRST_PAUSE_S
        pause = first if held is None else max(first, min(PAUSE_S_MAX, held.pause_s * 2))
        cause, code = public_cause(error), code_of(error)
        if held is None or held.code != code:
            log.error("work fails", what=unit.kind, partition=unit.partition, name=unit.name, cause=cause)
        if held is not None:
            self._gauge(unit, held.code, -1)
        elif len(self._held) >= FAULTS_MAX:
            return
        if held is None or held.cause != cause:
            self._untold[unit] = None
        self._held[unit] = Fault(cause, code, pause, self._clock() + pause)
        self._gauge(unit, code, 1)

    def clear(self, unit: WorkUnit) -> None:
        """A unit succeeded."""
        held = self._held.pop(unit, None)
        if held is not None:
            self._untold[unit] = None
            self._gauge(unit, held.code, -1)
            log.info("work goes on", what=unit.kind, partition=unit.partition, name=unit.name)

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets what is another persister's to tell; that one tells it anew."""
        for unit in [unit for unit in self._held if unit.partition not in partitions and unit.partition >= 0]:
            self._gauge(unit, self._held.pop(unit).code, -1)
            self._untold.pop(unit, None)

    @contextmanager
    def guard(self, unit: WorkUnit) -> Iterator[None]:
        """Whatever fails within is this unit's alone. Where the connection to a store was lost it is raised on, and the
        unit waits all the same: if it was what broke the connection, the others come first the next time."""
        try:
            yield
        except Superseded:
            raise  # The partition is another persister's by now, and so is its work.
        except Exception as error:
            self.note(unit, error)
            if is_lost(error):
                raise
        else:
            self.clear(unit)

    async def attempt(self, unit: WorkUnit, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Does a unit's work if it is due; what fails is this unit's alone. What `guard` raises."""
        if self.is_due(unit):
            with self.guard(unit):
                await work(*args)

    async def all_or_each(
        self, kind: str, partitions: Collection[int], work: Callable[[list[int]], Awaitable[None]]
    ) -> None:
        """Work that is one for some partitions: at once, and where that fails for each alone."""
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
        """What Postgres does not know yet: units and why they fail, None where they do no more."""
        taken = list(self._untold)[:TOLD_A_PASS_MAX]
        for unit in taken:
            del self._untold[unit]
        return [(unit, self._held[unit].cause if unit in self._held else None) for unit in taken]

    def put_back(self, units: Collection[WorkUnit]) -> None:
        """These could not be told."""
        self._untold.update(dict.fromkeys(units))

    def tell_again(self, partition: int) -> None:
        """All that is known of a partition is to be told."""
        self._untold.update(dict.fromkeys(unit for unit in self._held if unit.partition == partition))

    @staticmethod
    def _gauge(unit: WorkUnit, code: str, step: int) -> None:
        FAULTS.labels(unit.kind, str(unit.partition), code).inc(step)


def is_lost(error: Exception) -> bool:
    """Whether a connection is gone: nothing that is asked on it tells whose fault anything is."""
    if isinstance(error, RedisRefused):
        return False
    if isinstance(error, Superseded):
        return True
    lost = (ConnectionError, TimeoutError, OSError, asyncpg.PostgresConnectionError, asyncpg.InternalClientError)
    return isinstance(error, lost) or type(error) is asyncpg.InterfaceError

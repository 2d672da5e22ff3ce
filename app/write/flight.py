"""What waits for the committer, and what is under way to Redis."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from time import monotonic

from ..model.entry import Entry
from ..model.errors import Problem
from ..store.apply import Outcome


@dataclass(slots=True)
class Work:
    """Entries that one request hands in together; atomic ones go in a call of their own, all or none.

    begun: whether some of them are under way or done.
    """

    entries: list[Entry]
    done: asyncio.Future[list[Outcome]]
    atomic: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    arrived: float = field(default_factory=monotonic)
    begun: bool = False

    def fail(self, problem: Problem) -> None:
        """Tells whoever waits."""
        if not self.done.done():
            self.done.set_exception(problem)


Part = tuple[Work, Sequence[Entry]]


@dataclass(slots=True)
class Flight:
    """One call under way. first_known: the seq known when it was first sent; cost: as store/cost estimates it."""

    partition: int
    parts: list[Part]
    atomic: bool
    first_known: int
    started: float
    cost: int
    sent: bool = False

    @property
    def entries(self) -> list[Entry]:
        """All of its entries, in order."""
        return [entry for _, entries in self.parts for entry in entries]

    def fail(self, problem: Problem) -> None:
        """Tells whoever waits for one of its entries."""
        for work, _ in self.parts:
            work.fail(problem)


def due_of(flights: Collection[Flight], us_max: int) -> list[Flight]:
    """The calls of a round: what was sent already, what waits longest, then the small before the large until the round
    costs so much. O(n log n)."""
    ranked = sorted(flights, key=lambda flight: (not flight.sent, flight.cost))
    oldest = min(ranked, key=lambda flight: flight.started, default=None)
    due: list[Flight] = []
    total = 0 if oldest is None else oldest.cost
    for flight in ranked:
        if flight is oldest or flight.sent:
            due.append(flight)
        elif total + flight.cost <= us_max:
            total += flight.cost
            due.append(flight)
    return due

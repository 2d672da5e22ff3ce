"""Submissions that wait for the committer, and calls that are under way to Redis."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from ..model.entry import PlannedEntry
from ..model.errors import Problem
from ..store.apply import Outcome
from ..store.call_cost import CALL_BYTES_MAX, CALL_ENTRIES_MAX, CALL_US_MAX, CallCost, entry_cost, portions


@dataclass(slots=True)
class Submission:
    """Entries that one request submits together. Atomic ones go in a call of their own, all or none.

    begun: whether some of them are under way or done.
    """

    entries: list[PlannedEntry]
    done: asyncio.Future[list[Outcome]]
    atomic: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    arrived: float = field(default_factory=lambda: monotonic())
    begun: bool = False

    def fail(self, problem: Problem) -> None:
        """Ends the wait with a problem."""
        if not self.done.done():
            self.done.set_exception(problem)


class SubmissionPart(NamedTuple):
    """Entries of one request that stay together. cost: of a call that holds them alone, in microseconds; size: their
    bytes; joined: the parts of the cost; None for at most one entry."""

    work: Submission
    entries: Sequence[PlannedEntry]
    cost: int
    size: int
    joined: CallCost | None

    def shared(self) -> CallCost:
        """The parts of the cost."""
        if self.joined is not None:
            return self.joined
        cost = CallCost()
        for entry in self.entries:
            cost.add(entry)
        return cost


def split_submission(work: Submission, us_max: int, *, whole: bool) -> list[SubmissionPart]:
    """A request's entries in parts that cost at most `us_max`, in order; whole: in one part, at any cost."""
    entries = work.entries
    if len(entries) == 1:
        (entry,) = entries
        return [SubmissionPart(work, entries, entry_cost(entry), len(entry.log_bytes), None)]
    if whole:
        cost = CallCost()
        for entry in entries:
            cost.add(entry)
        return [_part(work, entries, cost)]
    return [_part(work, part, cost) for part, cost in portions(entries, us_max)]


def _part(work: Submission, entries: Sequence[PlannedEntry], cost: CallCost) -> SubmissionPart:
    return SubmissionPart(work, entries, cost.us, sum(len(entry.log_bytes) for entry in entries), cost)


class CallBudget:
    """What is left of the bounds of a call while parts join it."""

    def __init__(self) -> None:
        self.cost = 0
        self._entries = self._bytes = 0
        self._parts: list[SubmissionPart] = []
        self._shared: CallCost | None = None

    def add_if_fits(self, part: SubmissionPart) -> bool:
        """Adds a part if it fits, and says whether it did; the first one always does.

        O(1) while the sum of the parts' costs is in bounds. Past that, what they share is looked for: O(the part's
        boards and users), once of all parts.
        """
        entries, size = self._entries + len(part.entries), self._bytes + part.size
        if self._parts and (entries > CALL_ENTRIES_MAX or size > CALL_BYTES_MAX):
            return False
        cost = self._cost_with(part)
        if self._parts and cost > CALL_US_MAX:
            return False
        self._entries, self._bytes, self.cost = entries, size, cost
        self._parts.append(part)
        if self._shared is not None:
            self._shared.merge(part.shared())
        return True

    def _cost_with(self, part: SubmissionPart) -> int:
        if self._shared is None:
            at_most = self.cost + part.cost
            if at_most <= CALL_US_MAX or not self._parts:
                return at_most
            self._shared = CallCost()
            for earlier in self._parts:
                self._shared.merge(earlier.shared())
        return self._shared.us_with(part.shared())


@dataclass(slots=True)
class InFlightCall:
    """One call under way. entries: those of its parts, in order; first_known: the seq known when it was first sent;
    cost: as store/call_cost estimates it; was_sent: whether it was sent before its latest sending."""

    partition: int
    parts: list[SubmissionPart]
    atomic: bool
    first_known: int
    started: float
    cost: int
    sent: bool = False
    was_sent: bool = False
    entries: list[PlannedEntry] = field(init=False)

    def __post_init__(self) -> None:
        self.entries = [entry for part in self.parts for entry in part.entries]

    def fail(self, problem: Problem) -> None:
        """Ends the waits for its entries with a problem."""
        for part in self.parts:
            part.work.fail(problem)


def due_calls(flights: Collection[InFlightCall], us_max: int) -> list[InFlightCall]:
    """The calls of a round: what was sent already, what waits longest, then the small before the large until the round
    costs so much. O(n log n)."""
    ranked = sorted(flights, key=lambda flight: (not flight.sent, flight.cost))
    oldest = min(ranked, key=lambda flight: flight.started, default=None)
    due: list[InFlightCall] = []
    us = 0 if oldest is None else oldest.cost
    for flight in ranked:
        if flight is oldest or flight.sent:
            due.append(flight)
        elif us + flight.cost <= us_max:
            us += flight.cost
            due.append(flight)
    return due

"""Group commit: entries wait for the round under way, then travel together, one script call a partition.

A round is one pipeline with one EVALSHA for each partition that has work; one round trip and one fsync serve all its
entries. Load makes batches larger by itself, and idle adds no wait.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import structlog

from ..metrics import BATCH_ENTRIES, COMMIT_SECONDS
from ..model.entry import Entry
from ..model.errors import Overloaded, Problem, Recovering, StoreUnavailable
from ..store import apply
from ..store.apply import CallRefused, Head, Outcome
from ..store.cost import CALL_BYTES_MAX, CALL_ENTRIES_MAX, CALL_US_MAX, CallCost, Portion, portions, write_cost
from ..store.partitions import read_head
from ..store.redis import LOST, Link, Refused, away

log = structlog.get_logger()

Offsets = Callable[[], Awaitable[dict[int, tuple[int, int, bytes]]]]

#: Script time of entries that wait, as store/cost estimates it: 50,000 grants of the default rules, some two seconds.
BACKLOG_US_MAX = 2_400_000
UNKNOWN_S_MAX = 8.0
UNSENT_S_MAX = 2.0
RETRY_PAUSE_S = 0.05
OFFSETS_S_MAX = 1.0
OFFSETS_PAUSE_S = 10.0


@dataclass(slots=True)
class Work:
    """Entries that one request hands in together; atomic ones go in a call of their own, all or none."""

    entries: list[Entry]
    done: asyncio.Future[list[Outcome]]
    atomic: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    arrived: float = field(default_factory=monotonic)


@dataclass(slots=True)
class Flight:
    """One call under way. `since`: the seq known when it was first sent; −1 while it was sent once only."""

    partition: int
    parts: list[tuple[Work, Sequence[Entry]]]
    atomic: bool
    first_known: int
    started: float
    sent: bool = False

    @property
    def entries(self) -> list[Entry]:
        """All of its entries, in order."""
        return [entry for _, entries in self.parts for entry in entries]


class Committer:
    """The one writer of a process to one Redis. `submit` hands entries in; `run` is its loop."""

    def __init__(self, link: Link, offsets: Offsets, log_max: int, backlog_us_max: int = BACKLOG_US_MAX) -> None:
        self._link = link
        self._offsets = offsets
        self._log_max = log_max
        self._backlog_max = backlog_us_max
        self._backlog = 0
        self._queues: dict[int, deque[tuple[Work, Sequence[Entry]]]] = {}
        self._flights: dict[int, Flight] = {}
        self._heads: dict[int, Head] = {}
        self._known: dict[int, tuple[int, int, bytes]] = {}
        self._flushed: dict[int, tuple[int, int, bytes]] | None = None
        self._asked = 0.0
        self._demoted = False
        self._stopped: dict[int, Problem] = {}
        self._wake = asyncio.Event()
        self.refused: Problem | None = None

    async def submit(self, p: int, entries: list[Entry], atomic: bool = False) -> list[Outcome]:
        """The outcomes of `entries`, in order, once they are on disk. Overloaded, StoreUnavailable, Recovering."""
        parts = [Portion(entries, write_cost(entries))] if atomic else list(portions(entries))
        weight = sum(part.cost for part in parts)
        if self._backlog + weight > self._backlog_max:
            raise Overloaded("too many grants wait already")
        work = Work(entries, asyncio.get_running_loop().create_future(), atomic)
        self._backlog += weight
        queue = self._queues.setdefault(p, deque())
        queue.extend((work, part.entries) for part in parts)
        self._wake.set()
        try:
            return await work.done
        finally:
            self._backlog -= weight

    def head(self, p: int) -> Head | None:
        """What is known of a partition, or None before its first contact."""
        return self._heads.get(p)

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            if not self._flights and not any(self._queues.values()):
                self._wake.clear()
                await self._wake.wait()
            try:
                await self._round()
                self.refused = None
            except LOST as error:
                await self._lost(error)

    async def contact(self, p: int) -> None:
        """Asks a partition whether it would take writes, and learns its head. Recovering, StoreUnavailable."""
        done: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(p, deque()).append((Work([], done), []))
        self._wake.set()
        await done

    async def _round(self) -> None:
        if not self._link.connected:
            self._heads.clear()
            self._flushed = None
        await self._link.connect()
        self._fill()
        await self._learn([p for p in self._flights if p not in self._heads])
        calls, flights = [], []
        for p, flight in list(self._flights.items()):
            if p in self._stopped:
                self._fail(flight, self._stopped[p])
            elif any(entry.generations not in ("", self._heads[p].generations) for entry in flight.entries):
                self._regenerate(flight)
            else:
                again = flight.first_known if flight.sent else -1
                calls.append(apply.pack(p, flight.entries, self._heads[p], again, flight.atomic, self._log_max))
                flights.append(flight)
        if not calls:
            return
        for flight in flights:
            if not flight.sent:
                flight.sent, flight.first_known = True, self._heads[flight.partition].known[1]
        started = monotonic()
        replies = await self._link.run(calls)
        COMMIT_SECONDS.observe(monotonic() - started)
        for flight, reply in zip(flights, replies, strict=True):
            BATCH_ENTRIES.observe(len(flight.entries))
            self._land(flight, reply)
        if self._demoted:
            # This Redis is a replica by now: the name may lead to another one.
            self._demoted = False
            await self._link.close()

    def _fill(self) -> None:
        for p, queue in self._queues.items():
            if p in self._flights or not queue:
                continue
            parts: list[tuple[Work, Sequence[Entry]]] = []
            cost, size, count = CallCost(), 0, 0
            atomic = queue[0][0].atomic
            while queue and (not parts or (not atomic and not queue[0][0].atomic)):
                entries = queue[0][1]
                count += len(entries)
                for entry in entries:
                    size, total = size + len(entry.packed), cost.add(entry)
                if parts and (count > CALL_ENTRIES_MAX or size > CALL_BYTES_MAX or total > CALL_US_MAX):
                    break
                parts.append(queue.popleft())
            self._flights[p] = Flight(p, parts, atomic, -1, monotonic())

    async def _learn(self, partitions: list[int]) -> None:
        if not partitions:
            return
        offsets = await self._ledger_offsets()
        for p in partitions:
            self._stopped.pop(p, None)
            try:
                head = await read_head(self._link, p)
            except CallRefused as refusal:
                self._stop(p, refusal)
                continue
            known = max(self._known.get(p, (0, 0, b"")), offsets.get(p, (0, 0, b"")))
            self._heads[p] = Head(head.epoch, head.generations, head.oldest_starts, known)

    async def _ledger_offsets(self) -> dict[int, tuple[int, int, bytes]]:
        """Postgres' offsets, asked for once a connection: every round waits for the answer. While Postgres is away,
        what this process acknowledged itself still holds the line, and it is asked again after a while."""
        if self._flushed is None and monotonic() - self._asked >= OFFSETS_PAUSE_S:
            self._asked = monotonic()
            try:
                self._flushed = await asyncio.wait_for(self._offsets(), OFFSETS_S_MAX)
                self._asked = 0.0
            except Exception as error:
                log.warning("offsets unknown", error=str(error) or type(error).__name__)
        return self._flushed or {}

    def _land(self, flight: Flight, reply: object) -> None:
        p, head = flight.partition, self._heads[flight.partition]
        try:
            outcomes = apply.read(reply)
        except CallRefused as refusal:
            if refusal.code in ("stale_epoch", "stale_generations"):
                del self._heads[p]
                flight.sent = False
                self._regenerate(flight)
                return
            self._stop(p, refusal)
            self._fail(flight, self._stopped[p])
            self._demoted = self._demoted or refusal.detail.startswith("READONLY")
            return
        for entry, outcome in zip(flight.entries, outcomes, strict=True):
            place = (outcome.epoch or 0, outcome.seq or 0)
            if outcome.code in ("applied", "quarantined") and place > head.known[:2]:
                head.known = (*place, entry.content)
        self._known[p] = head.known
        self._finish(flight, outcomes)

    def _regenerate(self, flight: Flight) -> None:
        """The seen generations moved: who judged by the old ones plans again."""
        del self._flights[flight.partition]
        for work, entries in flight.parts:
            stale = [Outcome("stale_rules", None, None, None, None, None)] * len(entries)
            self._settle(work, stale)

    def _stop(self, p: int, refusal: CallRefused) -> None:
        """Writes to the partition are refused; the next one looks again."""
        kind = StoreUnavailable if refusal.code in ("corrupt", "unwritable") else Recovering
        problem = kind(f"partition {p}: {refusal}")
        if p not in self._stopped:
            log.error("writes refused", partition=p, code=refusal.code, detail=refusal.detail)
        self._stopped[p] = problem
        self._heads.pop(p, None)

    def _finish(self, flight: Flight, outcomes: list[Outcome]) -> None:
        del self._flights[flight.partition]
        start = 0
        for work, entries in flight.parts:
            self._settle(work, outcomes[start : start + len(entries)])
            start += len(entries)

    def _settle(self, work: Work, outcomes: list[Outcome]) -> None:
        work.outcomes += outcomes
        if len(work.outcomes) >= len(work.entries) and not work.done.done():
            work.done.set_result(work.outcomes)

    def _fail(self, flight: Flight, problem: Problem) -> None:
        del self._flights[flight.partition]
        for work, _ in flight.parts:
            if not work.done.done():
                work.done.set_exception(problem)

    async def _lost(self, error: Exception) -> None:
        """What was sent goes again until its outcome is known or a deadline has passed; the rest waits less. Then 503.

        A Redis that is refused by name will not do better soon: what was never sent is refused at once.
        """
        problem = away(error)
        if self.refused is None:
            log.warning("redis lost", error=str(error))
        self.refused = problem
        now = monotonic()
        unsent_s = 0.0 if isinstance(error, Refused) else UNSENT_S_MAX
        for flight in list(self._flights.values()):
            # A mere question has no outcome that could be unknown.
            unknown = flight.sent and bool(flight.entries)
            if now - flight.started >= (UNKNOWN_S_MAX if unknown else unsent_s):
                self._fail(flight, problem)
        for queue in self._queues.values():
            while queue and now - queue[0][0].arrived >= unsent_s:
                work, _ = queue.popleft()
                if not work.done.done():
                    work.done.set_exception(problem)
        await asyncio.sleep(RETRY_PAUSE_S)

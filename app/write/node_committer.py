"""Group commit at one node of Redis: entries wait for the round under way, then travel together, one script call a
partition.

A round is one pipeline with one EVALSHA for each partition that has work; one round trip and one fsync serve all its
entries. Load makes batches larger by itself, and idle adds no wait. Clients take turns, and each has its share of what
may wait: many entries of one do not keep a few of another waiting.
"""

import asyncio
from collections.abc import Callable, Hashable
from time import monotonic

import structlog

from ..drivers.backlog_shares import BacklogShares
from ..drivers.fair_queue import FairQueue
from ..drivers.redis import REDIS_ERRORS, RedisRefused, unavailable
from ..metrics import CALL_ENTRIES, COMMIT_SECONDS
from ..model.errors import Overloaded, Problem, StoreUnavailable
from ..store import apply
from ..store.apply import ELSEWHERE, STALE_PLAN, CallRefused, Outcome, PartitionHead
from ..store.call_cost import CALL_US_MAX
from ..store.clock import TIME
from ..store.partitions import read_marked_heads
from .committer_services import CommitterServices
from .in_flight import CallBudget, InFlightCall, Submission, SubmissionPart, due_calls
from .partition_refusals import PartitionRefusals

log = structlog.get_logger()

#: Script time of entries that wait or are under way, as store/call_cost estimates it: 50,000 grants of the default
#: rules, some two seconds.
BACKLOG_US_MAX = 2_400_000
#: Seconds in which the outcome of what was sent has to become known: a restart of Redis takes less.
UNKNOWN_S_MAX = 8.0
#: Seconds that entries wait until they are sent. After them it is better that the client tries again.
UNSENT_S_MAX = 2.0
#: Seconds between two attempts to reach a Redis that is away.
RETRY_PAUSE_S = 0.05
#: Seconds before a call is sent again that the node did not take, as the partition is on its way to another one.
ELSEWHERE_PAUSE_S = 0.01
#: Seconds between two checks for entries that have waited too long.
SWEEP_S = 0.25
#: Script time that one client gets in a turn: some 60 single grants, beside a part of somebody's batch.
TURN_US = CALL_US_MAX // 8
#: Script time of the entries of a batch that stay together: several parts share a call where nobody else waits.
PART_US_MAX = CALL_US_MAX // 4
#: Script time of a round, in all its calls: so that single grants do not wait for the batches of 16 partitions.
ROUND_US_MAX = 4 * CALL_US_MAX


HandOver = Callable[[int, FairQueue[SubmissionPart] | None, InFlightCall | None], None]


class NodeCommitter:
    """The one writer of a process to one node of Redis. `run` is its loop.

    hand_over: takes the queue and the call under way of a partition that another node holds by now. version: the map of
    nodes by which all its partitions are its own.
    """

    def __init__(self, name: str, services: CommitterServices, hand_over: HandOver) -> None:
        self._name = name
        self._nodes = services.nodes
        self._link = services.nodes.link(name)
        self._clock = services.clock
        self._renew_marks = services.renew_marks
        self._bounds = services.bounds
        self._known = services.known
        self._hand_over = hand_over
        self.version = services.nodes.version
        self.shares = BacklogShares(BACKLOG_US_MAX, "grants")
        self._queues: dict[int, FairQueue[SubmissionPart]] = {}
        self._flights: dict[int, InFlightCall] = {}
        self._round_partitions: set[int] = set()
        self._heads: dict[int, PartitionHead] = {}
        self._demoted = self._is_partition_elsewhere = self._has_map = False
        self._stopped: dict[int, Problem] = {}
        self._refusals = PartitionRefusals()
        self._silent_since: float | None = None
        self._is_sweeping = False
        self._wake = asyncio.Event()
        self.refused: Problem | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._flights and not any(self._queues.values())

    def check(self) -> None:
        """StoreUnavailable where nothing is to wait for this node."""
        self._clock.check()
        if self._is_hung():
            raise self.refused or unavailable(TimeoutError(), self._link.contact)

    def head(self, p: int) -> PartitionHead | None:
        """The known head of a partition; None before its first contact."""
        return self._heads.get(p)

    def queue(self, p: int, lane: Hashable, parts: list[SubmissionPart]) -> None:
        """Adds a request's parts to a partition's queue."""
        turns = self._queues.get(p)
        if turns is None:
            turns = self._queues[p] = FairQueue(TURN_US)
        turns.push(lane, [(part.cost, part) for part in parts])
        self._begin()

    def take(self, p: int, turns: FairQueue[SubmissionPart] | None, flight: InFlightCall | None) -> None:
        """Goes on with a partition that another node held."""
        if turns is not None:
            self._queues[p] = turns
        if flight is not None:
            self._flights[p] = flight
        self._begin()

    def give_away(self) -> None:
        """Hands over the partitions that other nodes hold by now, but for those of the round under way: what that one
        comes to decides. O(partitions)."""
        if self.version == self._nodes.version:
            return
        for p in self._queues.keys() | self._flights.keys():
            if p not in self._round_partitions and self._nodes.of(p) != self._name:
                self._heads.pop(p, None)
                self._hand_over(p, self._queues.pop(p, None), self._flights.pop(p, None))
        if not self._round_partitions:
            self.version = self._nodes.version

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            if self.is_idle:
                self._silent_since = None
                self._wake.clear()
                await self._wake.wait()
            self._silent_since = self._silent_since or monotonic()
            try:
                await self._round()
                self._silent_since = self.refused = None
            except REDIS_ERRORS as error:
                await self._lost(error)
            finally:
                self._round_partitions.clear()
            if self._is_partition_elsewhere:
                self._is_partition_elsewhere = False
                await asyncio.sleep(ELSEWHERE_PAUSE_S)

    def _begin(self) -> None:
        self._wake.set()
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    async def _round(self) -> None:
        if not self._has_map:  # others do not wait while it is learned
            await self._nodes.learn()
            self._has_map = True
        self.give_away()
        if self.is_idle:
            return
        self._link = self._nodes.link(self._name)
        if not self._link.connected:
            self._heads.clear()
        await self._link.connect()
        self._fill_calls()
        due = due_calls(self._flights.values(), ROUND_US_MAX)
        self._round_partitions.update(flight.partition for flight in due)
        await self._load_heads([flight.partition for flight in due if flight.partition not in self._heads])
        calls, flights = [], []
        for flight in due:
            p = flight.partition
            if not flight.sent and all(part.work.done.done() for part in flight.parts):
                del self._flights[p]  # nobody waits any more, and none of it was sent
            elif p in self._stopped:
                self._fail(flight, self._stopped[p])
            elif p not in self._heads:
                pass  # another node has it, or will in a moment
            elif any(entry.generations not in ("", self._heads[p].generations) for entry in flight.entries):
                self._replan_stale(flight)
            else:
                again = flight.first_known if flight.sent else -1
                calls.append(apply.pack(p, flight.entries, self._heads[p], again, flight.atomic, self._bounds(p)))
                flights.append(flight)
        if not calls:
            return
        for flight in flights:
            flight.was_sent = flight.sent
            if not flight.sent:
                flight.sent, flight.first_known = True, self._heads[flight.partition].known[1]
        started, clock_start = monotonic(), self._clock.elapsed()
        if self._clock.is_due(clock_start):
            now, *replies = await self._link.run([TIME, *calls])
            self._clock.learn(now, clock_start)
        else:
            replies = await self._link.run(calls)
        COMMIT_SECONDS.observe(monotonic() - started)
        for flight, reply in zip(flights, replies, strict=True):
            CALL_ENTRIES.observe(len(flight.entries))
            self._handle_reply(flight, reply)
        await self._refusals.close_lost(self._link)
        if self._demoted:
            # This Redis is a replica by now: the name may lead to another one.
            self._demoted = False
            await self._link.close()

    def _fill_calls(self) -> None:
        for p, turns in self._queues.items():
            if p in self._flights or not turns:
                continue
            parts: list[SubmissionPart] = []
            budget, atomic = CallBudget(), turns.peek().work.atomic
            while turns:
                part = turns.peek()
                if (parts and (atomic or part.work.atomic)) or not budget.add_if_fits(part):
                    break
                part.work.begun = True
                parts.append(turns.pop())
            self._flights[p] = InFlightCall(p, parts, atomic, -1, monotonic(), budget.cost)

    async def _load_heads(self, partitions: list[int]) -> None:
        if not partitions:
            return
        heads = await read_marked_heads(self._link, partitions, lambda: self._renew_marks(self._name))
        for p, head in zip(partitions, heads, strict=True):
            self._stopped.pop(p, None)
            if isinstance(head, CallRefused) and head.code == ELSEWHERE:
                self._note_elsewhere(self._flights[p])
                continue
            if isinstance(head, CallRefused):
                self._stop(p, head)
                continue
            own = self._known.get(p, head.known)
            head.known = own if own[0] >= head.recovered else head.known  # What was lost before is settled.
            self._heads[p] = head

    def _handle_reply(self, flight: InFlightCall, reply: object) -> None:
        p, head = flight.partition, self._heads[flight.partition]
        try:
            outcomes = apply.read(reply)
        except CallRefused as refusal:
            if refusal.code == ELSEWHERE:
                flight.sent = flight.was_sent
                del self._heads[p]
                self._note_elsewhere(flight)
                return
            if refusal.code in ("stale_epoch", "stale_generations"):
                del self._heads[p]
                flight.sent = False
                self._replan_stale(flight)
                return
            self._demoted = self._demoted or refusal.detail.startswith("READONLY")
            if flight.entries:
                self._stop(p, refusal)
                self._fail(flight, self._stopped[p])
            else:
                # A call without entries: this head still recognises what counted, even if new grants are refused.
                self._fail(flight, self._refusals.problem(p, refusal))
            return
        for entry, outcome in zip(flight.entries, outcomes, strict=True):
            place = (outcome.epoch or 0, outcome.seq or 0)
            if outcome.code in ("applied", "quarantined") and place > head.known[:2]:
                head.known = (*place, entry.content)
        self._known[p] = head.known
        self._refusals.clear(p)
        self._finish(flight, outcomes)

    def _note_elsewhere(self, flight: InFlightCall) -> None:
        """The node did not take a call, and did nothing of it: it goes again when the map of nodes is learned anew. One
        whose outcome cannot be unknown waits no longer than what was never sent."""
        self._is_partition_elsewhere = True
        self._has_map = False
        self._nodes.doubt()
        if not flight.sent and monotonic() - flight.started >= UNSENT_S_MAX:
            self._fail(flight, StoreUnavailable(f"partition {flight.partition} is between two nodes of Redis"))

    def _replan_stale(self, flight: InFlightCall) -> None:
        """The dedup generations changed: entries that were planned with the old ones are planned again."""
        del self._flights[flight.partition]
        for part in flight.parts:
            self._complete(part.work, [STALE_PLAN] * len(part.entries))

    def _stop(self, p: int, refusal: CallRefused) -> None:
        """Refuses writes to the partition; the next one checks again."""
        self._stopped[p] = self._refusals.problem(p, refusal)
        self._heads.pop(p, None)

    def _finish(self, flight: InFlightCall, outcomes: list[Outcome]) -> None:
        del self._flights[flight.partition]
        start = 0
        for part in flight.parts:
            count = len(part.entries)
            self._complete(part.work, outcomes[start : start + count])
            start += count

    def _complete(self, work: Submission, outcomes: list[Outcome]) -> None:
        work.outcomes += outcomes
        if len(work.outcomes) >= len(work.entries) and not work.done.done():
            work.done.set_result(work.outcomes)

    def _fail(self, flight: InFlightCall, problem: Problem) -> None:
        del self._flights[flight.partition]
        flight.fail(problem)

    async def _lost(self, error: Exception) -> None:
        """Entries that were sent are sent again until their outcome is known or a deadline has passed; the others wait
        less. Then 503. A Redis that the server itself refuses will not change soon: what was never sent is refused at
        once."""
        if not isinstance(error, RedisRefused):
            self._has_map = False
            self._nodes.doubt()
        problem = unavailable(error, self._link.contact)
        if self.refused is None and isinstance(error, RedisRefused):
            log.warning("redis refused", error=str(error))  # StoreContact logs a store that is away.
        self.refused = problem
        now = monotonic()
        unsent_s = 0.0 if isinstance(error, RedisRefused) else UNSENT_S_MAX
        for flight in list(self._flights.values()):
            # A call without entries has no outcome that could be unknown.
            unknown = flight.sent and bool(flight.entries)
            if now - flight.started >= (UNKNOWN_S_MAX if unknown else unsent_s):
                self._fail(flight, problem)
        self._fail_queued(lambda work: now - work.arrived >= unsent_s, problem)
        await asyncio.sleep(RETRY_PAUSE_S)

    def _is_hung(self) -> bool:
        """Whether Redis has been silent for so long that no further entry should wait."""
        return self._silent_since is not None and monotonic() - self._silent_since >= UNSENT_S_MAX

    def _sweep(self) -> None:
        """Ends waits that are too long, also while a round hangs: UNSENT_S_MAX for entries that were not sent,
        UNKNOWN_S_MAX for others. O(jobs that wait)."""
        now, is_hung = monotonic(), self._is_hung()
        problem = self.refused or unavailable(TimeoutError(), self._link.contact)
        for flight in self._flights.values():
            is_unknown = flight.sent and bool(flight.entries)
            if now - flight.started >= UNKNOWN_S_MAX if is_unknown else is_hung:
                flight.fail(problem)
        if is_hung:
            self._fail_queued(lambda work: True, problem)
        else:
            late = self.refused or Overloaded("the grants before this one take too long")
            self._fail_queued(lambda work: not work.begun and now - work.arrived >= UNSENT_S_MAX, late)
        self._is_sweeping = bool(self._flights) or any(self._queues.values())
        if self._is_sweeping:
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _fail_queued(self, is_due: Callable[[Submission], bool], problem: Problem) -> None:
        """Removes from the queues what has waited too long, and what nobody waits for any more."""
        for turns in self._queues.values():
            for part in turns.remove(lambda part: part.work.done.done() or is_due(part.work)):
                part.work.fail(problem)

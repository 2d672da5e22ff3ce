"""Reads at one node of Redis, in rounds: calls wait for the current round and then travel together; equal calls of one
round share a reply."""

import asyncio
from collections.abc import Hashable
from time import monotonic
from typing import Any

from redis.exceptions import TryAgainError

from ..drivers.backlog_shares import BacklogShares
from ..drivers.caller import CALLER, is_stranger
from ..drivers.fair_queue import FairQueue
from ..drivers.redis import REDIS_ERRORS, Call, RedisConnection, unavailable
from ..model.errors import Overloaded, Problem, Recovering
from . import fields, keys
from .change_follower import ChangeFollower
from .partitions import LEDGER_BEHIND, NO_DEPLOYMENT, UNCHECKED, Renew, lost_head, marks_call

#: Calls of one round: some ms of Redis. A call for much data counts as several, here and in all bounds below.
ROUND_CALLS_MAX = 256
#: Calls of a round that are reserved for clients without a key, so that public boards can always be read.
ROUND_STRANGERS_MIN = 64
#: Waiting calls of clients with a key and of the process itself.
BACKLOG_CALLS_MAX = 10_000
#: Waiting calls of clients without a key.
STRANGERS_CALLS_MAX = 5_000
#: Calls of a client in one turn: a board needs one or two.
TURN_CALLS_MAX = 4
#: Seconds in which a call is answered, with its time in the queue: a phone gives up soon after.
WAIT_S_MAX = 2.0
#: Seconds between two checks for calls that have waited too long.
SWEEP_S = 0.25

# Asked for calls whose keys belong to no partition.
_DEPLOYMENT: Call = ("HMGET", keys.DEPLOYMENT, fields.ID, fields.CHECKED)

# Boards are read while Postgres is an older one: they have more than it, not less.
_LEDGER_BEHIND = LEDGER_BEHIND.encode()


class ReadCall:
    """One call and the futures that wait for its reply."""

    __slots__ = ("arrived", "call", "caller", "key", "shares", "taken", "waiters", "weight")

    def __init__(self, call: Call, key: Hashable, caller: str, shares: BacklogShares, weight: int) -> None:
        self.call = call
        self.key = key
        self.caller = caller
        self.shares = shares
        self.weight = weight
        self.waiters: list[asyncio.Future[Any]] = []
        self.arrived = monotonic()
        self.taken = False

    def join(self) -> "asyncio.Future[Any]":
        """A new future of the reply. Each caller has its own: one that is cancelled does not cancel the others."""
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        return waiter

    def answer(self, reply: Any) -> None:
        """Gives the reply to all who wait for it; they raise a Problem or an exception."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(reply)


class NodeReader:
    """The one reader of a process at one node. `run` is its loop. Each round also reads the marks of the partitions
    that it touches, and the numbers of the latest changes that they were told of.

    Clients take turns, those without a key among themselves.
    """

    def __init__(self, name: str, redis: RedisConnection, changes: ChangeFollower, renew_marks: Renew) -> None:
        self._name = name
        self._redis = redis
        self._link = redis.link(name)
        self._changes = changes
        self._renew_marks = renew_marks
        self._was_away = False
        self._waiting: dict[Hashable, ReadCall] = {}
        self._known: FairQueue[ReadCall] = FairQueue(TURN_CALLS_MAX)
        self._strangers: FairQueue[ReadCall] = FairQueue(TURN_CALLS_MAX)
        self._known_shares = BacklogShares(BACKLOG_CALLS_MAX, "reads")
        self._strangers_shares = BacklogShares(STRANGERS_CALLS_MAX, "reads")
        self._sent: list[ReadCall] = []
        self._silent_since: float | None = None
        self._is_sweeping = False
        self._wake = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._waiting and not self._sent

    @property
    def is_silent(self) -> bool:
        """Whether the node has not answered the round under way, or the one before."""
        return self._silent_since is not None

    async def call(self, call: Call, weight: int = 1) -> Any:
        """The reply within WAIT_S_MAX, or an error reply as an exception. weight: how many calls it counts as.

        StoreUnavailable if Redis does not answer, Overloaded if too many calls wait, RateLimited if too many of them
        are this client's.
        """
        key, caller = tuple(call), CALLER.get()
        ticket = self._waiting.get(key)
        if ticket is None:
            if self._is_hung():
                raise unavailable(TimeoutError(), self._link.contact)
            turns, shares = self._class_of(caller)
            shares.take(caller, weight)
            ticket = self._waiting[key] = ReadCall(call, key, caller, shares, weight)
            turns.push(caller, ((weight, ticket),))
            self._begin()
        elif ticket.caller != caller:
            # Another client's queue may be longer: the first turn that comes takes the call.
            self._class_of(caller)[0].push(caller, ((weight, ticket),))
        reply = await ticket.join()
        if isinstance(reply, Problem):
            raise reply
        return reply

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            taken = self._sent = self._take()
            if not taken and self._silent_since is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._silent_since = self._silent_since or monotonic()
            try:
                # A round without calls checks whether a Redis that hung is back.
                replies = await self._round([ticket.call for ticket in taken])
                self._silent_since = None
            except REDIS_ERRORS as error:
                self._was_away = True
                self._redis.doubt()
                replies = [self._loss(error)] * len(taken)
                if not isinstance(error, TimeoutError):
                    self._silent_since = None  # it is gone, not silent: a try takes no time
            for ticket, reply in zip(taken, replies, strict=True):
                ticket.answer(reply)

    def _loss(self, error: Exception) -> Exception:
        """What calls are answered that a node did not answer. Where others have taken its place, they go there."""
        if self._redis.has_map and self._name not in self._redis.names:
            return TryAgainError()
        return unavailable(error, self._link.contact)

    def _class_of(self, caller: str) -> tuple[FairQueue[ReadCall], BacklogShares]:
        if is_stranger(caller):
            return self._strangers, self._strangers_shares
        return self._known, self._known_shares

    def _take(self) -> list[ReadCall]:
        """The calls of the next round."""
        taken: list[ReadCall] = []
        weight = self._take_from(self._known, taken, ROUND_CALLS_MAX - ROUND_STRANGERS_MIN)
        weight += self._take_from(self._strangers, taken, ROUND_CALLS_MAX - weight)
        self._take_from(self._known, taken, ROUND_CALLS_MAX - weight)
        return taken

    def _take_from(self, turns: FairQueue[ReadCall], taken: list[ReadCall], most: int) -> int:
        """Takes calls up to a weight; the last one may exceed it. Returns their weight."""
        weight = 0
        while turns and weight < most:
            ticket = turns.pop()
            if not ticket.taken:
                self._leave(ticket)
                taken.append(ticket)
                weight += ticket.weight
        return weight

    def _leave(self, ticket: ReadCall) -> None:
        """Removes a call from the count of waiting calls."""
        ticket.taken = True
        ticket.shares.give(ticket.caller, ticket.weight)
        del self._waiting[ticket.key]

    async def _round(self, calls: list[Call]) -> list[Any]:
        """The replies of one round. If it meets a Redis that has started anew, that one is compared with the ledger
        first, and the round is sent once more. So is one of several nodes that was away: it may not have been told what
        the others were."""
        self._link = self._redis.link(self._name)
        partitions = [keys.partition_of(call) for call in calls]
        touched = list(dict.fromkeys(p for p in partitions if p is not None))
        replies, problems = await self._send(touched, calls, None in partitions)
        was_away, self._was_away = self._was_away and self._redis.is_cluster, False
        if was_away or any(str(problem) == UNCHECKED for problem in problems.values()):
            await self._link.close()  # Who answers is asked anew: it changes on a live connection, too.
            await self._renew_marks(self._name)
            replies, problems = await self._send(touched, calls, None in partitions)
        if not problems:
            return replies
        answers = zip(partitions, replies, strict=True)
        return [reply if (problem := problems.get(p)) is None else problem for p, reply in answers]

    async def _send(
        self, partitions: list[int], calls: list[Call], has_strays: bool
    ) -> tuple[list[Any], dict[int | None, Any]]:
        """The calls' replies, and why some are not to be used: by partition, None for calls without one, of which there
        are some if `has_strays`. It is tried once more on a new connection, which hides a restart. It is not tried
        again after a timeout, because a Redis that hangs goes on hanging."""
        asks_deployment = has_strays and self._redis.node(keys.DEPLOYMENT) == self._name
        questions = [*map(marks_call, partitions), *([_DEPLOYMENT] if asks_deployment else ()), *calls]
        try:
            replies = await self._link.run(questions)
        except TimeoutError:
            raise
        except REDIS_ERRORS:
            replies = await self._link.run(questions)
        server_id = self._link.server_id(keys.DEPLOYMENT)
        problems: dict[int | None, Any] = {}
        for p, mark in zip(partitions, replies, strict=False):
            if (problem := _problem(p, mark, server_id)) is not None:
                problems[p] = problem
            if isinstance(mark, list) and not self._changes.has_heard(*mark[-2:]):
                changes, profiles = mark[-2:]
                await self._changes.follow(self._link, p, changes=int(changes or 0), profiles=int(profiles or 0))
        if asks_deployment and (problem := _deployment_problem(replies[len(partitions)], server_id)) is not None:
            problems[None] = problem
        return replies[len(questions) - len(calls) :], problems

    def _is_hung(self) -> bool:
        """Whether Redis has been silent for so long that no further call should wait."""
        return self._silent_since is not None and monotonic() - self._silent_since >= WAIT_S_MAX

    def _begin(self) -> None:
        self._wake.set()
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Answers the calls that have waited for WAIT_S_MAX, also while a round hangs. O(calls that wait)."""
        now, is_hung = monotonic(), self._is_hung()
        for ticket in self._sent:
            if is_hung or now - ticket.arrived >= WAIT_S_MAX:
                ticket.answer(unavailable(TimeoutError(), self._link.contact))
        problem: Problem = Overloaded("the reads before this one take too long")
        if is_hung:
            problem = unavailable(TimeoutError(), self._link.contact)
        for turns in (self._known, self._strangers):
            for ticket in turns.remove(lambda waiter: is_hung or now - waiter.arrived >= WAIT_S_MAX):
                if not ticket.taken:
                    self._leave(ticket)
                    ticket.answer(problem)
        self._is_sweeping = bool(self._sent or self._waiting)
        if self._is_sweeping:
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)


def _deployment_problem(reply: Any, server_id: str) -> Any:
    """Why calls without a partition are not answered, by the reply of `_DEPLOYMENT`; None: they are."""
    if isinstance(reply, Exception):
        return reply
    id_, checked = reply
    if id_ is None:
        # Unknown must not be taken for absent.
        return Recovering(f"{NO_DEPLOYMENT}: run leaderboard rebuild")
    return None if checked == server_id.encode() else Recovering(UNCHECKED)


def _problem(p: int, mark: Any, server_id: str) -> Any:
    """Why a partition is not read, by the reply of `marks_call`; None: it is."""
    if isinstance(mark, Exception):
        return mark
    checked, closed, epoch, *_ = mark
    if closed is not None and not closed.startswith(_LEDGER_BEHIND):
        return Recovering(f"partition {p}: {closed.decode(errors='replace')}")
    if epoch is None:
        return Recovering(f"partition {p}: {lost_head(p)}")
    # A partition that was written anew bears no mark yet.
    return None if checked == server_id.encode() else Recovering(UNCHECKED)

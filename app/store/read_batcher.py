"""Reads in rounds: calls wait for the current round and then travel together; equal calls of one round share a
reply."""

import asyncio
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any

from ..drivers.backlog_shares import BacklogShares
from ..drivers.caller import CALLER, is_stranger
from ..drivers.fair_queue import FairQueue
from ..drivers.redis import REDIS_ERRORS, Call, RedisConnection, unavailable
from ..model.errors import Overloaded, Problem, Recovering, StoreUnavailable
from . import fields, keys
from .changes import EVERYTHING, Changed, missed_call, read_missed, read_missed_users

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

_CHANGES: Call = ("HMGET", keys.DEPLOYMENT, fields.ID, fields.CHANGES, fields.PROFILES)


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


class ReadBatcher:
    """The reader of a process. Every round also reads the counters of changes of namespaces and keys, and of profiles.

    Clients take turns, those without a key among themselves.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._change_listeners: list[Callable[[int, Changed], None]] = []
        self._profile_listeners: list[Callable[[int, tuple[str, ...] | None], None]] = []
        self._waiting: dict[Hashable, ReadCall] = {}
        self._known: FairQueue[ReadCall] = FairQueue(TURN_CALLS_MAX)
        self._strangers: FairQueue[ReadCall] = FairQueue(TURN_CALLS_MAX)
        self._known_shares = BacklogShares(BACKLOG_CALLS_MAX, "reads")
        self._strangers_shares = BacklogShares(STRANGERS_CALLS_MAX, "reads")
        self._sent: list[ReadCall] = []
        self._changes = -1
        self._profiles = -1
        self._silent_since: float | None = None
        self._is_sweeping = False
        self._wake = asyncio.Event()

    def subscribe_changes(self, listener: Callable[[int, Changed], None]) -> None:
        """Calls a listener when the number of changes has moved, before the round's answers are given out. It gets the
        number, and what has changed since the call before. Listeners must not depend on each other's order."""
        self._change_listeners.append(listener)

    def subscribe_profiles(self, listener: Callable[[int, tuple[str, ...] | None], None]) -> None:
        """As `subscribe_changes`, for the number of changed profiles; with the users, in order; None: anybody's may
        have changed."""
        self._profile_listeners.append(listener)

    async def call(self, call: Call, weight: int = 1) -> Any:
        """The reply within WAIT_S_MAX; an error reply is raised. weight: how many calls it counts as.

        StoreUnavailable if Redis does not answer, Overloaded if too many calls wait, RateLimited if too many of them
        are this client's.
        """
        key, caller = tuple(call), CALLER.get()
        ticket = self._waiting.get(key)
        if ticket is None:
            if self._is_hung():
                raise unavailable(TimeoutError(), self._connection.contact)
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
        if isinstance(reply, Exception):
            raise StoreUnavailable(f"Redis refuses a read: {reply}")
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
                replies = [unavailable(error, self._connection.contact)] * len(taken)
                if not isinstance(error, TimeoutError):
                    self._silent_since = None  # it is gone, not silent: a try takes no time
            for ticket, reply in zip(taken, replies, strict=True):
                ticket.answer(reply)

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
        """Sends one round. It is tried once more on a new connection, which hides a restart. It is not tried again
        after a timeout, because a Redis that hangs goes on hanging."""
        try:
            changes, *replies = await self._connection.run([_CHANGES, *calls])
        except TimeoutError:
            raise
        except REDIS_ERRORS:
            changes, *replies = await self._connection.run([_CHANGES, *calls])
        if isinstance(changes, Exception):
            return [changes] * len(calls)
        if changes[0] is None:
            self._changes = self._profiles = -1  # its counters may have begun again
            # Unknown must not be taken for absent.
            return [Recovering("this Redis has lost its data, or was never migrated")] * len(calls)
        now = int(changes[1] or 0), int(changes[2] or 0)
        if now != (self._changes, self._profiles):
            await self._follow(*now)
        return replies

    async def _follow(self, changes: int, profiles: int) -> None:
        """Calls the listeners with the changes of both counters, read in one round trip; if they cannot be read, with
        "everything"."""
        calls = missed_call(self._changes, changes), missed_call(self._profiles, profiles, field=fields.PROFILES)
        due = [call for call in calls if call is not None]
        try:
            replies = iter(await self._connection.run(due) if due else ())
        except REDIS_ERRORS:
            replies = iter([None] * len(due))
        reply, users_reply = (None if call is None else next(replies) for call in calls)
        if changes != self._changes:
            changed = EVERYTHING if reply is None else read_missed(reply, self._changes)
            self._changes = changes
            for listener in self._change_listeners:
                listener(changes, changed)
        if profiles != self._profiles:
            users = read_missed_users(users_reply, self._profiles)
            self._profiles = profiles
            for profile_listener in self._profile_listeners:
                profile_listener(profiles, users)

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
                ticket.answer(unavailable(TimeoutError(), self._connection.contact))
        problem: Problem = Overloaded("the reads before this one take too long")
        if is_hung:
            problem = unavailable(TimeoutError(), self._connection.contact)
        for turns in (self._known, self._strangers):
            for ticket in turns.remove(lambda waiter: is_hung or now - waiter.arrived >= WAIT_S_MAX):
                if not ticket.taken:
                    self._leave(ticket)
                    ticket.answer(problem)
        self._is_sweeping = bool(self._sent or self._waiting)
        if self._is_sweeping:
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

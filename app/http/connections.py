"""Every connection of a process: how many there are, how long each may wait, and how much of bodies they hold.

A connection stands in one queue at a time, ordered by the moment at which it came there. All connections of a queue
may stay equally long, so the one that is due first stands in front: a look at the front is all that a sweep costs.
"""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple, Protocol

from ..model.errors import Overloaded, RateLimited

#: The key in the lifespan's state under which the process's `Connections` stand.
CONNECTIONS = "connections"
#: The key in a request's state under which the connection stands that it came by.
CONNECTION = "connection"
#: The key in a scope under which `Cycle.answer` stands: who has a whole answer need not send it in two messages.
ANSWER = "leaderboard.answer"

#: Connections of a process; 20,000 idle ones take about 200 MB. Fewer where the process may open fewer files.
CONNECTIONS_MAX = 20_000
#: Share of the files that a process may open: the rest is for stores, and for those who come while others are closed.
_FILES_SHARE_MAX = 0.75
#: Seconds for the head of a request, from the connection's begin or the head's first byte; a slow phone needs two.
HEAD_S_MAX = 10.0
#: Seconds for a whole body. 40 MB in 60 s is 5 Mbit/s.
BODY_S_MAX = 60.0
#: Bytes a second that a body brings at least, once `BODY_GRACE_S` is over; a phone at its cell's edge does more.
BODY_BYTES_A_S_MIN = 1_024
#: Seconds of a body before its pace counts: a new connection begins slowly.
BODY_GRACE_S = 5.0
#: Seconds between two requests. Proxies keep connections for 60 s or less.
IDLE_S_MAX = 60.0
#: Seconds in which a client that takes its answer takes some of it; less is a client that does not read.
WRITE_S_MAX = 10.0
#: Seconds in which a client takes the last words, a problem or a close frame, before its socket is dropped.
GOODBYE_S_MAX = 2.0
#: Seconds between two looks at the clock for all connections.
_SWEEP_S = 0.1
#: Connections closed in one look: closing one takes 20 µs, and requests wait meanwhile.
_EXPIRED_A_SWEEP_MAX = 100
#: Bytes of bodies that are held for all clients together. A batch of 10,000 lines is 40 MB at most.
BODIES_BYTES_MAX = 256 * 1024 * 1024
#: Bytes of bodies that are held for one key: two of the largest batches.
KEY_BODIES_BYTES_MAX = 80 * 1024 * 1024
#: Bytes of bodies that are held for all clients without a key together; such a body has 512 KB at most.
ANONYMOUS_BODIES_BYTES_MAX = 32 * 1024 * 1024
#: Bytes of bodies that are held for one address without a key.
ADDRESS_BODIES_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """The limits that tests shorten."""

    connections_max: int = CONNECTIONS_MAX
    head_s_max: float = HEAD_S_MAX
    body_s_max: float = BODY_S_MAX
    body_grace_s: float = BODY_GRACE_S
    idle_s_max: float = IDLE_S_MAX
    write_s_max: float = WRITE_S_MAX
    goodbye_s_max: float = GOODBYE_S_MAX
    bodies_bytes_max: int = BODIES_BYTES_MAX
    key_bodies_bytes_max: int = KEY_BODIES_BYTES_MAX
    anonymous_bodies_bytes_max: int = ANONYMOUS_BODIES_BYTES_MAX
    address_bodies_bytes_max: int = ADDRESS_BODIES_BYTES_MAX


class TimedConnection(Protocol):
    """What stands in a queue. `key`: the id of the key that was accepted on it, None without one."""

    key: str | None

    def expire(self, queue: "Queue") -> None:
        """The time in a queue is over; the connection has left it."""

    def check_body(self, now: float, since: float) -> None:
        """Once a second while a body is read."""

    def drop(self) -> None:
        """Ends now, without a word."""


Queue = OrderedDict[TimedConnection, float]


class Connections:
    """The queues. `count`: of all open connections, WebSockets included; `address_of`: the client's, from a scope."""

    def __init__(self, limits: ConnectionLimits, address_of: Callable[[Any], str]) -> None:
        self.limits = limits
        self.address_of = address_of
        self.count = 0
        self.head = Queue()
        self.body = Queue()
        self.idle = Queue()
        self.anonymous_idle = Queue()
        self.blocked = Queue()
        self.goodbye = Queue()
        self.bodies = BodyMemory(self.limits)

    def admit(self) -> bool:
        """Whether one more connection finds room. At the bound the one is dropped that has waited longest without an
        accepted key: for its next request, for its head, or for its body. O(1), mostly."""
        if self.count >= self.limits.connections_max:
            longest = [*_longest(self.anonymous_idle), *_longest(self.head)] or _longest(self.body)
            if not longest:
                return False
            min(longest, key=lambda found: found[1])[0].drop()
        self.count += 1
        return True

    def leave(self) -> None:
        """A connection that was admitted is no more."""
        self.count -= 1

    async def run(self) -> None:
        """Sweeps, for ever."""
        looked = 0.0
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = monotonic()
            self.sweep(now)
            if now - looked >= 1:
                looked = now
                for connection, since in list(self.body.items()):
                    connection.check_body(now, since)

    def sweep(self, now: float) -> None:
        """Ends what has waited too long. O(ended)."""
        limits = self.limits
        queues = (
            (self.head, limits.head_s_max),
            (self.anonymous_idle, limits.idle_s_max),
            (self.idle, limits.idle_s_max),
            (self.blocked, limits.write_s_max),
            (self.goodbye, limits.goodbye_s_max),
        )
        for queue, seconds_max in queues:
            for _ in range(min(len(queue), _EXPIRED_A_SWEEP_MAX)):
                connection, since = next(iter(queue.items()))
                if now - since < seconds_max:
                    break
                del queue[connection]
                connection.expire(queue)


def _longest(queue: Queue) -> list[tuple[TimedConnection, float]]:
    """The one that has stood in a queue longest without an accepted key, and since when."""
    return next(([(held, since)] for held, since in queue.items() if held.key is None), [])


class Owner(NamedTuple):
    """Whose share something takes: a key's id, or without a key the client's address."""

    name: str
    is_key: bool


class BodyMemory:
    """The bytes of bodies that are held: while they come, and while their request is worked on."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._held: dict[Owner, int] = {}
        self.total = 0
        self.anonymous = 0

    def take(self, owner: Owner, size: int) -> None:
        """Counts bytes. RateLimited: the owner holds too much; Overloaded: all together do."""
        limits, held = self._limits, self._held.get(owner, 0) + size
        if held > (limits.key_bodies_bytes_max if owner.is_key else limits.address_bodies_bytes_max):
            raise RateLimited("too many bytes of this client's bodies are held already")
        if self.total + size > limits.bodies_bytes_max:
            raise Overloaded("too many bytes of bodies are held already")
        if not owner.is_key:
            if self.anonymous + size > limits.anonymous_bodies_bytes_max:
                raise Overloaded("too many bytes of bodies without a key are held already")
            self.anonymous += size
        self.total += size
        self._held[owner] = held

    def give_back(self, owner: Owner, size: int) -> None:
        """What was taken."""
        self.total -= size
        if not owner.is_key:
            self.anonymous -= size
        held = self._held[owner] - size
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]


def connections_max() -> int:
    """How many connections this process can hold. Raises its limit of open files as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(CONNECTIONS_MAX / _FILES_SHARE_MAX)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        soft_wanted = max(soft, wanted) if soft != resource.RLIM_INFINITY else soft
    else:
        soft_wanted = hard
    if soft_wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft_wanted, hard))
        soft = soft_wanted
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, int(soft * _FILES_SHARE_MAX))

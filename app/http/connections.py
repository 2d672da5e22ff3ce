"""All connections of a process: how many there are, how long each may wait, how many bytes of bodies they hold.

A connection is in one queue at a time. A queue is ordered by the moment at which its connections entered it, and all
of them may stay equally long. So the first to expire is in front, and a sweep looks only at the front.
"""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple, Protocol

from ..model.errors import Overloaded, RateLimited

#: The name in the lifespan's state of the process's `Connections`.
CONNECTIONS = "connections"
#: The name in a request's state of the connection that it came by.
CONNECTION = "connection"
#: The name in a scope of `Cycle.answer`, which sends a whole answer at once instead of in two messages.
ANSWER = "leaderboard.answer"

#: Connections of a process; 20,000 idle ones take about 200 MB. Fewer where the process may open fewer files.
CONNECTIONS_MAX = 20_000
#: Connections' fraction of the files that a process may open. The rest is for stores, and for clients that come while
#: others are closed.
_FILES_FRACTION_MAX = 0.75
#: Seconds for the head of a request, from the connection's begin or the head's first byte; a slow phone needs two.
HEAD_S_MAX = 10.0
#: Seconds for a whole body. 40 MB in 60 s is 5 Mbit/s.
BODY_S_MAX = 60.0
#: Bytes a second that a body must bring once `BODY_GRACE_S` is over. A phone with a weak signal is faster.
BODY_BYTES_A_S_MIN = 1_024
#: Seconds of a body before its speed is checked: a new connection begins slowly.
BODY_GRACE_S = 5.0
#: Seconds between two requests. Proxies keep connections for 60 s or less.
IDLE_S_MAX = 60.0
#: Seconds in which a client must take some of its answer. One that takes none does not read.
WRITE_S_MAX = 10.0
#: Seconds that a client has to take a final problem or close frame, before its socket is dropped.
GOODBYE_S_MAX = 2.0
#: Seconds between two looks at the clock for all connections.
_SWEEP_S = 0.1
#: Connections that one sweep closes in each queue: closing one takes 20 µs, and requests wait meanwhile.
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
    """A connection in a queue. `api_key_id`: of the key that was accepted on it, None without one."""

    api_key_id: str | None

    def expire(self, queue: "Queue") -> None:
        """The connection's time in a queue is over. It has left the queue already."""

    def check_body(self, now: float, since: float) -> None:
        """Called once a second while a body is read."""

    def drop(self) -> None:
        """Ends the connection at once and sends nothing."""


Queue = OrderedDict[TimedConnection, float]


class Connections:
    """The queues. `count`: of open connections, with WebSockets; `address_of`: the client's address from a scope."""

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
        """Counts one more connection; False if there is no room for it. At the limit it drops the connection without an
        accepted key that has waited longest for its next request or its head, or else for its body. O(1), mostly."""
        if self.count >= self.limits.connections_max:
            longest = [*_longest(self.anonymous_idle), *_longest(self.head)] or _longest(self.body)
            if not longest:
                return False
            min(longest, key=lambda waiting: waiting[1])[0].drop()
        self.count += 1
        return True

    def leave(self) -> None:
        """Counts one connection less: one that was admitted has ended."""
        self.count -= 1

    async def run(self) -> None:
        """Sweeps for ever."""
        checked_at = 0.0
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = monotonic()
            self.sweep(now)
            if now - checked_at >= 1:
                checked_at = now
                for connection, since in list(self.body.items()):
                    connection.check_body(now, since)

    def sweep(self, now: float) -> None:
        """Expires the connections that have waited too long. O(expired)."""
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
    """The connection without an accepted key that has been in a queue longest, and since when. Empty: there is none."""
    return next(([(connection, since)] for connection, since in queue.items() if connection.api_key_id is None), [])


class Owner(NamedTuple):
    """The client that something counts for: a key's id, or the client's address without a key. user: of a client token,
    who has a part of what its key has."""

    name: str
    is_key: bool
    user: str | None = None


class BodyMemory:
    """The bytes of bodies in memory: while they come, and until their requests are answered."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._bytes: dict[Owner, int] = {}
        self.size = 0
        self.anonymous = 0

    def take(self, owner: Owner, size: int) -> None:
        """Counts bytes. RateLimited: the owner has too many; Overloaded: all owners together have."""
        limits, own = self._limits, self._bytes.get(owner, 0) + size
        if own > (limits.key_bodies_bytes_max if owner.is_key else limits.address_bodies_bytes_max):
            raise RateLimited("too many bytes of this client's bodies are held already")
        if self.size + size > limits.bodies_bytes_max:
            raise Overloaded("too many bytes of bodies are held already")
        if not owner.is_key:
            if self.anonymous + size > limits.anonymous_bodies_bytes_max:
                raise Overloaded("too many bytes of bodies without a key are held already")
            self.anonymous += size
        self.size += size
        self._bytes[owner] = own

    def give_back(self, owner: Owner, size: int) -> None:
        """Counts bytes less that were taken before."""
        self.size -= size
        if not owner.is_key:
            self.anonymous -= size
        own = self._bytes[owner] - size
        if own:
            self._bytes[owner] = own
        else:
            del self._bytes[owner]


def connections_max() -> int:
    """The number of connections that this process can have. Raises its limit of open files as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = int(CONNECTIONS_MAX / _FILES_FRACTION_MAX)
    if hard == resource.RLIM_INFINITY or hard >= needed:
        new_soft = max(soft, needed) if soft != resource.RLIM_INFINITY else soft
    else:
        new_soft = hard
    if new_soft != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (new_soft, hard))
        soft = new_soft
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, int(soft * _FILES_FRACTION_MAX))

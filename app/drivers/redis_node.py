"""One connection to one node of Redis."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Protocol

import hiredis
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, NoScriptError, RedisError, ResponseError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeout

from .keepalive import keepalive_options
from .primary_watch import PrimaryWatch
from .scripts import Script
from .store_contact import StoreContact

Call = Sequence[bytes | str | int | float]

_SERVER_ID = re.compile(rb"^(?:run_id|master_replid):(\w+)", re.MULTILINE)
_KEEPALIVE: dict[str, Any] = {"socket_keepalive": True, "socket_keepalive_options": keepalive_options()}


#: Seconds for one pipeline of calls, and for a new connection with its checks, unless a caller names another time. Each
#: call takes some ms, and a restart of Redis less than this.
CALLS_S_MAX = 5.0


#: Seconds for a new connection to be accepted: a host that is cut off says nothing, and its replica may be promoted.
ACCEPT_S_MAX = 2.0


class RedisRefused(Exception):
    """Redis answers but is not as it must be. The text says what is wrong."""


class RedisLink(Protocol):
    """What answers calls: one node, or all of them together."""

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """The replies, in order; an error reply is an exception in its place."""
        ...

    def server_id(self, key: str) -> str:
        """Which Redis answers for a key, see NodeConnection."""
        ...

    async def close(self) -> None:
        """Ends the connection; the next call makes another one."""
        ...


OnConnect = Callable[[RedisLink], Awaitable[None]]
Locate = Callable[[], Awaitable[str]]


class NodeConnection:
    """One connection, used by one caller at a time.

    It never sends a call twice by itself: a lost connection raises ConnectionError or TimeoutError, and the caller
    decides whether its calls may be sent again. `locate` names the URL to connect to, anew for each connection; it
    raises ConnectionError where there is none. `greet` runs on each new connection; it raises RedisRefused to refuse
    it. watch: gives up calls under way to a former primary.

    Each connection knows which Redis answers: its process, and the history of its data. A restart, and a promotion from
    replica to primary, make another one.
    """

    def __init__(
        self,
        locate: Locate,
        contact: StoreContact,
        scripts: Sequence[Script],
        *,
        greet: OnConnect | None = None,
        timeout_s: float = CALLS_S_MAX,
        watch: PrimaryWatch | None = None,
    ) -> None:
        self._locate = locate
        self._scripts = scripts
        self._greet = greet
        self._timeout_s = timeout_s
        self.contact = contact
        self._connection: Connection | None = None
        self._answered_s = 0.0
        self._server_id = ""
        self._watch = watch
        self.url = ""
        self.waits_since_s: float | None = None
        if watch is not None:
            watch.add(self)

    def server_id(self, key: str) -> str:
        """The Redis that answered the last connection, whatever the key; "" before the first one. O(1)."""
        return self._server_id

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and `greet` has accepted it."""
        return self._connection is not None

    async def connect(self) -> None:
        """Connects, loads the scripts and greets, unless that is done. ConnectionError, TimeoutError, RedisRefused."""
        if self._connection is not None:
            return
        start_s = monotonic()
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                self.url = await self._locate()
                connection = _connection(self.url, self._timeout_s)
                await connection.connect()  # type: ignore[no-untyped-call]
                self._connection = connection
                self._answered_s = monotonic()
                await self._load_scripts()
                self._server_id = await self._read_server_id()
                if self._greet is not None:
                    await self._greet(self)
        except BaseException as error:
            self._connection = None
            if connection is not None:
                await _drop(connection)
            if isinstance(error, (RedisError, OSError)):
                self.contact.note_silence(error, start_s)
            if isinstance(error, RedisError):
                raise _plain(error) from error
            raise

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """The replies, in order; an error reply is an exception in its place. Connects if there is no connection."""
        await self.connect()
        connection, start_s = self._connection, monotonic()
        assert connection is not None
        try:
            replies = await self._exchange(connection, calls, timeout_s or self._timeout_s)
            lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if lost:
                await self._load_scripts()
                again = await self._exchange(connection, [calls[i] for i in lost], self._timeout_s)
                for i, reply in zip(lost, again, strict=True):
                    replies[i] = reply
        except BaseException as error:
            # A reply may still be on its way, and a later call would take it for its own: drop the connection.
            self._connection = None
            await _drop(connection)
            if isinstance(error, (RedisError, OSError)):
                is_timeout = isinstance(error, (RedisTimeout, TimeoutError))
                self.contact.note_silence(error, start_s, None if is_timeout else self._answered_s)
            if isinstance(error, RedisError):
                raise _plain(error) from error
            raise
        self.contact.note_answer()
        self._answered_s = monotonic()
        return replies

    async def close(self) -> None:
        """Ends the connection; a call that waits on it raises ConnectionError."""
        if self._connection is not None:
            await _drop(self._connection)
            self._connection = None

    async def _load_scripts(self) -> None:
        assert self._connection is not None
        calls = [("SCRIPT", "LOAD", script.source) for script in self._scripts]
        for reply in await self._exchange(self._connection, calls, self._timeout_s):
            if isinstance(reply, Exception):
                raise RedisRefused(f"Redis refuses SCRIPT LOAD: {reply}")

    async def _read_server_id(self) -> str:
        assert self._connection is not None
        replies = await self._exchange(self._connection, [("INFO", "server"), ("INFO", "replication")], self._timeout_s)
        parts = [_SERVER_ID.findall(reply) for reply in replies if isinstance(reply, bytes)]
        if len(parts) != 2 or not all(parts):
            return ""  # A Sentinel, or a Redis that denies INFO: the store's checks refuse that by name.
        return b".".join(parts[0] + parts[1]).decode()

    async def _exchange(self, connection: Connection, calls: Sequence[Call], timeout_s: float) -> list[Any]:
        if self._watch is not None:
            # Who names more time than usual waits for something to happen.
            self.waits_since_s = monotonic() + max(0.0, timeout_s - self._timeout_s)
            self._watch.note_call()
        packed = [hiredis.pack_command(tuple(call)) for call in calls]  # type: ignore[arg-type]  # its stub wants a 1-tuple
        replies: list[Any] = []
        try:
            await connection.send_packed_command(packed, check_health=False)
            async with asyncio.timeout(timeout_s):
                for _ in calls:
                    try:
                        replies.append(await connection.read_response(disconnect_on_error=False))
                    except ResponseError as error:
                        replies.append(error)
        finally:
            self.waits_since_s = None
        return replies


def is_elsewhere(reply: object) -> bool:
    """Whether a reply says that this node does not hold the call's keys, or not now: nothing was done, and the call may
    be sent again to the node that holds them."""
    return isinstance(reply, (AskError, TryAgainError, ClusterDownError))


def _connection(url: str, timeout_s: float) -> Connection:
    """A connection that is still to be made; it retries nothing by itself."""
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(timeout_s, ACCEPT_S_MAX),
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        **({} if url.startswith("unix:") else _KEEPALIVE),
    )
    return pool.make_connection()  # type: ignore[no-any-return, no-untyped-call]


def _plain(error: RedisError) -> ConnectionError | TimeoutError:
    """The same error as Python's own type, because callers distinguish a Redis that is gone from one that hangs."""
    return TimeoutError(str(error)) if isinstance(error, RedisTimeout) else ConnectionError(str(error))


async def _drop(connection: Connection) -> None:
    try:
        await connection.disconnect(nowait=True)
    except (RedisError, OSError):
        pass

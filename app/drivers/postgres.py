"""Postgres: named queries, small pools of connections."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ..model.errors import Invalid, StoreUnavailable
from .caller import CALLER
from .keepalive import KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES_MAX, UNACKNOWLEDGED_MS_MAX, keep_alive
from .pools import CONNECTIONS_MAX, Pool, PoolName, pool_of
from .postgres_hosts import NoWritableHost, PostgresHosts
from .store_contact import StoreContact, contact

_HERE = Path(__file__).parent.parent / "store"
_HEADING = re.compile(r"^-- (name|fragment): (\w+)\n", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include: (\w+)(?: \((.+)\))?$", re.MULTILINE)
_ARGUMENT = re.compile(r"(\w+) = (.+?)(?=, \w+ = |$)")
_BLANK = re.compile(r"\{\{(\w+)\}\}")
# InternalClientError: asyncpg raises it when the connection breaks while it is returned to its pool.
POSTGRES_ERRORS = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError),
    # A lock that was not free in time, a transaction that Postgres ended: a retry succeeds.
    *(asyncpg.LockNotAvailableError, asyncpg.IdleInTransactionSessionTimeoutError, asyncpg.TransactionRollbackError),
    # A primary that became a standby, or takes no writes for now.
    asyncpg.ReadOnlySQLTransactionError,
)

# Every query is to use its index. A plan that was made while the tables were empty may use any index, and a connection
# keeps it until Postgres analyses them. So each call is planned anew (0.1 to 1 ms), without sequential scans.
PLANNER_SETTINGS = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_custom_plan"}

#: Seconds to connect. A host that does not answer by then is away.
CONNECT_S_MAX = 5.0
#: Seconds that Postgres waits longer than its client, so that the client gives up first and knows why.
GRACE_S = 2.0
#: Seconds that a statement waits for a lock. If a transaction or a migration holds it longer, this statement fails, and
#: those behind it on the same connection go on.
LOCK_S_MAX = 2.0
#: Seconds that a transaction may be idle. Then its client is frozen, and Postgres ends it and frees its locks.
IDLE_TRANSACTION_S_MAX = 30.0


def session(
    statement_s: float, plans: Mapping[str, str] = PLANNER_SETTINGS, idle_s: float = IDLE_TRANSACTION_S_MAX
) -> dict[str, str]:
    """The settings of a session whose statements may take `statement_s` seconds. They hold when the client is frozen or
    gone and keeps no deadline of its own."""
    bounds = {
        "statement_timeout": statement_s + GRACE_S,
        "lock_timeout": min(statement_s, LOCK_S_MAX),
        "idle_in_transaction_session_timeout": idle_s,
    }
    return {
        **plans,
        **{name: f"{seconds * 1000:.0f}" for name, seconds in bounds.items()},
        "tcp_keepalives_idle": str(KEEPALIVE_IDLE_S),
        "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL_S),
        "tcp_keepalives_count": str(KEEPALIVE_PROBES_MAX),
        "tcp_user_timeout": str(UNACKNOWLEDGED_MS_MAX),
    }


async def connect(
    url: str, statement_s: float, plans: Mapping[str, str] = PLANNER_SETTINGS, idle_s: float = IDLE_TRANSACTION_S_MAX
) -> asyncpg.Connection:
    """A connection on which each statement, BEGIN and COMMIT too, may take `statement_s` seconds. asyncpg's errors."""
    store, start_s = contact("Postgres", url), monotonic()
    try:
        connection = await hosts_of(url).connect(
            timeout=CONNECT_S_MAX, command_timeout=statement_s, server_settings=session(statement_s, plans, idle_s)
        )
    except POSTGRES_ERRORS as error:
        if is_silence(error):
            store.note_silence(error, start_s)
        raise
    store.note_answer()
    await watch(connection)
    return connection


@cache
def hosts_of(url: str) -> PostgresHosts:
    """What this process knows of the hosts of a URL: all of its connections begin at the same one."""
    return PostgresHosts(url)


async def watch(connection: Any) -> None:
    """Makes the kernel notice when the server's machine fails."""
    keep_alive(connection._transport.get_extra_info("socket"))


@cache
def queries() -> Mapping[str, str]:
    """The named queries of `store/sql`: name → text."""
    return read_queries(_HERE / "sql")


def read_queries(folder: Path) -> dict[str, str]:
    """Name → text, from the `.sql` files of a folder.

    `-- name: x` begins a query, up to the next heading, and `-- fragment: y` a piece of queries. A line
    `-- include: y (row = l, seq = $5)` stands for the text of the fragment `y`, of any file, with `l` in place of each
    `{{row}}` and `$5` in place of each `{{seq}}`. ValueError: two texts of one name, text before the first heading, an
    include of what is no fragment, a fragment that includes itself, arguments that are not the fragment's blanks.
    """
    texts: dict[str, str] = {}
    names: list[str] = []
    for file in sorted(folder.glob("*.sql")):
        preamble, *parts = _HEADING.split(file.read_text())
        if preamble.strip():
            raise ValueError(f"{file.name}: text before the first heading")
        for kind, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if name in texts:
                raise ValueError(f"{file.name}: there is another query or fragment named {name}")
            texts[name] = text.strip()
            names += [name] if kind == "name" else []

    def complete(name: str, path: tuple[str, ...]) -> str:
        def include(match: re.Match[str]) -> str:
            fragment, arguments = match[1], dict(_ARGUMENT.findall(match[2] or ""))
            if fragment not in texts or fragment in names:
                raise ValueError(f"{name} includes {fragment}, which is no fragment")
            if fragment in path:
                raise ValueError(f"{fragment} includes itself")
            text = complete(fragment, (*path, fragment))
            if arguments.keys() != (blanks := set(_BLANK.findall(text))):
                raise ValueError(f"{name} includes {fragment} with {sorted(arguments)}, which has {sorted(blanks)}")
            return _BLANK.sub(lambda blank: arguments[blank[1]], text)

        return _INCLUDE.sub(include, texts[name])

    return {name: complete(name, (name,)) for name in names}


Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]


class Postgres:
    """Pools that connect when they are needed, so that the server also starts and serves boards while Postgres is away.

    The caller decides the pool: reads without a key, reads by key, and everything else have their own connections.
    """

    def __init__(self, url: str, timeout_s: float = 3) -> None:
        self._timeout_s = timeout_s
        self.contact = contact("Postgres", url)
        settings = session(timeout_s)
        connect_to = hosts_of(url).connect
        self._pools = {
            name: Pool(connect_to, size, timeout_s, settings, watch) for name, size in CONNECTIONS_MAX.items()
        }
        self._pool_name: PoolName | None = None

    @property
    def writes(self) -> "Postgres":
        """The same database, where every caller uses the pool of writes."""
        return self._by(PoolName.WRITES)

    @property
    def searches(self) -> "Postgres":
        """The same database, where every caller uses the pool of searches without a key."""
        return self._by(PoolName.SEARCHES)

    def _by(self, name: PoolName) -> "Postgres":
        other = copy(self)
        other._pool_name = name
        return other

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query. StoreUnavailable, Overloaded."""
        async with self._connection() as connection:
            return list(await connection.fetch(queries()[query], *args, timeout=self._timeout_s))

    async def fetch_one(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a named query. StoreUnavailable, Overloaded."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Fetch]:
        """Runs named queries in one transaction; each sees what was committed before. StoreUnavailable, Overloaded."""
        async with self._connection() as connection, connection.transaction():
            yield self._fetch_on(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Fetch]:
        """Runs named queries that all see one state of the database. StoreUnavailable, Overloaded."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield self._fetch_on(connection)

    async def close(self) -> None:
        """Ends the pools' connections."""
        for pool in self._pools.values():
            pool.terminate()

    def _fetch_on(self, connection: PoolConnectionProxy) -> Fetch:
        async def fetch(query: str, *args: Any) -> list[asyncpg.Record]:
            return list(await connection.fetch(queries()[query], *args, timeout=self._timeout_s))

        return fetch

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        caller, start_s = CALLER.get(), monotonic()
        try:
            async with self._pools[self._pool_name or pool_of(caller)].connection(caller) as connection:
                yield connection
        except POSTGRES_ERRORS as error:
            if is_silence(error):
                self.contact.note_silence(error, start_s)
            raise StoreUnavailable(_silence_of(error, self.contact)) from error
        except asyncpg.DataError as error:
            raise Invalid("has a value that cannot be stored", field="$") from error
        else:
            self.contact.note_answer()


def _silence_of(error: BaseException, store: StoreContact) -> str:
    return f"{error} ({store.setting})" if isinstance(error, NoWritableHost) else store.silence


def is_silence(error: BaseException) -> bool:
    """Whether an error means that Postgres did not answer, rather than that a statement must wait or be retried."""
    return isinstance(error, (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError))

"""Connections to Postgres: a pool for each kind of caller, and in each pool a share for each client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import StrEnum
from time import monotonic
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ..model.errors import Overloaded
from .caller import OWN, is_stranger


class PoolName(StrEnum):
    """A pool by kind of caller. No pool uses the connections of another."""

    ANONYMOUS = "anonymous"  # reads without a key
    SEARCHES = "searches"  # searches for users without a key
    READS = "reads"  # reads by key
    WRITES = "writes"  # corrections, look-ups of grants, administration, and the server's own queries


#: Connections of a pool, in each process. Several workers have several times as many, and Postgres takes 100 by
#: default.
CONNECTIONS_MAX = {PoolName.ANONYMOUS: 2, PoolName.SEARCHES: 2, PoolName.READS: 4, PoolName.WRITES: 4}
#: Queries of one client that may wait for its share of a pool. A page of the console makes ten at once.
WAITING_MAX = 32


def pool_of(caller: str) -> PoolName:
    """The pool that a caller's reads use."""
    if caller == OWN:
        return PoolName.WRITES
    return PoolName.ANONYMOUS if is_stranger(caller) else PoolName.READS


Connect = Callable[..., Coroutine[Any, Any, asyncpg.Connection]]


class _ClientShare:
    """A client's share of a pool. free: connections that it may still use; asking: its queries, with waiting ones."""

    def __init__(self, most: int) -> None:
        self.free = asyncio.Semaphore(most)
        self.asking = 0


class Pool:
    """The connections of one pool. One client may use all but one of them."""

    def __init__(
        self,
        connect: Connect,
        size: int,
        timeout_s: float,
        settings: dict[str, str],
        init: Callable[[Any], Coroutine[Any, Any, None]],
    ) -> None:
        self._connect = connect
        self._size = size
        self._timeout_s = timeout_s
        self._settings = settings
        self._init = init
        self._pool: asyncpg.Pool | None = None
        self._shares: dict[str, _ClientShare] = {}

    @asynccontextmanager
    async def connection(self, client: str) -> AsyncIterator[PoolConnectionProxy]:
        """A connection for a client within the deadline. Overloaded beyond its share; TimeoutError, asyncpg errors."""
        until = monotonic() + self._timeout_s
        if client == OWN:
            async with (await self._ready()).acquire(timeout=self._timeout_s) as connection:
                yield connection
            return
        share = self._shares.setdefault(client, _ClientShare(max(1, self._size - 1)))
        if share.asking >= WAITING_MAX:
            raise Overloaded("this client asks the ledger for too much at once")
        share.asking += 1
        try:
            try:
                await asyncio.wait_for(share.free.acquire(), self._timeout_s)
            except TimeoutError:
                raise Overloaded("this client's questions to the ledger take all of its share") from None
            try:
                pool = await self._ready()
                async with pool.acquire(timeout=max(0.001, until - monotonic())) as connection:
                    yield connection
            finally:
                share.free.release()
        finally:
            share.asking -= 1
            if not share.asking:
                self._shares.pop(client, None)

    def terminate(self) -> None:
        """Ends the connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _ready(self) -> asyncpg.Pool:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                connect=self._connect,
                min_size=0,
                max_size=self._size,
                timeout=self._timeout_s,
                command_timeout=self._timeout_s,
                server_settings=self._settings,
                init=self._init,
            )
        return self._pool

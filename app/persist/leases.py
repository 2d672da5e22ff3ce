"""Which persister has which partition: rows in Postgres, heartbeats by its clock, and a lock in each session.

A persister that ends leaves no session behind, and its partitions are free at once. One that hangs (SIGSTOP, a machine
that swaps) keeps its sessions and their locks. When it has sent no heartbeat for LEASE_S, another persister ends these
sessions and takes its partitions. If it wakes up and tries to commit, that is refused: the ledger's rows by `advance`,
everything else by `fence`.
"""

from collections.abc import Collection

import asyncpg
import structlog

from ..drivers.postgres import queries

log = structlog.get_logger()

#: Class of the advisory locks that say which persister a session belongs to.
LOCK_PRESENCE = 0x6C62_0002
#: Seconds without a heartbeat after which a persister counts as hung: ten beats, so that a busy machine is no hung one.
LEASE_S = 10.0


class Superseded(Exception):
    """Another persister has the partition or moved its offset: this one woke up late, and nothing was written."""


class SessionEnded(Superseded):
    """Postgres ended the session, as another persister told it to, or because a transaction was idle for too long: with
    its lock went what said that this persister lives. Only a commit that was under way may have been done."""


class Leases:
    """The leases of a persister, as one of its sessions reads and takes them. number: the persister's."""

    def __init__(self, connection: asyncpg.Connection, number: int) -> None:
        self._connection = connection
        self.number = number
        self._hung: set[int] = set()  # persisters whose sessions this one has ended, or may not end

    @classmethod
    async def register(cls, connection: asyncpg.Connection, number: int | None = None) -> "Leases":
        """Registers a session. number: the persister's; None for its first connection, which draws one. asyncpg's
        errors."""
        if number is None:
            await connection.execute(queries()["delete_stale_persisters"])
            await connection.execute(queries()["create_leases"])
            number = int(await connection.fetchval(queries()["register_persister"]))
        await connection.execute(queries()["lock_presence"], LOCK_PRESENCE, number)
        return cls(connection, number)

    async def live(self) -> list[int]:
        """The numbers of live persisters, with this one, in order. Ends the sessions of those that hang."""
        rows = await self._connection.fetch(queries()["get_persisters"], LOCK_PRESENCE, LEASE_S)
        for row in rows:
            if not row["is_live"] and row["number"] != self.number:
                await self._end(row["number"])
        return sorted({self.number, *(row["number"] for row in rows if row["is_live"])})

    async def _end(self, number: int) -> None:
        if number in self._hung:
            return
        self._hung.add(number)
        log.warning("a persister hangs: its partitions are taken over", persister=number, silent_s=LEASE_S)
        try:
            await self._connection.execute(queries()["terminate_persister"], LOCK_PRESENCE, number)
        except asyncpg.InsufficientPrivilegeError as error:
            # Its transactions end by Postgres's own deadlines instead, and none of them can commit.
            log.warning("its sessions cannot be ended", persister=number, error=str(error))

    async def get_partitions(self) -> set[int]:
        """The partitions that belong to this persister."""
        rows = await self._connection.fetch(queries()["get_leases"], self.number)
        return {row["partition"] for row in rows}

    async def take(self, partitions: Collection[int], most: int) -> list[int]:
        """Takes at most `most` of the partitions that no live persister has. Returns those taken, in order."""
        bounds = most, LOCK_PRESENCE, LEASE_S
        rows = await self._connection.fetch(queries()["take_leases"], self.number, list(partitions), *bounds)
        return sorted(row["partition"] for row in rows)

    async def release(self, partitions: Collection[int]) -> set[int]:
        """Gives up partitions. Returns those that were given up."""
        rows = await self._connection.fetch(queries()["release_leases"], self.number, list(partitions))
        return {row["partition"] for row in rows}

    async def fence(self, p: int) -> None:
        """Locks the lease until the commit; call it as the last statement of a transaction. Superseded if the lease is
        lost."""
        if not await self._connection.fetch(queries()["lock_lease"], p, self.number):
            raise Superseded(f"another persister has partition {p}")

"""A partition, or one namespace of it, written anew from the ledger while all other partitions serve.

Where its log in Redis and the ledger have a last entry in common, only what changed behind that may be written. The
partition is closed meanwhile. A rebuild that was killed is started again: it goes on behind the last user that was
written. Redis tells how far it is, in the very calls that write users, so a Redis that loses these loses that, too.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import msgspec

from ..drivers.postgres import connect, queries
from ..drivers.redis import RedisConnection, RedisRefused, ask
from ..model.entry import marker_entry
from ..model.entry_kinds import REBUILD
from ..model.entry_names import digest_of, rebuild_name
from ..model.ledger_chain import LedgerChain
from ..model.namespace import Namespace
from ..persist.ledger_session import LedgerSession
from ..persist.log_reader import ROWS_MAX, PartitionStopped, rows_behind
from ..store.archived_windows import EVICT_ARCHIVED_WINDOW
from ..store.ledger_offset import LedgerOffset
from ..store.ledger_reach import read_reach
from ..store.namespace_cache import namespace_from_row
from ..store.partitions import LEDGER_BEHIND
from ..store.rebuilds import (
    OPEN_PARTITION,
    RebuildHead,
    clear_keys,
    close_partition,
    delete_generations,
    holds_entry,
    is_open,
    log_page_call,
    open_call,
    read_asides,
    read_closed,
    read_last_entry,
    read_rebuild_head,
    set_log_aside,
    write_progress,
)
from ..store.rebuilt_users import REBUILD_USERS, read_progress
from ..store.state_history import compare_state, read_state_notes
from ..verify.report import Progress
from .archived_windows import ArchivedWindows
from .fork import BEGINNING, Fork, ForkChanges, find_fork, read_fork_changes
from .namespace_rebuild import NamespaceRebuild
from .partition_hold import STATEMENT_S_MAX, hold_partition
from .progress import RebuildMoved, RebuildProgress, clearing_text, fork_of_clearing
from .recent_grants import remember_recent_grants

#: A plan that did not know how many users it is for would compare each with each; none may scan a whole table.
PLANS = {"jit": "off", "enable_seqscan": "off", "plan_cache_mode": "force_custom_plan", "work_mem": "64MB"}
#: Seconds that one call of a rebuild to Redis may take: it waits behind other calls.
REDIS_S_MAX = 60.0
#: The scripts that a connection of a rebuild knows.
SCRIPTS = (REBUILD_USERS, OPEN_PARTITION, EVICT_ARCHIVED_WINDOW)
#: Generations of dedup that an epoch may begin: each has a number that no epoch before it had.
_GENERATIONS_AN_EPOCH = 1_000_000


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild did. fork: behind which entry it wrote what has changed, BEGINNING: it wrote all; scores: on
    boards."""

    partition: int
    epoch: int = 0
    seq: int = 0
    fork: Fork = BEGINNING
    users: int = 0
    scores: int = 0
    is_resumed: bool = False


class PartitionRebuild:
    """One rebuild, of a partition or of one namespace in it. from_fork: only what changed behind the last entry that
    log and ledger have in common, if there is one; chain: makes the hashes of rows that the log holds and the ledger
    lacks."""

    def __init__(
        self,
        postgres_url: str,
        redis_url: str,
        p: int,
        progress: Progress,
        namespace_id: int | None = None,
        *,
        chain: LedgerChain,
        from_fork: bool = False,
    ) -> None:
        self._chain = chain
        self._from_fork = from_fork
        self._postgres_url = postgres_url
        self._partition = p
        self._namespace_id = namespace_id
        self._progress = progress
        self._link = RedisConnection(redis_url, SCRIPTS, timeout_s=REDIS_S_MAX)
        self._epoch = 0  # that the partition had, as far as Redis knew
        self.report = RebuildReport(p)

    async def run(self) -> RebuildReport:
        """Closes, writes and opens. RedisRefused, RebuildMoved; the stores' errors. O(its entries × log n)."""
        connection = await connect(self._postgres_url, STATEMENT_S_MAX, PLANS)
        try:
            async with self._lease(connection) as session:
                await self._rebuild(connection, session)
        finally:
            connection.terminate()
            await self._link.close()
        return self.report

    @asynccontextmanager
    async def _lease(self, connection: asyncpg.Connection) -> AsyncIterator[LedgerSession]:
        """Closes the partition and holds it as its persister would: nobody else writes its rows."""
        p = self._partition
        closed = await read_closed(self._link, p)
        if closed is not None and closed.startswith(LEDGER_BEHIND) and await self._is_behind(connection):
            # What Redis has and the ledger lacks would be gone.
            raise RedisRefused(f"partition {p}: {closed}")
        command = f"leaderboard {'recover' if self._from_fork else 'rebuild'} --partition {p}"
        self._epoch = await close_partition(
            self._link, p, f"recovering: a command or a persister writes it anew; if none runs, run {command} again"
        )
        async with hold_partition(self._postgres_url, p, self._chain) as session:
            if await is_open(self._link, p):
                # The one that had the lease has opened it meanwhile.
                raise RebuildMoved(f"another rebuild, or a persister, opened partition {p}: it serves again")
            yield session

    async def _is_behind(self, connection: asyncpg.Connection) -> bool:
        """Whether Postgres is the older one still: Redis may have come back with a mark of earlier."""

        async def fetch(query: str, *args: object) -> list[asyncpg.Record]:
            return list(await connection.fetch(queries()[query], *args))

        notes = await read_state_notes(self._link, [self._partition])
        (reach,) = await read_reach(self._link, await fetch("get_offsets_of", [self._partition]))
        lacks_rows = reach.loss is not None and reach.loss.startswith(LEDGER_BEHIND)
        return lacks_rows or (await compare_state(fetch, list(notes.values()))).behind is not None

    async def _rebuild(self, connection: asyncpg.Connection, session: LedgerSession) -> None:
        p, link = self._partition, self._link
        head = await read_rebuild_head(link, p)
        progress = RebuildProgress.parse(head.progress)
        namespaces = await self._namespaces(connection, head, progress)
        end = await self._drain(session)
        is_whole = head.seq == end.seq and await holds_entry(link, p, end)
        changes: ForkChanges | None = None
        if progress is None or not self._goes_on(progress):
            fork = await self._fork(session, head, end, is_whole=is_whole)
            changes, progress = await self._begin(connection, session, head, fork, is_whole=is_whole)
        else:
            self.report.is_resumed = True
        if changes is None:
            changes = await read_fork_changes(link, connection, p, progress.fork, head.asides)
        self.report.fork = progress.fork
        now = await connection.fetchval(queries()["get_last_moment"], p, end.epoch, end.seq)
        await self._count(connection, changes)
        await ArchivedWindows(connection, link, namespaces, changes, end).evict()
        for namespace in namespaces:
            if namespace.id >= progress.namespace_id and changes.concern(namespace.id):
                self._progress.at(namespace.name)
                numbers = await changes.numbers(connection, namespace.id)
                one = NamespaceRebuild(connection, link, namespace, end, now, self._step, numbers)
                progress = await one.run(progress)
                self.report.scores += one.scores
        generation = complete_since = 0
        if not is_whole:
            generation = progress.epoch * _GENERATIONS_AN_EPOCH
            complete_since = await remember_recent_grants(connection, link, p, end, now=now, generation=generation)
        await session.leases.fence(p)
        await self._open(progress, end, now, generation=generation, complete_since=complete_since)
        await session.forget_faults(p)  # its persister has reported that the log stops

    def _step(self, users: int) -> None:
        self.report.users += users
        self._progress.step(users)

    async def _namespaces(
        self, connection: asyncpg.Connection, head: RebuildHead, progress: RebuildProgress | None
    ) -> list[Namespace]:
        """What is written. RedisRefused for one namespace of a partition that must be written as a whole."""
        rows = await connection.fetch(queries()["get_namespaces_of_partitions"], [self._partition])
        namespaces = [namespace_from_row(row) for row in rows]
        if self._namespace_id is None:
            return namespaces
        if head.seq is None or (progress is not None and progress.only_id == 0):
            p = self._partition
            raise RedisRefused(f"partition {p} must be rebuilt as a whole: run leaderboard rebuild --partition {p}")
        return [namespace for namespace in namespaces if namespace.id == self._namespace_id]

    async def _drain(self, session: LedgerSession) -> LedgerOffset:
        """Writes what the log holds behind the ledger, if the log goes on where the ledger ends; where that is then."""
        p = self._partition
        offset = await session.offset(p)
        while await holds_entry(self._link, p, offset):
            page = await ask(self._link, log_page_call(p, (offset.epoch, offset.seq), ROWS_MAX))
            if not page:
                break
            try:
                rows = rows_behind(p, page, offset)
            except PartitionStopped:
                break
            failed = await session.write({p: (offset, rows)})
            if failed:
                raise failed[p]
            offset = LedgerOffset(rows[-1].epoch, rows[-1].seq, rows[-1].digest)
        return offset

    def _goes_on(self, progress: RebuildProgress) -> bool:
        """Whether this rebuild is the one that a progress tells of."""
        is_enough = self._from_fork or progress.fork == BEGINNING
        return progress.only_id == (self._namespace_id or 0) and is_enough

    async def _fork(self, session: LedgerSession, head: RebuildHead, end: LedgerOffset, *, is_whole: bool) -> Fork:
        """Behind which entry is written what has changed. A rebuild that was killed while it cleared knew it."""
        if not self._from_fork or head.seq is None:
            return BEGINNING
        if (fork := fork_of_clearing(head.progress)) is not None:
            return fork
        if head.progress:
            return BEGINNING  # A call failed half-way, or another rebuild was under way.
        if is_whole:
            return Fork(end.epoch, end.seq)
        return await find_fork(self._link, session, self._partition, head.seq)

    async def _begin(
        self,
        connection: asyncpg.Connection,
        session: LedgerSession,
        head: RebuildHead,
        fork: Fork,
        *,
        is_whole: bool,
    ) -> tuple[ForkChanges, RebuildProgress]:
        """Raises the epoch, and clears what is written anew."""
        p, link = self._partition, self._link
        (row,) = await session.fetch("raise_epoch", p, self._epoch)
        epoch = row["newest_epoch"]
        await write_progress(link, p, clearing_text(epoch, fork))
        if not is_whole and not await self._is_in_ledger(session):
            await set_log_aside(link, p, epoch, fork, head.asides)
        changes = await read_fork_changes(link, connection, p, fork, await read_asides(link, p))
        if fork == BEGINNING or changes.whole:
            ids = changes.whole if fork != BEGINNING else None if self._namespace_id is None else {self._namespace_id}
            async for _ in clear_keys(link, p, ids, whole_log=is_whole):
                pass
        elif not is_whole:
            await delete_generations(link, p, head.generations)
        progress = RebuildProgress(epoch, self._namespace_id or 0, fork_epoch=fork.epoch, fork_seq=fork.seq)
        await write_progress(link, p, str(progress))
        return changes, progress

    async def _count(self, connection: asyncpg.Connection, changes: ForkChanges) -> None:
        """Tells the progress how many users a recovery writes."""
        if self._from_fork:
            ids = None if changes.fork == BEGINNING else list(changes.whole)
            (row,) = await connection.fetch(queries()["count_users_of_namespaces"], self._partition, ids)
            users = (count for namespace_id, count in changes.users.items() if namespace_id not in changes.whole)
            self._progress.begin(row["users"] + sum(users))

    async def _is_in_ledger(self, session: LedgerSession) -> bool:
        """Whether the ledger holds the last entry of the log as the log does, and so all of it."""
        last = await read_last_entry(self._link, self._partition)
        if last is None:
            return True
        rows = await session.fetch("get_digest", self._partition, last.epoch, last.seq)
        return bool(rows) and bytes(rows[0]["digest"]) == last.digest

    async def _open(
        self, progress: RebuildProgress, end: LedgerOffset, now: int, *, generation: int, complete_since: int
    ) -> None:
        p, epoch = self._partition, progress.epoch
        name = rebuild_name(p, epoch)
        body = msgspec.msgpack.encode(marker_entry(REBUILD, 0, name, now))
        (reply,) = await self._link.run(
            [
                open_call(
                    p,
                    progress=str(progress),
                    epoch=epoch,
                    end=end,
                    digest=digest_of(name),
                    body=body,
                    moment=now,
                    generation=generation,
                    complete_since=complete_since,
                    is_settled=bool(await read_asides(self._link, p)),
                )
            ]
        )
        if (other := read_progress(reply)) is not None:
            raise RebuildMoved(f"another rebuild writes partition {p}, and is at {other!r}: wait until it has ended")
        self.report.epoch, self.report.seq = epoch, end.seq + 1

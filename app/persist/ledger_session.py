"""The persister's connection to the ledger: it writes rows, or does chores."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import msgspec

from ..drivers.postgres import POSTGRES_ERRORS, connect, queries
from ..drivers.postgres_micros import use_micros
from ..model.entry import LogEntry
from ..model.entry_kinds import DUPLICATE
from ..model.ledger_chain import LedgerChain
from ..model.namespace import Rules
from ..store.ledger_offset import LedgerOffset
from .audit import record_audit
from .closed_windows import ClosedWindows
from .dead_letters import note_dead_letters
from .entry_meta import copy_meta
from .failure import cause_of, code_of, is_bisected, is_of_row, refusal_of
from .faults import EVERYWHERE, WorkUnit
from .latest_acceptable import note_latest_acceptable
from .leases import LOCK_PRESENCE, Leases, SessionEnded, Superseded
from .ledger_row import BARE, FULL, OWNER, LedgerRow, unpack
from .namespace_partitions import NamespacePartitions
from .row_chain import RECORD_COLUMNS, chain_records
from .searchable_users import add_searchable_users
from .time_buckets import add_board_sums, count_in_time

#: Users whose numbers are cached. Beyond them the cache is cleared, and numbers are read again.
USERS_CACHE_MAX = 1_000_000
#: Duplicates of a partition that one query reads.
STRAYS_MAX = 10_000
#: Seconds that a statement of the writing connection may take: a transaction takes 10,000 rows in less than one.
STATEMENT_S_MAX = 30.0
#: Rows that are counted by time in one transaction: a tenth of a second, so that others wait for it no longer.
COUNT_ROWS_MAX = 5_000
#: How Postgres says that it ends a session; asyncpg notices only later that the connection is closed.
SESSION_ENDS = (
    asyncpg.AdminShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresConnectionError,
)


class UnhealedDuplicate(NamedTuple):
    """A duplicate that is not taken back yet. claimed: its entry; live_delta: live grants that it added; healed_seq:
    the seq of the heal, if it exists and is not recorded as such."""

    epoch: int
    seq: int
    claimed: LogEntry
    live_delta: int
    healed_seq: int | None


class LedgerSession:
    """One raw connection. On any doubt it is terminated, and its open transaction is rolled back."""

    def __init__(self, connection: asyncpg.Connection, leases: Leases, chain: LedgerChain | None) -> None:
        self._connection = connection
        self._chain = chain
        self._users: dict[str, int] = {}
        self.leases = leases
        self.seals = ClosedWindows(connection)
        self._namespaces = NamespacePartitions(connection)
        self._erasures = 0
        self._newest_epochs: dict[int, int] = {}  # when a partition's offset was read

    @classmethod
    async def connect(
        cls, url: str, number: int | None = None, statement_s: float = STATEMENT_S_MAX, chain: LedgerChain | None = None
    ) -> "LedgerSession":
        """A connection of a new persister, or of the one with a number; statement_s: what a statement may take; chain:
        makes the hashes of rows; who writes none needs none."""
        connection = await connect(url, statement_s)
        try:
            await use_micros(connection)
            await connection.execute(queries()["create_archive_tables"])
            return cls(connection, await Leases.register(connection, number), chain)
        except BaseException:
            connection.terminate()
            raise

    @property
    def connection(self) -> asyncpg.Connection:
        """For what is read by whole queries of the store."""
        return self._connection

    def terminate(self) -> None:
        """Drops the connection at once."""
        self._connection.terminate()

    async def offset(self, p: int) -> LedgerOffset:
        """A partition's offset. If an epoch begins later, no row is written until this was read anew."""
        row = await self._connection.fetchrow(queries()["get_offset"], p)
        assert row is not None
        self._newest_epochs[p] = row["newest_epoch"]
        return LedgerOffset(row["epoch"], row["seq"], bytes(row["digest"]), row["fence_epoch"])

    async def write(self, by_partition: dict[int, tuple[LedgerOffset, list[LedgerRow]]]) -> dict[int, Exception]:
        """Writes rows, standings and offsets of some partitions in one transaction. Returns the partitions that must
        wait because the store cannot take them now, each with its error. Superseded; asyncpg's errors if the connection
        is gone.

        The common case is one COPY. Only if it fails are the partitions, and then their rows, written one by one.
        """
        try:
            await self._transaction(by_partition)
            return {}
        except Exception as error:
            self._raise_if_gone(error)
            if len(by_partition) == 1 and not is_bisected(error):
                return dict.fromkeys(by_partition, error)
        failed: dict[int, Exception] = {}
        for p, (offset, rows) in by_partition.items():
            try:
                await self._isolate(p, offset, rows)
            except Exception as error:
                self._raise_if_gone(error)
                failed[p] = error
        return failed

    def _raise_if_gone(self, error: Exception) -> None:
        if isinstance(error, Superseded) or self._connection.is_closed():
            raise error

    async def _isolate(self, p: int, offset: LedgerOffset, rows: list[LedgerRow]) -> None:
        """Marks the rows that the ledger has already. Halves rows that Postgres cannot take until the wrong one is
        alone, and makes that one a dead letter."""
        try:
            await self._mark_duplicates(p, rows)
            await self._transaction({p: (offset, rows)})
            return
        except Exception as error:
            if self._connection.is_closed() or not is_bisected(error) or (len(rows) == 1 and not is_of_row(error)):
                raise
            cause = error
        if len(rows) == 1:
            await self._bury(p, offset, rows[0], cause)
            return
        half = len(rows) // 2
        await self._isolate(p, offset, rows[:half])
        last = rows[half - 1]
        await self._isolate(p, LedgerOffset(last.epoch, last.seq, last.digest), rows[half:])

    async def _bury(self, p: int, offset: LedgerOffset, row: LedgerRow, cause: Exception) -> None:
        """Writes a tombstone instead of the row, with as much of it as Postgres takes."""
        row.fault, row.code = cause_of(cause), code_of(cause)
        for row.tombstone in (FULL, OWNER, BARE):
            try:
                await self._transaction({p: (offset, [row])})
                return
            except Exception as error:
                if not is_of_row(error) or self._connection.is_closed() or row.tombstone == BARE:
                    raise

    async def _transaction(self, by_partition: dict[int, tuple[LedgerOffset, list[LedgerRow]]]) -> None:
        everything = [row for _, rows in by_partition.values() for row in rows]
        await self._namespaces.check(everything)
        users = {row.entry.user for row in everything if row.entry is not None and row.counts and row.entry.user}
        numbers = await self._numbers(users)
        async with self._connection.transaction():
            ends = await self._copy_rows(by_partition, numbers)
            await copy_meta(self._connection, (row for row in everything if row.fault is None), numbers)
            await note_dead_letters(self._connection, everything)
            spans = _spans(by_partition)
            newcomers = list(await self._connection.fetch(queries()["add_standings"], *spans))
            await add_board_sums(self._connection, everything)
            await note_latest_acceptable(self._connection, everything)
            await self.seals.note(everything)
            await record_audit(self._connection, everything, newcomers)
            for p, (offset, rows) in by_partition.items():
                last = rows[-1]
                places = offset.epoch, offset.seq, last.epoch, last.seq, last.digest
                newest_epoch = self._newest_epochs.get(p)
                done = await self._connection.execute(
                    queries()["advance_offset"], p, *places, self.leases.number, *ends[p], newest_epoch
                )
                if done != "UPDATE 1":
                    raise await refusal_of(self.fetch, p, (last.epoch, last.seq), newest_epoch)

    async def count(self, p: int) -> int:
        """Counts up to COUNT_ROWS_MAX further rows of a partition by time, in a transaction of its own, and lets
        searches find their users. Returns the number of rows. O(rows × log n). Superseded."""
        async with self.fenced(p):
            rows = await self._connection.fetch(queries()["get_uncounted_span"], p, COUNT_ROWS_MAX)
            for row in rows:
                span = [[value] for value in row]
                await count_in_time(self._connection, span)
                await add_searchable_users(self._connection, span)
                if not await self._connection.fetch(queries()["advance_counted_offset"], *row):
                    raise Superseded(f"another persister counts partition {p}")
        return sum(row["seq"] - row["counted_seq"] for row in rows)

    async def _numbers(self, names: set[str]) -> Mapping[str, int]:
        """The users' surrogate numbers. New ones are committed at once, so that persisters with the same new name do
        not wait for each other's long transactions. A number without a row does no harm."""
        erasures = await self._connection.fetchval(queries()["count_erasures"])
        if erasures != self._erasures:
            # An erased name may belong to a new user now. No row of the new user was read before the erasure was
            # counted.
            self._users.clear()
            self._erasures = erasures
        unknown = sorted(names - self._users.keys())
        if unknown:
            if len(self._users) + len(unknown) > USERS_CACHE_MAX:
                self._users.clear()
                unknown = sorted(names)
            await self._connection.execute(queries()["create_users"], unknown)
            rows = await self._connection.fetch(queries()["get_user_numbers"], unknown)
            self._users.update((row["name"], row["number"]) for row in rows)
        return self._users

    async def _copy_rows(
        self, by_partition: dict[int, tuple[LedgerOffset, list[LedgerRow]]], numbers: Mapping[str, int]
    ) -> dict[int, tuple[bytes, bytes]]:
        """Writes the rows; by partition, the hash of its last one and the proof of it. The hashes before them are read
        here: another persister that has moved the offset since makes this transaction fail."""
        if self._chain is None:
            raise RuntimeError("a session that writes rows needs the deployment's ledger chain")
        heads = await self._connection.fetch(queries()["get_chain_hashes"], list(by_partition))
        before = {row["partition"]: bytes(row["chain_hash"]) for row in heads}
        records, ends = [], {}
        for p, (_, rows) in by_partition.items():
            some, last = chain_records(self._chain, p, before.get(p, b""), rows, numbers)
            records += some
            ends[p] = last, self._chain.head_mac((p, rows[-1].epoch, rows[-1].seq), last)
        await self._connection.copy_records_to_table("ledger", records=records, columns=RECORD_COLUMNS)
        return ends

    async def _mark_duplicates(self, p: int, rows: list[LedgerRow]) -> None:
        """Marks as duplicates the rows that the ledger, or an earlier one of these rows, already has."""
        rows = [row for row in rows if row.fault is None]
        keys = [row.key for row in rows]
        columns = [[key[i] for key in keys] for i in range(4)]
        recorded = await self._connection.fetch(queries()["find_recorded_entries"], *columns, [p])
        known = {tuple(row) for row in recorded}
        for row, key in zip(rows, keys, strict=True):
            if key in known:
                row.fault = DUPLICATE if row.original is None else "the ledger holds another entry of this name"
            known.add(key)

    async def open_heals(self, p: int) -> list[UnhealedDuplicate]:
        """Some of the duplicates of a partition that are not taken back yet."""
        return [duplicate_from_row(row) for row in await self.fetch("get_unhealed_duplicates", p, [], STRAYS_MAX)]

    async def rules(self, namespace_id: int) -> Rules:
        """A namespace's rules, deleted or not."""
        text = await self._connection.fetchval(queries()["get_rules"], namespace_id)
        return msgspec.json.decode(text, type=Rules)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a named query; asyncpg's errors."""
        return list(await self._connection.fetch(queries()[query], *args))

    async def execute(self, query: str, *args: Any) -> None:
        """A named statement; asyncpg's errors."""
        await self._connection.execute(queries()[query], *args)

    async def count_changed(self, query: str, *args: Any) -> int:
        """How many rows a named statement has changed; asyncpg's errors."""
        return int((await self._connection.execute(queries()[query], *args)).rpartition(" ")[2])

    async def copy(self, table: str, rows: Iterable[tuple[Any, ...]], columns: Sequence[str]) -> None:
        """Copies rows into a temporary table of this connection; asyncpg's errors."""
        await self._connection.copy_records_to_table(table, records=rows, columns=columns)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction: all of its statements take effect, or none."""
        transaction: AbstractAsyncContextManager[Any] = self._connection.transaction()
        return transaction

    @asynccontextmanager
    async def fenced(self, p: int) -> AsyncIterator[None]:
        """A transaction that commits only while the partition belongs to this persister. Superseded; SessionEnded."""
        try:
            async with self._connection.transaction():
                yield
                await self.leases.fence(p)
        except POSTGRES_ERRORS as error:
            if self._connection.is_closed() or isinstance(error, SESSION_ENDS):
                raise SessionEnded(f"partition {p}: Postgres ended the session: {error}") from error
            raise

    async def deleted_namespaces(self, partitions: Collection[int]) -> list[tuple[int, int, int]]:
        """Namespaces of some partitions whose keys are still in Redis: partition, id and a new version of the rules."""
        rows = await self._connection.fetch(queries()["get_undropped_namespaces"], list(partitions))
        return [(row["partition"], row["id"], row["version"]) for row in rows]

    async def drop_archives(self, namespace_ids: Sequence[int], rows_max: int) -> bool:
        """Deletes some rows of deleted namespaces' archives. Returns whether there were any."""
        for query in (
            "delete_archive_rows",
            "delete_archived_boards",
            "delete_pending_archive_updates",
            "delete_quarantined_grants",
            "delete_seals",
            "delete_searchable_users_of_namespaces",
        ):
            if await self._connection.execute(queries()[query], namespace_ids, rows_max) != "DELETE 0":
                return True
        return False

    async def mark_dropped(self, namespace_ids: Sequence[int]) -> None:
        """Records that the keys and archives of some namespaces are gone."""
        await self._connection.execute(queries()["mark_namespaces_dropped"], namespace_ids)

    async def forget_faults(self, p: int) -> None:
        """Deletes what earlier holders of a partition reported of it."""
        await self._connection.execute(queries()["delete_faults"], p)

    async def forget_absent_faults(self, number: int | None) -> None:
        """Deletes the faults outside partitions that were reported by persisters that are gone, or by the one with a
        number."""
        await self._connection.execute(queries()["delete_faults_of_absent"], EVERYWHERE, LOCK_PRESENCE, number)

    async def report_fault(self, unit: WorkUnit, cause: str | None) -> None:
        """Records why a unit of work fails; None: it works again."""
        if cause is None:
            await self._connection.execute(queries()["delete_fault"], *unit, self.leases.number)
        else:
            await self._connection.execute(queries()["put_fault"], *unit, cause, self.leases.number)

    async def close_heal(self, p: int, duplicate: UnhealedDuplicate, healed_seq: int) -> None:
        """Records which entry took a duplicate back."""
        await self._connection.execute(queries()["mark_healed"], p, duplicate.epoch, duplicate.seq, healed_seq)


def duplicate_from_row(row: asyncpg.Record) -> UnhealedDuplicate:
    """A duplicate from its row. msgspec.DecodeError."""
    return UnhealedDuplicate(row["epoch"], row["seq"], unpack(row["entry"]), row["live_delta"], row["healed_seq"])


def _spans(by_partition: dict[int, tuple[LedgerOffset, list[LedgerRow]]]) -> list[list[int]]:
    """As columns: each partition, and the places after which and up to which its rows lie."""
    spans = [
        (p, offset.epoch, offset.seq, rows[-1].epoch, rows[-1].seq)
        for p, (offset, rows) in sorted(by_partition.items())
    ]
    return [list(column) for column in zip(*spans, strict=True)]

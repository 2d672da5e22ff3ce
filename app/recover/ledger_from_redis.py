"""`leaderboard rebuild --from-redis`: what Postgres lost, and no log holds any more, is recorded as Redis has it.

The partition takes no grants meanwhile, and is read. A row of the ledger stands for the rows that are lost. Each user
whose numbers in Redis are not those of the ledger gets an entry of the kind `loss`: it tells what the ledger lacks,
and moves nothing. The log gets it first, as it gets every other entry. So a recording that was killed is begun anew:
who has such an entry differs no more.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import asyncpg
import msgspec

from ..drivers.postgres import Postgres, connect, queries
from ..drivers.redis import RedisConnection, RedisRefused, ask
from ..model.entry import marker_entry
from ..model.entry_kinds import LOSS
from ..model.entry_names import digest_of, loss_name
from ..model.ledger_chain import LedgerChain
from ..model.lost_cells import lost_cells
from ..model.namespace import Namespace
from ..model.text import count_text
from ..model.user_cells import Cells
from ..persist.ledger_session import LedgerSession
from ..store import keys
from ..store.boards import user_exists_call
from ..store.ledger_offset import LedgerOffset
from ..store.namespace_cache import namespace_from_row
from ..store.partitions import read_last_seq
from ..store.rebuilds import APPEND_ENTRIES, AppendedEntry, append_entries, forget_progress, read_epoch
from ..store.user_dump import DUMP_USERS, dump_users_call
from ..verify.redis_values import UserValues, parse_values
from ..verify.report import Progress
from .gap_boards import GapBoards, GapWindow, read_gap_boards
from .ledger_gap import LedgerGap, close_gap
from .loss import Loss, record_loss
from .partition_hold import STATEMENT_S_MAX, hold_partition
from .partition_rebuild import PLANS, REDIS_S_MAX
from .progress import RebuildMoved
from .user_names import UserNames

#: The scripts that a connection needs.
SCRIPTS = (DUMP_USERS, APPEND_ENTRIES)
#: Users of the ledger that are looked up at once: a ms of Redis.
_NAMES_A_PAGE = 1_000
#: Look-ups of one call, users × boards, and users of one call: some ms of Redis.
_LOOKUPS_A_CALL, _USERS_A_CALL = 20_000, 500
#: Findings that a report names: one screen.
FINDINGS_MAX = 20
_pack = msgspec.msgpack.Encoder().encode
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(slots=True)
class FromRedisReport:
    """What was recorded. users, cells: of whom, and how many numbers; findings: what cannot be recorded, by name."""

    partition: int
    gap: LedgerGap
    users: int = 0
    cells: int = 0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        gap = self.gap
        what = f"the ledger lost {count_text(gap.entries, 'entry', 'entries')}, seq {gap.first_seq} to {gap.last_seq}"
        if not gap.entries:
            what = f"the ledger lost no entry, and goes on behind seq {gap.last_seq}"
        numbers = f"{count_text(self.cells, 'number')} of {count_text(self.users, 'user')}"
        lines = [f"{what}; recorded {numbers} as Redis has them"]
        lines += [f"  {finding}" for finding in self.findings[:FINDINGS_MAX]]
        if len(self.findings) > FINDINGS_MAX:
            lines.append(f"  and {len(self.findings) - FINDINGS_MAX:,} more: see leaderboard verify")
        return "\n".join(lines)


class LostUser:
    """A user of whom the ledger lacks something, cell by cell (`lost`), or only the way to the present score; what
    Redis has of them; and the scores on both sides of the gap, a row of `get_scores_around`."""

    def __init__(self, name: str, lost: Cells, actual: Cells, around: asyncpg.Record) -> None:
        self.name, self.lost, self.actual, self.around = name, lost, actual, around


class LedgerFromRedis:
    """One partition's, which `begin_gaps` has closed. names: the users whom Redis has there; chain: makes the hashes of
    the rows."""

    def __init__(
        self,
        postgres_url: str,
        redis_url: str,
        p: int,
        gap: LedgerGap,
        progress: Progress,
        *,
        names: UserNames,
        chain: LedgerChain,
    ) -> None:
        self._postgres_url = postgres_url
        self._link = RedisConnection(redis_url, SCRIPTS, timeout_s=REDIS_S_MAX)
        self._partition = p
        self._gap = gap
        self._progress = progress
        self._names = names
        self._chain = chain
        self._epoch = 0  # of the entries of the kind `loss`; 0: there is none yet
        self.report = FromRedisReport(p, gap)

    async def run(self, postgres: Postgres) -> FromRedisReport:
        """Records it. RedisRefused, RebuildMoved, PartitionStopped; the stores' errors. O(users × boards + the log)."""
        connection = await connect(self._postgres_url, STATEMENT_S_MAX, PLANS)
        p, link = self._partition, self._link
        try:
            async with hold_partition(self._postgres_url, p, self._chain) as session:
                offset = await close_gap(link, session, p, self._gap, epoch=await read_epoch(link, p))
                rows = await connection.fetch(queries()["get_namespaces_of_partitions"], [p])
                for namespace in map(namespace_from_row, rows):
                    self._progress.at(namespace.name)
                    offset = await self._record(connection, session, namespace, offset)
                if self._gap.entries:
                    loss = Loss(offset.epoch, *self._gap)
                    await record_loss(postgres, p, loss, "Postgres lost rows that no log holds")
                await forget_progress(link, p)
        finally:
            connection.terminate()
            await link.close()
        return self.report

    async def _record(
        self, connection: asyncpg.Connection, session: LedgerSession, namespace: Namespace, offset: LedgerOffset
    ) -> LedgerOffset:
        """Records the users of one namespace; where the ledger ends then."""
        boards = await read_gap_boards(self._link, connection, namespace, self._gap)
        count = max(1, min(_USERS_A_CALL, _LOOKUPS_A_CALL // (len(boards.names.boards) or 1)))
        async for page in self._pages(connection, namespace):
            for first in range(0, len(page), count):
                names = page[first : first + count]
                users = await self._differing(connection, namespace, boards, names, offset)
                if users:
                    await self._append(connection, namespace, users, offset)
                    offset = await close_gap(self._link, session, self._partition, self._gap, epoch=self._epoch)
                self._progress.step(len(names))
        for window in boards.windows:
            if not window.is_in_redis:
                self._find(
                    f"{namespace.name}, window {window.name}: its archive is lost; a new one has what the ledger has"
                )
            if not window.has_seal:
                await self._seal(session, namespace, window, offset)
        return offset

    async def _seal(
        self, session: LedgerSession, namespace: Namespace, window: GapWindow, offset: LedgerOffset
    ) -> None:
        """Closes a window in the ledger. What came behind its seal follows in its archive."""
        p = self._partition
        async with session.fenced(p):
            (row,) = await session.fetch("get_last_moment", p, offset.epoch, offset.seq)
            seal = namespace.id, window.name, p, offset.epoch, window.seq, row["moment"]
            await session.execute("add_seal", *seal)
            await session.execute("add_pending_updates_of_window", namespace.id, window.name)

    async def _pages(self, connection: asyncpg.Connection, namespace: Namespace) -> AsyncIterator[list[str]]:
        """The users whom Redis has in a namespace, and those whom the ledger alone has. O(them × log n)."""
        async for page in self._names.pages(namespace.id):
            yield page
        after = 0
        while rows := await connection.fetch(queries()["get_numbered_users"], namespace.id, after, _NAMES_A_PAGE):
            replies = await self._link.run([user_exists_call(namespace, row["name"]) for row in rows])
            yield [row["name"] for row, exists in zip(rows, replies, strict=True) if exists == 0]
            after = rows[-1]["number"]

    async def _differing(
        self,
        connection: asyncpg.Connection,
        namespace: Namespace,
        boards: GapBoards,
        names: Sequence[str],
        offset: LedgerOffset,
    ) -> list[LostUser]:
        """Those of some users whose numbers in Redis are not those of the ledger. Redis does not change meanwhile."""
        reply = await ask(self._link, dump_users_call(namespace, boards.names.boards, names))
        if reply[0] == b"unopened":
            raise RedisRefused(f"{keys.meta(self._partition)} is gone")
        values = parse_values(namespace, boards.names, len(names), reply)
        await connection.execute(queries()["create_users"], sorted(names))
        rows = await connection.fetch(queries()["get_user_numbers"], list(names))
        numbers = {row["name"]: row["number"] for row in rows}
        cells = await boards.expected_cells(connection, list(numbers.values()), offset.seq)
        gap = self._gap
        around = await connection.fetch(queries()["get_scores_around"], namespace.id, list(numbers.values()), *gap)
        scores, differing = {row["number"]: row for row in around}, []
        for name, value in zip(names, values, strict=True):
            number = numbers[name]
            actual = _cells(value)
            expected, score = cells[number], scores[number]
            if actual == expected:
                if _lacks_a_step(score):
                    differing.append(LostUser(name, {}, actual, score))
                continue
            lost, left = lost_cells(namespace, actual, expected)
            if left or value.strange or value.unread is not None:
                what = ", ".join([*left, *value.strange]) or "their numbers cannot be read"
                self._find(
                    f"{namespace.name}, {name!r}: a correction is lost, or more: {what} are not as the ledger has it"
                )
            if lost and value.unread is None:
                differing.append(LostUser(name, lost, actual, score))
        return differing

    def _find(self, what: str) -> None:
        self.report.findings.append(what)

    async def _append(
        self, connection: asyncpg.Connection, namespace: Namespace, users: Sequence[LostUser], offset: LedgerOffset
    ) -> None:
        """Puts what the ledger lacks of some users into the log."""
        p, link = self._partition, self._link
        if not self._epoch:
            self._epoch = await connection.fetchval(queries()["raise_epoch"], p, await read_epoch(link, p))
        entries = [_entry(namespace, user, self._epoch, since_seq=self._gap.last_seq) for user in users]
        seq = await append_entries(
            link, p, progress=self._gap.progress, seq=offset.seq, epoch=self._epoch, entries=entries
        )
        if seq is None:
            raise RebuildMoved(f"partition {p} ends at seq {await read_last_seq(link, p)}: somebody else works on it")
        self.report.users += len(users)
        self.report.cells += sum(len(user.lost) for user in users)


def _cells(value: UserValues) -> Cells:
    """A user's numbers in Redis, hidden or not."""
    return {f"b:{board}": score for board, score in value.aside.items()} | value.cells


def _lacks_a_step(around: asyncpg.Record) -> bool:
    """Whether a user's score changed in the gap, and came to the present one by entries that are not lost."""
    has_step = around["has_after"] and around["score_after"] != (around["score_before"] or 0)
    return has_step and not around["is_recorded"]


def _entry(namespace: Namespace, user: LostUser, epoch: int, *, since_seq: int) -> AppendedEntry:
    """The entry that records what the ledger lacks of a user. Its scores are those where the gap is: behind the last
    row before it, and before the first one behind it."""
    around, meta = user.around, _encode(user.lost)
    name, score_before = loss_name(epoch, around["number"], since_seq=since_seq), around["score_before"]
    score = around["score_after"] if around["has_after"] else user.actual.get("b:all")
    body = msgspec.structs.replace(
        marker_entry(LOSS, namespace.id, name, user.actual.get("last", 0), user=user.name),
        live_delta=user.lost.get("count", 0),
        meta=meta,
    )
    return AppendedEntry(digest_of(meta.decode()), _pack(body), score, score_before)

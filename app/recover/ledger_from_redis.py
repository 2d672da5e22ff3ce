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
from ..model.user_cells import CellBuilder, Cells
from ..persist.ledger_session import LedgerSession
from ..store import fields, keys
from ..store.boards import base_of, user_exists_call
from ..store.key_space import scan_call
from ..store.ledger_offset import LedgerOffset
from ..store.marks import close_partitions
from ..store.namespace_cache import namespace_from_row
from ..store.namespace_fields import boards_in, fields_call
from ..store.partitions import last_seq_call, read_last_seq
from ..store.rebuilds import APPEND_ENTRIES, AppendedEntry, append_entries, forget_progress, read_epoch
from ..store.user_cells import read_user_cells
from ..store.user_dump import DUMP_USERS, dump_users_call
from ..verify.redis_values import BoardNames, UserValues, parse_values
from ..verify.report import Progress
from .ledger_gap import LedgerGap, begin_gap, close_gap
from .loss import Loss, record_loss
from .partition_hold import STATEMENT_S_MAX, hold_partition
from .partition_rebuild import PLANS, REDIS_S_MAX
from .progress import RebuildMoved

#: The scripts that a connection needs.
SCRIPTS = (DUMP_USERS, APPEND_ENTRIES)
#: Keys that one call goes through: a ms of Redis or less.
_KEYS_A_SCAN = 1_000
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
    """One partition's. chain: makes the hashes of the rows."""

    def __init__(
        self, postgres_url: str, redis_url: str, p: int, gap: LedgerGap, progress: Progress, *, chain: LedgerChain
    ) -> None:
        self._postgres_url = postgres_url
        self._link = RedisConnection(redis_url, SCRIPTS, timeout_s=REDIS_S_MAX)
        self._partition = p
        self._gap = gap
        self._progress = progress
        self._chain = chain
        self._epoch = 0  # of the entries of the kind `loss`; 0: there is none yet
        self.report = FromRedisReport(p, gap)

    async def run(self, postgres: Postgres) -> FromRedisReport:
        """Records it. RedisRefused, RebuildMoved, PartitionStopped; the stores' errors. O(users × boards + the log)."""
        connection = await connect(self._postgres_url, STATEMENT_S_MAX, PLANS)
        p, link = self._partition, self._link
        try:
            await close_partitions(link, {p: f"ledger_behind: {self._gap.progress}"})
            await begin_gap(link, p, self._gap)
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
        boards, unsealed = await self._boards(connection, session, namespace, offset)
        builder = CellBuilder(namespace, boards.closed)
        count = max(1, min(_USERS_A_CALL, _LOOKUPS_A_CALL // (len(boards.boards) or 1)))
        async for page in self._names(connection, namespace):
            for first in range(0, len(page), count):
                names = page[first : first + count]
                users = await self._differing(connection, namespace, builder, boards, names, offset)
                if users:
                    await self._append(connection, namespace, users, offset)
                    offset = await close_gap(self._link, session, self._partition, self._gap, epoch=self._epoch)
                self._progress.step(len(names))
        # Last: a seal takes in what was recorded, and a command that was killed compares these windows again.
        for window in unsealed:
            await self._seal(connection, session, namespace, window, offset, offset.seq)
        return offset

    async def _boards(
        self, connection: asyncpg.Connection, session: LedgerSession, namespace: Namespace, offset: LedgerOffset
    ) -> tuple[BoardNames, list[str]]:
        """The boards to compare: of open windows, and of those that are closed in Redis alone and still there; these
        windows by name. A window that has left Redis is closed in the ledger, too."""
        flat = await ask(self._link, fields_call(namespace))
        states = {
            name.decode().removeprefix(fields.WINDOW_STATE): value
            for name, value in zip(flat[::2], flat[1::2], strict=True)
            if name.startswith(fields.WINDOW_STATE.encode())
        }
        known = {row["window"] for row in await connection.fetch(queries()["get_sealed_windows"], namespace.id)}
        unsealed = []
        for window in sorted(states.keys() - known):
            if not states[window].startswith(b"a"):
                unsealed.append(window)
                continue
            self._find(f"{namespace.name}, window {window}: its archive is lost; a new one has what the ledger has")
            await self._seal(connection, session, namespace, window, offset, self._gap.last_seq)
        closed = frozenset(states.keys() - set(unsealed))
        boards = tuple(name for name in boards_in(flat[::2]) if base_of(name) not in closed)
        return BoardNames(boards, closed), unsealed

    async def _seal(
        self,
        connection: asyncpg.Connection,
        session: LedgerSession,
        namespace: Namespace,
        window: str,
        offset: LedgerOffset,
        seq: int,
    ) -> None:
        """Closes a window in the ledger as of a seq."""
        moment = await connection.fetchval(queries()["get_last_moment"], self._partition, offset.epoch, offset.seq)
        await session.execute("add_seal", namespace.id, window, self._partition, offset.epoch, seq, moment)

    async def _names(self, connection: asyncpg.Connection, namespace: Namespace) -> AsyncIterator[list[str]]:
        """The users whom Redis has in a namespace, and those whom the ledger alone has. O(keys of the node)."""
        prefix, cursor = keys.balances(self._partition, namespace.id).encode(), b"0"
        while True:
            # A scan has no key: it goes to the node of the call before it.
            _, scanned = await self._link.run([last_seq_call(self._partition), scan_call(cursor, _KEYS_A_SCAN)])
            if isinstance(scanned, Exception):
                raise RedisRefused(str(scanned))
            cursor, page = scanned
            yield list({key.removeprefix(prefix).decode(): None for key in page if key.startswith(prefix)})
            if cursor == b"0":
                break
        after = 0
        while rows := await connection.fetch(queries()["get_numbered_users"], namespace.id, after, _KEYS_A_SCAN):
            replies = await self._link.run([user_exists_call(namespace, row["name"]) for row in rows])
            yield [row["name"] for row, exists in zip(rows, replies, strict=True) if exists == 0]
            after = rows[-1]["number"]

    async def _differing(
        self,
        connection: asyncpg.Connection,
        namespace: Namespace,
        builder: CellBuilder,
        boards: BoardNames,
        names: Sequence[str],
        offset: LedgerOffset,
    ) -> list[LostUser]:
        """Those of some users whose numbers in Redis are not those of the ledger. Redis does not change meanwhile."""
        reply = await ask(self._link, dump_users_call(namespace, boards.boards, names))
        if reply[0] == b"unopened":
            raise RedisRefused(f"{keys.meta(self._partition)} is gone")
        values = parse_values(namespace, boards, len(names), reply)
        await connection.execute(queries()["create_users"], sorted(names))
        rows = await connection.fetch(queries()["get_user_numbers"], list(names))
        numbers = {row["name"]: row["number"] for row in rows}
        seqs = [offset.seq] * len(names)
        users = await read_user_cells(connection, namespace, builder, [numbers[name] for name in names], seqs)
        gap = self._gap
        around = await connection.fetch(queries()["get_scores_around"], namespace.id, list(numbers.values()), *gap)
        scores, differing = {row["number"]: row for row in around}, []
        for name, value in zip(names, values, strict=True):
            number = numbers[name]
            actual = _cells(value)
            expected = users[number].cells if number in users else {}
            score = scores[number]
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
        entries = [_entry(namespace, user, self._epoch) for user in users]
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


def _entry(namespace: Namespace, user: LostUser, epoch: int) -> AppendedEntry:
    """The entry that records what the ledger lacks of a user. Its scores are those where the gap is: behind the last
    row before it, and before the first one behind it."""
    around, meta = user.around, _encode(user.lost)
    name, score_before = loss_name(epoch, around["number"]), around["score_before"]
    score = around["score_after"] if around["has_after"] else user.actual.get("b:all")
    body = msgspec.structs.replace(
        marker_entry(LOSS, namespace.id, name, user.actual.get("last", 0), user=user.name),
        live_delta=user.lost.get("count", 0),
        meta=meta,
    )
    return AppendedEntry(digest_of(meta.decode()), _pack(body), score, score_before)

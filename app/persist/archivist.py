"""Archives: writes the boards of closed windows from the ledger into tables, and removes them from Redis if both
agree."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from time import monotonic
from typing import Any

import asyncpg
import structlog

from ..drivers.redis import RedisConnection, ask
from ..metrics import SEALS_DIFFERING
from ..model.namespace import Namespace
from ..model.tie_break import DIGITS, tie_place_from_digits
from ..store.archived_windows import evict_call, has_left
from ..store.board_dump import member_page_call, tie_prefixes_call
from ..store.boards import user_exists_call
from ..store.ledger_offset import LedgerOffset
from ..store.namespace_cache import namespace_from_row
from ..store.namespace_fields import boards_of_window
from ..store.user_balances import hidden_score_calls
from ..store.visibility import read_users_with_state
from .faults import ARCHIVE as ARCHIVE_FAILS
from .faults import ARCHIVES, Faults, WorkUnit
from .lease import Lease
from .ledger_session import LedgerSession
from .lost_archives import put_lost_cells, put_tie_places, scores_with_lost_cells

log = structlog.get_logger()

#: Seconds that one pass over a partition's archives may take. Then the next partition has its turn.
PASS_S = 0.5
#: Seconds that one statement may take: the archive of a window of millions.
STATEMENT_S_MAX = 600.0
#: Entries of the log that a new revision of an archive takes in: between two of them the pass may end.
ENTRIES_A_REVISION = 200
#: Members of a board that one call to Redis reads: some ms, in which all other calls wait.
_MEMBERS_A_CALL = 5_000
#: Users off a board whose scores one call asks for: some hundred µs of Redis each.
_USERS_A_CALL = 500
#: Time before and after a window in which its entries may lie, because an entry's windows follow the time zone data of
#: its day.
_SLACK_MICROS = 2 * 86_400_000_000
#: Seconds before an archive that differs from Redis is compared again, and at most, as each try doubles them.
_AGAIN_S, _AGAIN_S_MAX = 5.0, 3_600.0

KeysAndTies = dict[tuple[str, int], tuple[int, int]]  # board and user number → sort key and tie place


@dataclass(slots=True)
class DifferingWindow:
    """A closed window whose board in Redis differs from the ledger. It stays in Redis and is compared again later."""

    partition: int
    since: float
    pause: float


class Archivist:
    """Makes archives, and updates them with the entries that come after their seals."""

    def __init__(self) -> None:
        self._differing: dict[tuple[int, str], DifferingWindow] = {}
        self._after: dict[int, int] = {}

    async def step(
        self,
        session: LedgerSession,
        link: RedisConnection,
        leases: Mapping[int, Lease],
        pending: set[int],
        faults: Faults,
    ) -> None:
        """Works on the pending partitions, at most PASS_S in each. Those with more work stay pending."""
        for p in list(pending):
            pending.discard(p)  # What comes from here on is noted again.
            more, unit = False, WorkUnit(p, ARCHIVES)
            if p in leases and faults.is_due(unit):
                with faults.guard(unit):
                    more = await self.work(session, link, p, leases[p].offset, faults)
            if more:
                pending.add(p)

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets the windows that another persister reports from now on."""
        self._differing = {key: window for key, window in self._differing.items() if window.partition in partitions}
        SEALS_DIFFERING.set(len(self._differing))

    async def work(
        self, session: LedgerSession, link: RedisConnection, p: int, offset: LedgerOffset, faults: Faults
    ) -> bool:
        """Does a partition's work for some time. Returns whether there is more of it. A window that fails waits, and
        the others go on.

        O(users of a window), for each window.
        """
        until = monotonic() + PASS_S
        todo = await session.fetch("get_pending_archive_updates", p, faults.names(p, ARCHIVE_FAILS))
        for _, grouped in groupby(todo, key=lambda row: (row["id"], row["window"])):
            rows = list(grouped)
            with faults.guard(_unit(p, rows[0])):
                for first in range(0, len(rows), ENTRIES_A_REVISION):
                    await _write_revision(session, link, rows[first : first + ENTRIES_A_REVISION])
                    if monotonic() > until:
                        return True
        failing = faults.names(p, ARCHIVE_FAILS)
        for row in await session.fetch("get_windows_to_archive", p, self._after.pop(p, 0), offset.seq, failing):
            with faults.guard(_unit(p, row)):
                await self._leave(session, link, row)
            if monotonic() > until:
                self._after[p] = row["seq"]
                return True
        return False

    async def _leave(self, session: LedgerSession, link: RedisConnection, row: asyncpg.Record) -> None:
        """Archives one window's boards and removes them from Redis. If they differ from the ledger, they stay there."""
        namespace, window = namespace_from_row(row), row["window"]
        key = namespace.id, window
        before = self._differing.get(key)
        if before is not None and monotonic() < before.since + before.pause:
            return
        boards, sign = await boards_of_window(link, namespace, window), namespace.sign
        hidden = await hidden_with_balances(link, namespace)
        if await session.fetch("get_archived_boards", namespace.id, window):
            pass  # A persister ended before the boards left Redis.
        elif await has_left(link, namespace, window):
            # Postgres is an older one, which lost this archive: Redis has nothing to compare it with.
            log.warning("an archive is written anew from the ledger", namespace=namespace.name, window=window)
            async with session.fenced(namespace.partition):
                await session.execute("fill_new_scores", *_score_arguments(namespace, window, row["seq"], None), sign)
                await put_lost_cells(session, namespace, window, row["seq"])
                if namespace.rules.tie_break == "earliest":
                    await put_tie_places(session, namespace, window, row["seq"])
                boards = [made["board"] for made in await session.fetch("get_new_boards")]
                await _write_archives(session, namespace, window, {window, *boards}, row["seq"], [])
        else:
            async with session.fenced(namespace.partition):
                for board in boards:
                    async for rows in _read_rows(link, namespace, board, hidden):
                        await session.copy("redis_rows", rows, ("board", "name", "sort_key", "tie_place"))
                differ = await _compare_with_redis(session, namespace, row)
                if differ["differ"] == 0:
                    await _write_archives(session, namespace, window, {window, *boards}, row["seq"], [])
            if differ["differ"]:
                pause = _AGAIN_S if before is None else min(_AGAIN_S_MAX, before.pause * 2)
                self._differing[key] = DifferingWindow(namespace.partition, monotonic(), pause)
                SEALS_DIFFERING.set(len(self._differing))
                log.error("a sealed board differs from the ledger", namespace=namespace.name, **dict(differ))
                return
        self._differing.pop(key, None)
        SEALS_DIFFERING.set(len(self._differing))
        await ask(link, evict_call(namespace, window, dict.fromkeys(boards, 0), boards=boards, hidden_users=hidden))
        await session.execute("mark_window_archived", namespace.id, window)


def _unit(p: int, row: asyncpg.Record) -> WorkUnit:
    return WorkUnit(p, ARCHIVE_FAILS, f"{row['id']} {row['window']}")


async def _write_revision(session: LedgerSession, link: RedisConnection, rows: list[asyncpg.Record]) -> None:
    """Writes a new revision of those archives of a window that change, with the ledger's current scores of these users.

    The pending updates are finished after the revision is published. A persister that ends before that does all of it
    again, which changes nothing.
    """
    namespace, window = namespace_from_row(rows[0]), rows[0]["window"]
    users = sorted({row["user_number"] for row in rows})
    seq = max(row["seq"] for row in rows)
    async with session.fenced(namespace.partition):
        old_rows = await session.fetch("get_archive_rows_of_users", *_at(rows, users))
        before = {(row["board"], row["user_number"]): (row["sort_key"], int(row["tie_place"])) for row in old_rows}
        now = await _ledger_scores(session, namespace, rows, users, before)
        touched = {cell[0] for cell in before.keys() | now.keys() if before.get(cell) != now.get(cell)}
        fresh = [(*cell, *score) for cell, score in now.items() if cell[0] in touched]
        await session.copy("new_scores", fresh, ("board", "user_number", "sort_key", "tie_place"))
        await _write_archives(session, namespace, window, touched, seq, users)
        archives = await session.fetch("get_archived_boards", namespace.id, window)
    await ask(link, evict_call(namespace, window, {archive["board"]: archive["seq"] for archive in archives}))
    await session.execute("finish_archive_updates", *_at(rows, users), seq)


async def _ledger_scores(
    session: LedgerSession, namespace: Namespace, rows: list[asyncpg.Record], users: list[int], before: KeysAndTies
) -> KeysAndTies:
    """Some users' scores on a window's boards after these entries, from the ledger."""
    if namespace.rules.tie_break == "earliest":
        return await _ledger_scores_by_seq(session, namespace, rows, before)
    return await _window_scores(session, namespace, rows[0]["window"], max(row["seq"] for row in rows), users)


async def _window_scores(
    session: LedgerSession, namespace: Namespace, window: str, seq: int, users: list[int]
) -> KeysAndTies:
    """Some users' scores on a window's boards as of a seq, from the ledger, and with what it lost."""
    rows = await session.fetch("get_window_scores", *_score_arguments(namespace, window, seq, users))
    lost = await scores_with_lost_cells(session, namespace, window, seq, users)
    scores = {
        (row["board"], row["user_number"]): (namespace.sign * row["score"], int(row["tie_place"]))
        for row in rows
        if row["user_number"] not in lost
    }
    for number, boards in lost.items():
        scores |= {(board, number): (namespace.sign * score, place) for board, (score, place) in boards.items()}
    return scores


async def _ledger_scores_by_seq(
    session: LedgerSession, namespace: Namespace, rows: list[asyncpg.Record], before: KeysAndTies
) -> KeysAndTies:
    """The same for the tie break `earliest`: replays the entries; each sets the seq of the scores that it changes."""
    scored = dict(before)
    for row in sorted(rows, key=lambda row: row["seq"]):
        user, seq = row["user_number"], row["seq"]
        scores = await _window_scores(session, namespace, row["window"], seq, [user])
        now = {cell: sort_key for cell, (sort_key, _) in scores.items()}
        for cell in [cell for cell in scored if cell[1] == user and cell not in now]:
            del scored[cell]
        for cell, sort_key in now.items():
            if cell not in scored or scored[cell][0] != sort_key:
                scored[cell] = sort_key, seq
    return scored


async def _compare_with_redis(session: LedgerSession, namespace: Namespace, row: asyncpg.Record) -> asyncpg.Record:
    """Fills `new_scores` from the ledger as of the seal. Returns how many users differ from `redis_rows`."""
    await session.execute(
        "fill_new_scores", *_score_arguments(namespace, row["window"], row["seq"], None), namespace.sign
    )
    await put_lost_cells(session, namespace, row["window"], row["seq"])
    if namespace.rules.tie_break == "earliest":
        await session.execute("copy_tie_places")
    (differ,) = await session.fetch("compare_with_redis", namespace.by_moment)
    return differ


async def _write_archives(
    session: LedgerSession, namespace: Namespace, window: str, boards: Iterable[str], seq: int, users: list[int]
) -> None:
    """Writes a new revision of these boards' archives. Some users' scores come from `new_scores`; all rows that differ
    are written. O(n log n) to find these rows, and O(n) for the hash."""
    archives = await session.fetch("put_archived_boards", namespace.id, sorted(boards), window, seq)
    ids = [archive["id"] for archive in archives]
    await session.execute("find_changed_archive_rows", namespace.id, ids, users)
    await session.execute("delete_changed_archive_rows")
    await session.execute("insert_changed_archive_rows")
    await session.execute("sign_archives", ids, namespace.sign)
    await session.execute("lock_hidden_archive_users")
    await session.execute("mark_hidden_archive_users")


async def hidden_with_balances(link: RedisConnection, namespace: Namespace) -> list[str]:
    """The users who are hidden in a namespace and have balances there."""
    names = await read_users_with_state(link, namespace)
    replies = await link.run([user_exists_call(namespace, name) for name in names])
    return [name for name, exists in zip(names, replies, strict=True) if exists == 1]


async def _read_rows(
    link: RedisConnection, namespace: Namespace, board: str, hidden: list[str]
) -> AsyncIterator[list[tuple[str, str, int, int]]]:
    """Reads a board's rows from Redis, some at a time, with those of hidden users: board, user, sort key, tie place."""
    yield await _hidden_entries(link, namespace, board, hidden)
    first, tie_break = 0, namespace.rules.tie_break
    while True:
        page = await ask(link, member_page_call(namespace, board, first, _MEMBERS_A_CALL))
        yield [
            (
                *(board, member[DIGITS[tie_break] :].decode(), int(float(score))),
                tie_place_from_digits(member, tie_break) or 0,
            )
            for member, score in _pairs(page)
        ]
        first += _MEMBERS_A_CALL
        if len(page) < 2 * _MEMBERS_A_CALL:
            return


async def _hidden_entries(
    link: RedisConnection, namespace: Namespace, board: str, hidden: list[str]
) -> list[tuple[str, str, int, int]]:
    """The scores of hidden users on a board, as rows like those of `_read_rows`."""
    rows = []
    for first in range(0, len(hidden), _USERS_A_CALL):
        group = hidden[first : first + _USERS_A_CALL]
        calls = [*hidden_score_calls(namespace, board, group), tie_prefixes_call(namespace, board, group)]
        *scores, orders = await link.run(calls)
        for user, score, digits in zip(group, scores, orders, strict=True):
            if isinstance(score, bytes):
                since = tie_place_from_digits(digits or b"", namespace.rules.tie_break) or 0
                rows.append((board, user, namespace.sign * int(score), since))
    return rows


def _pairs(flat: list[Any]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _score_arguments(namespace: Namespace, window: str, seq: int, users: list[int] | None) -> tuple[Any, ...]:
    """The arguments of `get_window_scores`: the scores of some users in a window, as of a seq."""
    span = namespace.calendar.find(window, 0)
    assert span is not None, "a closed window is one of the namespace's"
    assert span.starts is not None, "a closed window begins"
    assert span.ends is not None, "a closed window ends"
    bounds = (span.starts - _SLACK_MICROS, span.ends + _SLACK_MICROS)
    how = namespace.aggregation.name, namespace.rules.category_boards, namespace.by_moment
    return namespace.id, window, *bounds, seq, users, *how


def _at(rows: list[asyncpg.Record], users: list[int]) -> tuple[Any, ...]:
    return rows[0]["id"], rows[0]["window"], users

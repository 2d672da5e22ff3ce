"""The rows of an export, out of one snapshot of Postgres, some thousands at a time."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from ..model.meta import read_meta
from ..model.micros import EARLIEST
from ..model.namespace import Namespace
from ..model.visibility import is_erased, visible_name
from ..store.ledger_snapshot import LedgerSnapshot
from .export_tables import TABLES, What

Row = tuple[Any, ...]
Rows = AsyncIterator[Sequence[Row]]


class Selection(NamedTuple):
    """What of a deployment is exported. namespaces: by id; is_whole: none was left out; since_seq, since: grants and
    revisions recorded behind a seq, and since a moment; window: of boards."""

    namespaces: Mapping[int, Namespace]
    is_whole: bool = True
    since_seq: int = 0
    since: datetime = EARLIEST
    window: str | None = None

    @property
    def partitions(self) -> list[int]:
        """Those in which the namespaces lie, in order."""
        return sorted({namespace.partition for namespace in self.namespaces.values()})


def rows_of(what: What, snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    """The rows of an export, with the columns of its table. StoreUnavailable."""
    return _ROWS[what](snapshot, selection)


async def _grants(snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    """Grants that count, in the order in which they came; not those of erased users."""
    async for rows in _of_ledger(snapshot, selection, "export_grants"):
        yield [grant_row(selection.namespaces, row) for row in rows if not is_erased(row["user"])]


async def _revisions(snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    """Grants as they came and each of their corrections, in the order of the log. An erased user has no id."""
    async for rows in _of_ledger(snapshot, selection, "export_revisions"):
        yield [revision_row(selection.namespaces, row) for row in rows]


async def _of_ledger(
    snapshot: LedgerSnapshot, selection: Selection, query: str
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    for p in selection.partitions:
        ids = [id for id, namespace in selection.namespaces.items() if namespace.partition == p]
        async for rows in snapshot.rows(query, p, ids, selection.since_seq, selection.since):
            yield rows


def grant_row(namespaces: Mapping[int, Namespace], row: asyncpg.Record) -> Row:
    """A grant out of a row of the ledger."""
    namespace = namespaces[row["namespace_id"]]
    return (
        *(namespace.name, row["grant_id"], visible_name(row["user"]), namespace.number(row["amount"])),
        *(row["category"], row["source"], row["source_id"], row["action"]),
        *(row["granted_at"], row["session_id"], read_meta(row["meta"]), row["opening"] or None),
    )


def revision_row(namespaces: Mapping[int, Namespace], row: asyncpg.Record) -> Row:
    """A revision: the grant after it, what was done, when, and where the log has it."""
    return (
        *grant_row(namespaces, row),
        *(row["revision"], row["verb"], row["voided"], row["reason"], row["actor"]),
        *(row["recorded_at"], row["partition"], row["epoch"], row["seq"]),
    )


async def _standings(snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    ids = [namespace.id for namespace in _by_name(selection)]
    async for rows in snapshot.rows("export_standings", ids):
        yield [standing_row(selection.namespaces[row["namespace_id"]], row) for row in rows]


def standing_row(namespace: Namespace, row: asyncpg.Record) -> Row:
    """A user's score and live grants in a namespace."""
    return (
        *(namespace.name, visible_name(row["user"]), namespace.number(row["score"]), row["grants"]),
        row["hidden"],
    )


async def _profiles(snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    """Profiles of the deployment come first; they name no namespace."""
    ids = [0, *selection.namespaces]
    names = {id: namespace.name for id, namespace in selection.namespaces.items()}
    async for rows in snapshot.rows("export_profiles", ids, not selection.is_whole):
        yield [profile_row(names.get(row["namespace_id"]), row) for row in rows]


def profile_row(name: str | None, row: asyncpg.Record) -> Row:
    """What is kept of a user beside grants."""
    keys = ("display_name", "avatar", "timezone", "opt_out", "hidden")
    return (name, visible_name(row["user"]), *(row[key] for key in keys))


async def _namespaces(snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    names = TABLES["namespaces"].names
    bodies = [namespace.body() for namespace in _by_name(selection)]
    yield [tuple(body[name] for name in names) for body in bodies]


async def _boards(snapshot: LedgerSnapshot, selection: Selection) -> Rows:
    """Each namespace's archived boards, then its open ones, as its rules rank them; hidden users are on none."""
    for namespace in _by_name(selection):
        closed = await snapshot.fetch("get_archived_windows", namespace.id)
        async for rows in snapshot.rows("export_archived_boards", namespace.id, selection.window):
            yield [_board_row(namespace, row) for row in rows]
        await snapshot.collect_scores(namespace, frozenset(row["window"] for row in closed), selection.window)
        async for rows in snapshot.rows("export_open_boards", namespace.id):
            yield [_board_row(namespace, row) for row in rows]


def _board_row(namespace: Namespace, row: asyncpg.Record) -> Row:
    window, category = split_board(row["board"])
    rank = {"competition": row["competition"], "dense": row["dense"], "ordinal": row["position"]}
    return (
        *(namespace.name, window, category, row["position"], rank[namespace.rules.ranking], row["user"]),
        *(namespace.number(namespace.sign * row["sort_key"]), row["display_name"], row["avatar"]),
    )


def split_board(board: str) -> tuple[str, str | None]:
    """The window of a board and its category, if it has one. A season's window has a colon, its name has none."""
    prefix = "season:" if board.startswith("season:") else ""
    window, colon, category = board.removeprefix(prefix).partition(":")
    return prefix + window, category if colon else None


def _by_name(selection: Selection) -> list[Namespace]:
    return sorted(selection.namespaces.values(), key=lambda namespace: namespace.name)


_ROWS: dict[What, Callable[[LedgerSnapshot, Selection], Rows]] = {
    "grants": _grants,
    "revisions": _revisions,
    "boards": _boards,
    "standings": _standings,
    "profiles": _profiles,
    "namespaces": _namespaces,
}

"""A comparison of one board with another system's totals. Both sides lie in temporary tables of Postgres, so memory is
flat: here are only samples, and the users of the tops."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from ..model.micros import EARLIEST, LATEST, from_micros
from ..model.namespace import Namespace
from ..model.windows import Window
from ..store.ledger_snapshot import LedgerSnapshot
from .compare_figures import (
    Bucket,
    Comparison,
    Conflict,
    Difference,
    Figures,
    Missing,
    RankPair,
)
from .compare_legacy import LegacyLine, LegacyRow, Unreadable
from .compare_tau import kendall_tau

#: Users, or lines, of each kind of difference that a comparison names unless more are wanted: one sees what is wrong.
NAMED_DEFAULT = 20
#: How many it names at most: they are in memory.
NAMED_MAX = 100_000
#: Users in either top of whom the order is compared, at most this many times the size of a top: all others of a side
#: may share one rank.
TOPS_FACTOR_MAX = 4
#: Lines of one conflict that are told.
_LINES_MAX = 5


class Question(NamedTuple):
    """What is compared. source: what the other side is called; as_of: grants with a later granted_at do not count;
    top: how many users make a top; named: how many users or lines of each kind are named."""

    namespace: Namespace
    window: Window
    category: str | None
    source: str
    as_of: datetime | None
    max_diff: Decimal
    top: int
    named: int = NAMED_DEFAULT


async def compare(snapshot: LedgerSnapshot, question: Question, lines: Iterable[Sequence[LegacyLine]]) -> Comparison:
    """Compares. lines: of the other system, some thousands at a time. StoreUnavailable, and what `lines` raises.
    O(n log n) of users and lines, and the namespace's entries × log n."""
    await snapshot.execute("create_compare_tables")
    named = question.named
    unreadable, count = await _collect_legacy(snapshot, lines, named)
    await _collect_ours(snapshot, question)
    await snapshot.execute("fill_compare_users", question.namespace.sign)
    (row,) = await snapshot.fetch("get_compare_figures", question.max_diff, question.top)
    tops = await snapshot.fetch("get_compare_tops", question.top, TOPS_FACTOR_MAX * question.top)
    pairs = [(one["our_rank"], one["legacy_rank"]) for one in tops]
    figures = Figures(**dict(row), unreadable=count, top=question.top, tau=kendall_tau(pairs))
    cut = snapshot.cuts[question.namespace.partition]
    return Comparison(
        namespace=question.namespace.name,
        window=question.window.name,
        category=question.category,
        source=question.source,
        as_of=question.as_of,
        compared_at=snapshot.at,
        **cut._asdict(),
        max_diff=question.max_diff,
        is_equal=not figures.findings,
        figures=figures,
        differences=[Difference(*row.values()) for row in await snapshot.fetch("get_compare_differences", named)],
        missing_here=await _missing(snapshot, named, is_here=True),
        missing_there=await _missing(snapshot, named, is_here=False),
        conflicts=[_conflict(row) for row in await snapshot.fetch("get_compare_conflicts", named)],
        unreadable=unreadable,
        histogram=[Bucket(*row.values()) for row in await snapshot.fetch("get_compare_histogram")],
        tops=[RankPair(*row.values()) for row in tops],
    )


async def _collect_legacy(
    snapshot: LedgerSnapshot, lines: Iterable[Sequence[LegacyLine]], named: int
) -> tuple[list[Unreadable], int]:
    """Writes the other side into its table. Returns the first lines that cannot be read, and how many there are."""
    unreadable: list[Unreadable] = []
    count = 0
    for some in lines:
        await snapshot.copy("compare_legacy", [line for line in some if isinstance(line, LegacyRow)])
        bad = [line for line in some if isinstance(line, Unreadable)]
        unreadable += bad[: named - len(unreadable)]
        count += len(bad)
    return unreadable, count


async def _collect_ours(snapshot: LedgerSnapshot, question: Question) -> None:
    """Writes this side into its table: by the cells of users, as `verify` knows them, or by grants alone where these
    are asked for up to a moment, or in a category without boards."""
    async for scores in _scores(snapshot, question):
        scale = question.namespace.rules.scale
        await snapshot.copy("compare_ours", [(number, Decimal(units).scaleb(-scale)) for number, units in scores])


async def _scores(snapshot: LedgerSnapshot, question: Question) -> AsyncIterator[list[tuple[int, int]]]:
    """User numbers and scaled units."""
    namespace, window, category = question.namespace, question.window.name, question.category
    board = window if category is None else f"{window}:{category}"
    if question.as_of is None and (category is None or namespace.rules.category_boards):
        async for cells in snapshot.scores(namespace, board=board):
            yield [(number, namespace.sign * key) for _, number, key, _ in cells]
        return
    args = _window_args(snapshot, question)
    async for rows in snapshot.rows("get_window_scores", *args):
        yield [(row["user_number"], row["score"]) for row in rows if row["board"] == board]


def _window_args(snapshot: LedgerSnapshot, question: Question) -> tuple[Any, ...]:
    namespace, window = question.namespace, question.window
    starts = EARLIEST if window.starts is None else from_micros(window.starts)
    until = question.as_of or LATEST
    seq = snapshot.cuts[namespace.partition].seq
    return (
        *(namespace.id, window.name, starts, until, seq, None, namespace.aggregation.name),
        *(question.category is not None, False),
    )


async def _missing(snapshot: LedgerSnapshot, named: int, *, is_here: bool) -> list[Missing]:
    return [Missing(*row.values()) for row in await snapshot.fetch("get_compare_missing", is_here, named)]


def _conflict(row: asyncpg.Record) -> Conflict:
    return Conflict(row["name"], row["lines"][:_LINES_MAX], row["lowest"], row["highest"])

"""What a user's grants, except some, add up to in cells: a board's score, a label's balance, a day.

For a user with few grants all rows are read. For a user with many grants only the deciding ones are: the best or the
last live grant of each cell from `live_grants`, which follows the ledger with a delay, and the rows after it. If that
finds no grant for a cell, because few of the user's grants are in it, the cell is computed from the rows of its stretch
of time.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import asyncpg
import msgspec

from ..drivers.postgres import Fetch
from ..model.cell_ops import Cell
from ..model.labels import labels_of, parse_label
from ..model.lost_cells import other_cells
from ..model.micros import EARLIEST, LATEST, to_micros
from ..model.namespace import Namespace
from ..model.tie_break import latest_tie_place, tie_place
from .boards import base_of

#: Rows of a user up to which all are read: that costs as much as look-ups by index for some 40 boards.
ROWS_FEW_MAX = 500
#: Live grants of a user that are read for one cell: that mostly finds a label which one grant in a hundred has.
PASSED_OVER_MAX = 500
#: Hours by which a zone's clock may differ from UTC: the largest difference ever was 15:56.
ZONE_HOURS_MAX = 16


class CellQuery(NamedTuple):
    """A cell, and the properties of a grant in it; None: any. since, until: microseconds."""

    cell: str
    window: str | None = None
    category: str | None = None
    source: str | None = None
    day: date | None = None
    since: int = to_micros(EARLIEST)
    until: int = to_micros(LATEST)


async def other_grants_cells(
    fetch: Fetch,
    namespace: Namespace,
    user: str,
    grant_ids: Sequence[str],
    cells: Sequence[str],
    seqs: Sequence[int] = (),
) -> dict[str, Cell]:
    """What a user's live grants, except some, add up to in each cell; cells without any are left out. For a user with
    many grants a cell has only what its namespace counts, and the moment of its last grant if it is `all`, or if the
    best grant does not decide.

    What the ledger lost of the user counts as one more grant. A duplicate that is not taken back and a grant that is an
    open dead letter do, too, but for those of some seqs; a grant counts as the open dead letter of its last correction
    has it. O(cells × log n + rows behind the live grants), and O(the user's grants in its stretch) for a cell with
    hardly any grants. Errors are those of `fetch`.
    """
    rows = await fetch("get_open_corrections", namespace.id, user, ROWS_FEW_MAX, namespace.partition)
    corrected = [row for row in rows if row["grant_id"] is not None and row["grant_id"] not in grant_ids]
    ids = [*grant_ids, *(row["grant_id"] for row in corrected)]
    read = _read_many if rows[0]["has_many"] else _read_few
    made = await read(fetch, namespace, user, ids, list(cells), list(seqs))
    for row in corrected:
        for name, cell in _cells_of_correction(namespace, row).items():
            if name in cells:
                made.setdefault(name, []).append(cell)
    last = await _add_lost_cells(fetch, namespace, user, cells, made) if rows[0]["has_lost_cells"] else 0
    joined = {name: _joined(namespace, parts) for name, parts in made.items()}
    if "all" in joined and joined["all"].latest_at < last:
        joined["all"] = joined["all"]._replace(latest_at=last)
    return joined


async def sealed_cells(
    fetch: Fetch,
    namespace: Namespace,
    user: str,
    cells: Sequence[str],
    seqs: Sequence[int],
    *,
    grant_ids: Sequence[str],
    seal: int,
) -> dict[str, Cell]:
    """The same on boards of a window that is sealed and still in Redis, as of its seal. A lost cell of such a board was
    lost before the seal. O(the user's grants); errors are those of `fetch`."""
    how = namespace.aggregation.name if namespace.by_moment else None
    rows = await fetch("get_cells_of_other_grants", namespace.id, user, grant_ids, cells, seqs, how, seal)
    made = {row["cell"]: [cell_from_row(row)] for row in rows}
    await _add_lost_cells(fetch, namespace, user, cells, made)
    return {name: _joined(namespace, parts) for name, parts in made.items()}


async def _add_lost_cells(
    fetch: Fetch, namespace: Namespace, user: str, cells: Sequence[str], made: dict[str, list[Cell]]
) -> int:
    """Adds what the ledger lost of the user to the parts of some cells. The last moment that is lost; 0: none is."""
    last = 0
    for row in await fetch("get_lost_cells_of_user", namespace.id, user):
        lost = msgspec.json.decode(row["cells"])
        last = max(last, lost.get("last", 0))
        for name, cell in other_cells(lost).items():
            if name in cells:
                made.setdefault(name, []).append(cell)
    return last


async def _read_few(
    fetch: Fetch, namespace: Namespace, user: str, ids: list[str], names: list[str], seqs: list[int]
) -> dict[str, list[Cell]]:
    """The cells of a user whose grants are few: out of all of them."""
    how = namespace.aggregation.name if namespace.by_moment else None
    rows = await fetch("get_cells_of_other_grants", namespace.id, user, ids, names, seqs, how, None)
    return {row["cell"]: [cell_from_row(row)] for row in rows}


async def _read_many(
    fetch: Fetch, namespace: Namespace, user: str, ids: list[str], names: list[str], seqs: list[int]
) -> dict[str, list[Cell]]:
    """The cells of a user with many grants, in one or two parts each: out of those that decide, and the rows behind."""
    how = namespace.aggregation.name if namespace.by_moment else None
    # This query goes first, because the live grants may follow in between: a grant that both find does no harm, one
    # that neither finds would.
    args = namespace.id, user, ids, names, seqs, how, namespace.partition
    recent = {row["cell"]: cell_from_row(row) for row in await fetch("get_cells_of_recent_grants", *args)}
    queries = [_cell_query(namespace, name) for name in names]
    indexed = await _first_of(fetch, namespace, user, ids, queries, how)
    absent = [query for query in queries if query.cell not in indexed]
    if absent:
        rows = await fetch(
            "get_sparse_cells",
            *_args(namespace, user, ids, absent),
            namespace.aggregation.name,
            namespace.by_moment,
        )
        indexed |= {row["cell"]: cell_from_row(row) for row in rows}
    return {
        name: [source[name] for source in (indexed, recent) if name in source]
        for name in names
        if name in indexed or name in recent
    }


def _cells_of_correction(namespace: Namespace, row: asyncpg.Record) -> dict[str, Cell]:
    """What a correction that is an open dead letter makes of each cell in which its grant counts."""
    if row["voided"]:
        return {}
    amount, at, seq = row["amount"], row["granted_at"], row["first_seq"]
    key = namespace.aggregation.line_key(amount, tie_place(at, seq))
    cell = Cell(amount, amount, amount, at, seq, latest_tie_place((key,)) if namespace.by_moment else None)
    day = None if row["day"] is None else row["day"].isoformat()
    category = row["category"]
    boards = [*row["windows"], *(f"{window}:{category}" for window in row["windows"] if category is not None)]
    return dict.fromkeys((*boards, *labels_of(category, row["source"], day=day)), cell)


def cell_from_row(row: asyncpg.Record) -> Cell:
    """A cell from its row."""
    tie = None if row["tie"] is None else int(row["tie"])
    return Cell(row["highest"], row["lowest"], row["latest"], row["latest_at"], row["latest_seq"], tie)


async def _first_of(
    fetch: Fetch, namespace: Namespace, user: str, ids: list[str], queries: Sequence[CellQuery], how: str | None
) -> dict[str, Cell]:
    """The cells whose deciding grant is found by index."""
    rest = (how, namespace.partition, PASSED_OVER_MAX)
    days = [query for query in queries if query.day is not None]
    if not namespace.aggregation.is_by_amount:
        inner = [_inner_day(namespace, query) for query in queries]
        rows = await fetch("get_cells_by_moment", *_args(namespace, user, ids, inner), *rest)
        result = {row["cell"]: cell_from_row(row) for row in rows}
        return {name: cell for name, cell in result.items() if how is None or cell.tie is not None}
    others = [query for query in queries if query.day is None]
    rows = await fetch("get_cells_by_amount", *_args(namespace, user, ids, others), *rest)
    result = {row["cell"]: cell_from_row(row) for row in rows}
    timed = [query for query in queries if query.cell == "all"] + [_inner_day(namespace, query) for query in days]
    rows = await fetch("get_latest_moments", *_args(namespace, user, ids, timed), PASSED_OVER_MAX)
    moments = {row["cell"]: cell_from_row(row) for row in rows}
    if "all" in result and "all" in moments:
        last = moments["all"]
        result["all"] = result["all"]._replace(latest=last.latest, latest_at=last.latest_at, latest_seq=last.latest_seq)
    else:
        result.pop("all", None)
    return result | {query.cell: moments[query.cell] for query in days if query.cell in moments}


def _args(namespace: Namespace, user: str, ids: list[str], queries: Sequence[CellQuery]) -> tuple[object, ...]:
    columns = zip(*queries, strict=True) if queries else ((),) * len(CellQuery._fields)
    return (namespace.id, user, ids, *map(list, columns))


def _cell_query(namespace: Namespace, cell: str) -> CellQuery:
    """The query of a cell, by its name."""
    label = parse_label(cell)
    if label is None:
        return _board_query(namespace, cell)
    if label.day is None:
        return CellQuery(cell, category=label.category, source=label.source)
    day = date.fromisoformat(label.day)
    start = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    slack = _micros(timedelta(hours=ZONE_HOURS_MAX))
    until = start + _micros(timedelta(days=1) + namespace.days.day_offset) + slack
    return CellQuery(cell, day=day, since=start - slack, until=until)


def _board_query(namespace: Namespace, board: str) -> CellQuery:
    base = base_of(board)
    query = CellQuery(board, window=base, category=board[len(base) + 1 :] or None)
    window = namespace.calendar.find(base, 0)
    if window is None or window.starts is None or window.ends is None:
        return query
    return query._replace(since=window.starts, until=window.ends)


def _inner_day(namespace: Namespace, query: CellQuery) -> CellQuery:
    """The query of a day in the namespace's zone; the user's own zone may be another."""
    if query.day is None:
        return query
    days = namespace.days
    return query._replace(since=days.begins(query.day), until=days.begins(query.day + timedelta(days=1)))


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _joined(namespace: Namespace, cells: Iterable[Cell]) -> Cell:
    """Joins one or two cells."""
    parts = list(cells)
    last = max(parts, key=lambda cell: (cell.latest_at, cell.latest_seq))
    tie = latest_tie_place(cell.line_key(namespace.aggregation) for cell in parts) if namespace.by_moment else None
    return Cell(max(cell.highest for cell in parts), min(cell.lowest for cell in parts), *last[2:5], tie)

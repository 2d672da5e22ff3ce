"""What a user's other grants make of each cell, as a plain model of the ledger's rows says."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import psycopg
import pytest

from app.drivers.postgres import Fetch, queries
from app.model.cell_ops import Cell
from app.model.micros import to_micros
from app.model.namespace import Namespace
from app.model.tie_break import latest_tie_place, tie_place
from app.store import other_grants
from tests.support.lone_namespace import KINDS, connected, count, space_of, tables
from tests.support.template import tables_alone

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (
    *("partition", "epoch", "seq", "kind", "namespace_id", "grant_id", "revision", "user_number"),
    *("entry_amount", "live_delta", "score", "category", "source", "day", "granted_at", "recorded_at", "windows"),
    *("digest", "score_delta", "amount", "voided", "verb", "opening"),
)


class Row(NamedTuple):
    """A row of the ledger, and the grant that it leaves. A tombstone of a later revision is one of that grant's."""

    seq: int
    kind: str
    grant_id: str
    revision: int
    value: int
    category: str | None
    source: str | None
    day: date | None
    at: datetime
    windows: tuple[str, ...]
    voided: bool
    opening: bool = False

    @property
    def is_dead_correction(self) -> bool:
        """Whether it is a correction that could not be recorded."""
        return self.kind == "tombstone" and self.revision > 1


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tables_alone(tmp_path_factory.mktemp("cells"), tmp_path_factory) as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as db:
            tables(db)
        yield cluster.url


def random_rows(namespace: Namespace, dice: random.Random, count: int) -> tuple[list[Row], dict[int, bool]]:
    """Grants with corrections, duplicates and dead letters; and of those set aside whether they are healed."""
    rows: list[Row] = []
    last: dict[str, Row] = {}
    healed: dict[int, bool] = {}
    for seq in range(1, count + 1):
        at = BEGAN + timedelta(minutes=dice.randrange(400) * 20)
        zone = timedelta(hours=dice.choice((0, 0, 1, -8)))
        windows = namespace.calendar.names_at(to_micros(at))
        grant = Row(
            *(seq, "grant", f"g{seq}", 1, dice.randrange(-3, 4), dice.choice(("red", "blue", None))),
            *(dice.choice(("race", "rare") if dice.random() < 0.1 else ("race", None)), (at + zone).date(), at),
            *(windows, dice.random() < 0.1),
        )
        if dice.random() < 0.2:
            grant = grant._replace(day=None, windows=("all",), opening=True)
        what = dice.random()
        if what < 0.3 and last:
            old = dice.choice(list(last.values()))
            grant = grant._replace(kind="correction", grant_id=old.grant_id, revision=old.revision + 1)
            if old.opening != grant.opening:
                where = ((at + zone).date(), windows) if grant.opening else (None, ("all",))
                grant = grant._replace(day=where[0], windows=where[1], opening=old.opening)
            if dice.random() < 0.6:
                grant = old._replace(seq=seq, kind="correction", revision=old.revision + 1, voided=not old.voided)
            if dice.random() < 0.3:
                grant = grant._replace(kind="tombstone")
                healed[seq] = dice.random() < 0.5
        elif what < 0.4:
            kind = dice.choice(("duplicate", "tombstone"))
            grant = grant._replace(kind=kind, grant_id=f"{kind}:1-{seq}", voided=False)
            healed[seq] = dice.random() < 0.5
        rows.append(grant)
        if grant.kind in ("grant", "correction") or (grant.is_dead_correction and not healed[seq]):
            last[grant.grant_id] = grant
    return rows, healed


async def put(
    db: asyncpg.Connection, namespace: Namespace, rows: list[Row], healed: dict[int, bool], counted: int
) -> None:
    """The rows of one user, counted up to a seq."""
    user = await db.fetchval("INSERT INTO users (name) VALUES ('u') RETURNING number")
    records: list[tuple[Any, ...]] = [
        (
            *(0, 1, row.seq, row.kind, namespace.id),
            *(f"tombstone:1-{row.seq}" if row.is_dead_correction else row.grant_id, row.revision),
            *(user, 0, 0, 0, row.category),
            *(row.source, row.day, row.at, row.at, list(row.windows), b"d", 0, row.value, row.voided),
            "void" if row.kind == "correction" else None,
            row.opening,
        )
        for row in rows
    ]
    end = rows[-1].seq
    for seq, is_healed in healed.items():
        row = rows[seq - 1]
        await db.execute(
            "INSERT INTO dead_letters (partition, epoch, seq, namespace_id, reason, entry, healed_seq, grant_id) "
            "VALUES (0, 1, $1, $5, $2, 'e', $3, $4)",
            *(seq, row.kind, end + seq if is_healed else None, row.grant_id if row.is_dead_correction else None),
            namespace.id,
        )
        if is_healed:
            heal = (0, 1, end + seq, "heal", namespace.id, f"heal:1-{seq}", 1, user, 0, 0, 0, None, None, None)
            records.append((*heal, row.at, row.at, list(row.windows), b"d", 0, row.value, False, None, False))
    await db.copy_records_to_table("ledger", records=records, columns=COLUMNS)
    await count(db, counted, 2 * end)


def model(
    namespace: Namespace, rows: list[Row], healed: dict[int, bool], without: Sequence[str], seqs: Sequence[int]
) -> dict[str, Cell]:
    """The same, the plain way."""
    first: dict[str, int] = {}
    left: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.grant_id, row.seq)
        if not (row.is_dead_correction and healed.get(row.seq, False)):
            left[row.grant_id] = row
    cells: dict[str, list[tuple[Row, int]]] = {}
    for name, row in left.items():
        if row.voided or name in without or row.seq in seqs or healed.get(row.seq, False):
            continue
        boards = [*row.windows, *(f"{window}:{row.category}" for window in row.windows if row.category)]
        labels = [f"c:{row.category}"] * bool(row.category) + [f"s:{row.source}"] * bool(row.source)
        days = [f"d:{row.day}"] * bool(row.day)
        for cell in (*boards, *labels, *days):
            cells.setdefault(cell, []).append((row, first[name]))
    cells_by_name = {}
    for cell, grants in cells.items():
        moments = [(to_micros(row.at), seq, row.value) for row, seq in grants]
        at, seq, latest = max(moments)
        keys = [namespace.aggregation.line_key(value, tie_place(at, seq)) for at, seq, value in moments]
        values = [value for _, _, value in moments]
        tie = latest_tie_place(keys) if namespace.by_moment else None
        cells_by_name[cell] = Cell(max(values), min(values), latest, at, seq, tie)
    return cells_by_name


def reply(namespace: Namespace, name: str, cell: Cell) -> tuple[Any, ...]:
    """What a plan takes of a cell."""
    if name.startswith("d:"):
        return ()
    last = cell.latest_at if name == "all" else None
    tie = None if name[1] == ":" else cell.tie
    match namespace.aggregation.name:
        case "highest":
            return cell.highest, last, tie
        case "lowest":
            return cell.lowest, last, tie
        case "latest":
            return cell.latest, cell.latest_at, cell.latest_seq, tie
        case _:
            return last, tie


def fetch_on(db: asyncpg.Connection) -> Fetch:
    async def fetch(query: str, *args: Any) -> list[asyncpg.Record]:
        return list(await db.fetch(queries()[query], *args))

    return fetch


@pytest.mark.parametrize("tie_break", ["none", "granted_at"])
@pytest.mark.parametrize(("aggregation", "order"), KINDS)
@pytest.mark.parametrize("passed_over", [3, 500])
def test_random_grants_come_to_what_a_plain_model_says(
    url: str, monkeypatch: pytest.MonkeyPatch, aggregation: str, order: str, tie_break: str, passed_over: int
) -> None:
    """Whether all rows are read or those that decide, and wherever the live grants' own table has come to."""
    monkeypatch.setattr(other_grants, "PASSED_OVER_MAX", passed_over)
    dice = random.Random(f"{aggregation}{order}{tie_break}")

    async def compare() -> None:
        async with connected(url) as db:
            for size in (5, 30, 90, 200):
                namespace = await space_of(db, aggregation, order, tie_break)
                rows, healed = random_rows(namespace, dice, size)
                await put(db, namespace, rows, healed, dice.randrange(size + 1))
                grants = [row.grant_id for row in rows if row.kind in ("grant", "correction")]
                counted = model(namespace, rows, {}, [], []) | model(namespace, rows, healed, [], [])
                names = [*counted, "c:none", "2026-01:none", "d:2030-01-01", "season:x"]
                for few in (10_000, 0):
                    monkeypatch.setattr(other_grants, "ROWS_FEW_MAX", few)
                    for _ in range(4):
                        without = dice.sample(grants, min(len(grants), dice.randrange(3)))
                        aside = [row.seq for row in rows if row.seq in healed and row.revision == 1]
                        seqs = dice.sample(aside, min(len(aside), dice.randrange(3)))
                        got = await other_grants.other_grants_cells(fetch_on(db), namespace, "u", without, names, seqs)
                        right = model(namespace, rows, healed, without, seqs)
                        assert {name: reply(namespace, name, cell) for name, cell in got.items()} == {
                            name: reply(namespace, name, cell) for name, cell in right.items()
                        }

    asyncio.run(compare())

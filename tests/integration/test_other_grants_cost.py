"""What reading a user's other grants costs in pages, however many the user has; and what a board of the past costs."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

from app.drivers.postgres import queries
from app.store import other_grants
from tests.support.lone_namespace import KINDS, connected, count, space_of, tables
from tests.support.template import tables_alone

MANY = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
    live_delta, score, category, source, day, granted_at, recorded_at, windows, digest, score_delta, amount)
SELECT 0, 1, $3::bigint + i, 'grant', $1, 'g' || $3::bigint + i, 1, $2, i % 50, 1, i,
       CASE WHEN i % 20000 = 1 THEN 'rare' ELSE 'red' END, 'race', t.at::date, t.at, t.at,
       ARRAY['all', to_char(t.at, 'YYYY-MM'), to_char(t.at, 'YYYY-MM-DD')], 'd', i % 50, i % 50
FROM generate_series(1, $4::bigint) AS i
CROSS JOIN LATERAL (SELECT '2026-01-02T00:00:00Z'::timestamptz + i * interval '1 second' AS at) AS t
"""
#: Pages that the two may differ by, however small both are.
SLACK_PAGES = 100
SMALL, LARGE = 200, 20_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tables_alone(tmp_path_factory.mktemp("cost"), tmp_path_factory) as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as db:
            tables(db)
        yield cluster.url


class Counter:
    """Asks named queries, and counts the pages that they touch once these are in memory."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self._db = db
        self.pages = 0

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        text = queries()[query]
        rows = list(await self._db.fetch(text, *args))
        ((plan,),) = await self._db.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", *args)
        Plan = msgspec.json.decode(plan)[0]["Plan"]
        self.pages += Plan["Shared Hit Blocks"] + Plan["Shared Read Blocks"]
        return rows


async def fill(db: asyncpg.Connection, namespace: int) -> None:
    for user, first, size in (("small", 0, SMALL), ("large", SMALL, LARGE)):
        number = await db.fetchval("INSERT INTO users (name) VALUES ($1) RETURNING number", user)
        await db.execute(MANY, namespace, number, first, size)
    await count(db, SMALL + LARGE, SMALL + LARGE)
    await db.execute("VACUUM ANALYZE")


@pytest.mark.parametrize("tie_break", ["none", "granted_at"])
@pytest.mark.parametrize(("aggregation", "order"), KINDS)
def test_who_has_a_hundred_times_the_grants_costs_twice_at_most(
    url: str, aggregation: str, order: str, tie_break: str
) -> None:
    """The best grant of each and the last one are left out. Of a category that two grants have, one of them the worst,
    the rows are read through once: a page holds many, and none is looked up for itself."""

    async def measure() -> tuple[int, int, int]:
        async with connected(url) as db:
            namespace = await space_of(db, aggregation, order, tie_break)
            await fill(db, namespace.id)
            used = []
            boards = ["all", "2026-01", "2026-01-02", "all:red", "2026-01:red", "2026-01-02:red"]
            names = [*boards, "c:red", "s:race", "d:2026-01-02"]
            for user, first, size in (("small", 0, SMALL), ("large", SMALL, LARGE)):
                counter, ids = Counter(db), [f"g{first + 49}", f"g{first + size}"]
                cells = await other_grants.other_grants_cells(counter.fetch, namespace, user, ids, names)
                assert cells.keys() == set(names)
                used.append(counter.pages)
            rare = Counter(db)
            cells = await other_grants.other_grants_cells(
                rare.fetch, namespace, "large", [], ["c:rare", "2026-01:rare", "c:none"]
            )
            assert cells.keys() == {"c:rare", "2026-01:rare"}
            return used[0], used[1], rare.pages

    small, large, rare = asyncio.run(measure())
    assert large <= 2 * small + SLACK_PAGES, f"{large} pages, {small} for who has few"
    assert rare < LARGE / 2, f"{rare} pages of {LARGE} grants"


def test_a_board_of_the_past_looks_up_corrections_alone(url: str) -> None:
    """A grant that was never corrected is read where it stands, and not once more by its id."""

    async def measure() -> int:
        async with connected(url) as db:
            namespace = await space_of(db, "sum", "desc", "none")
            await fill(db, namespace.id)
            counter, at = Counter(db), datetime(2027, 1, 1, tzinfo=UTC)
            args = (namespace.id, "all", None, at, "sum", 1, 1, 10, None, False, False)
            assert len(await counter.fetch("get_historical_board", *args)) == 2
            return counter.pages

    pages = asyncio.run(measure())
    assert pages < LARGE / 2, f"{pages} pages of {LARGE} grants"

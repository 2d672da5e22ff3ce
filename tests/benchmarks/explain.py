"""Pages of `explain` of a user who has 1,000,000 grants, half of them voided, over HTTP.

Pages of 100 begin at random grants, also deep down; each answer tells the score, too. The rows go straight into the
ledger; what follows them is the persister's own statements. Nothing writes meanwhile.
"""

import asyncio
import base64
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from app.drivers.postgres import PLANNER_SETTINGS, queries
from app.model.micros import to_micros
from app.persist.time_buckets import count_in_time
from tests.conftest import Stack

GRANTS, PAGES, LIMIT = 1_000_000, 200, 100
MS_MAX = 50.0
STEP = 10_000
BEGAN, DAYS = datetime(2024, 1, 1, tzinfo=UTC), 730
MONTH, SEASON = "2024-11", {"name": "s", "starts": "2024-03-01T12:34:56.789Z", "ends": "2025-06-07T08:09:10.111Z"}
KINDS: dict[str, dict[str, Any]] = {name: {"aggregation": name} for name in ("sum", "best", "latest")}
FILL = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
                    live_delta, score,
                    granted_at, recorded_at, windows, digest, score_delta, amount)
SELECT $1::smallint, 1, $2::bigint + i, 'grant', $3::int, 'g' || i, 1, $4::bigint, i % 1000, 1, 1, t.at, now(),
       ARRAY['all', to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM')]
       || CASE WHEN t.at >= $6 AND t.at < $7 THEN ARRAY['season:s'] ELSE '{}' END, '', i % 1000, i % 1000
FROM generate_series(1, $5::int) AS i
CROSS JOIN LATERAL (SELECT $8::timestamptz + (i - random()) / $5 * $9::int * interval '1 day' AS at OFFSET 0) AS t
"""
VOID = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
                    live_delta, score,
                    granted_at, recorded_at, windows, digest, score_delta, amount, voided, verb)
SELECT partition, 1, $2::bigint + row_number() OVER (ORDER BY seq), 'correction', namespace_id, grant_id, 2,
       user_number, 0, -1, 1, granted_at, now(), windows, '', -amount, amount, true, 'void'
FROM ledger WHERE namespace_id = $1 AND kind = 'grant' AND hashtext(grant_id) % 2 = 0
"""


async def fill(url: str, name: str) -> None:
    """One user's ledger, and what follows it."""
    db = await asyncpg.connect(url, server_settings=PLANNER_SETTINGS)
    sql = """SELECT n.id, n.partition, p.seq FROM namespaces n JOIN partitions p ON p.partition = n.partition
             WHERE n.name = $1"""
    space, p, first = (await db.fetch(sql, name))[0]
    user = await db.fetchval("INSERT INTO users (name) VALUES ($1) RETURNING number", f"user-{name}")
    season = (datetime.fromisoformat(SEASON["starts"]), datetime.fromisoformat(SEASON["ends"]))
    await db.execute(FILL, p, first, space, user, GRANTS, *season, BEGAN, DAYS)
    await db.execute(VOID, space, first + GRANTS)
    last = await db.fetchval("SELECT max(seq) FROM ledger WHERE partition = $1", p)
    for begin in range(first, last, STEP):
        span = [[p], [1], [begin], [1], [min(begin + STEP, last)]]
        async with db.transaction():
            await db.execute(queries()["add_standings"], *span)
            await count_in_time(db, span)
    done = "UPDATE partitions SET epoch = 1, seq = $2, counted_epoch = 1, counted_seq = $2 WHERE partition = $1"
    await db.execute(done, p, last)
    await db.close()


def cursor(rng: random.Random) -> str:
    """Behind a random moment."""
    at = BEGAN + timedelta(days=rng.random() * DAYS)
    return base64.urlsafe_b64encode(f"{to_micros(at)} 1".encode()).decode().rstrip("=")


def measure(client: httpx.Client, name: str, window: str) -> tuple[float, float, int]:
    """Milliseconds of the second slowest of 200 pages and of the median, and how many grants they told."""
    rng, times, count = random.Random(name + window), [], 0
    for _ in range(PAGES):
        query = {"window": window, "limit": str(LIMIT), "cursor": cursor(rng)}
        started = time.perf_counter()
        answer = client.get(f"/v1/namespaces/explain-{name}/users/user-explain-{name}/explain", params=query)
        times.append((time.perf_counter() - started) * 1000)
        body = answer.raise_for_status().json()
        assert body["score"] is not None
        count += len(body["grants"])
    times.sort()
    return times[-2], times[PAGES // 2], count


def main(stack: Stack) -> None:
    """A line for each aggregation and window. No persister runs: the ledger is ahead of the log."""
    with stack.client() as client:
        for name, rules in KINDS.items():
            full = rules | {"seasons": [SEASON], "accept_past": None}
            client.put(f"/v1/namespaces/explain-{name}", json=full).raise_for_status()
            started = time.perf_counter()
            asyncio.run(fill(stack.postgres.url, f"explain-{name}"))
            print(f"{f'1,500,000 rows, {name}, put in':34} {time.perf_counter() - started:10.1f} s", flush=True)
            for window in ("all", MONTH, "season:s"):
                ms, median, count = measure(client, name, window)
                verdict = "met" if ms <= MS_MAX else "NOT MET"
                line = f"{f'explain, {name}, {window}: p99':34} {ms:10.1f} ms, median {median:.1f}"
                print(f"{line}, of {count:,} grants  at most {MS_MAX:.0f}: {verdict}", flush=True)

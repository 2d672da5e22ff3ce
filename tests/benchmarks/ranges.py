"""A range of one user's grants: 1,000 of them against 1,000,000, over HTTP.

Both are granted over the same two years and recorded within one minute, as an import is: a wide and a dense spread.
The rows go straight into the ledger; what counts them is the persister's own statement.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from app.drivers.postgres import queries
from app.persist.log_reader import ROWS_MAX
from app.persist.time_buckets import count_in_time
from tests.conftest import Stack

SIZES = {"few": 1_000, "many": 1_000_000}
BEGAN = datetime(2023, 1, 1, tzinfo=UTC)
SPANS = {"granted": 2 * 365 * 24 * 3600.0, "recorded": 60.0}  # seconds
CALLS = 300
FILL = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
                    live_delta, score,
                    granted_at, recorded_at, windows, digest, score_delta, amount)
SELECT $1::smallint, 1, $2::bigint + i, 'grant', $3::int, 'g' || i || '-' || $4::bigint, 1, $4::bigint, 1, 1, 1,
       $6::timestamptz + (i - random()) * $7::float8 / $5 * interval '1 second',
       $6::timestamptz + i * 2000::bigint / $5 * interval '30 milliseconds', '{all}', '', 1, 1
FROM generate_series(1, $5::int) AS i
"""


async def fill(url: str, name_of_space: str) -> None:
    """Ledger, standings and counts by time of one user a size."""
    db = await asyncpg.connect(url, server_settings={"enable_seqscan": "off", "jit": "off"})  # as the persister's is
    sql = """SELECT n.id, n.partition, p.seq FROM namespaces n JOIN partitions p ON p.partition = n.partition
             WHERE n.name = $1"""
    space, p, first = (await db.fetch(sql, name_of_space))[0]
    for name, count in SIZES.items():
        user = await db.fetchval("INSERT INTO users (name) VALUES ($1) RETURNING number", name)
        await db.execute(FILL, p, first, space, user, count, BEGAN, SPANS["granted"])
        # In as many rows a transaction as the persister reads at most.
        for begin in range(first, first + count, ROWS_MAX):
            span = [[p], [1], [begin], [1], [min(begin + ROWS_MAX, first + count)]]
            async with db.transaction():
                await db.execute(queries()["add_standings"], *span)
                await count_in_time(db, span)
        first += count
    done = "UPDATE partitions SET epoch = 1, seq = $2, counted_epoch = 1, counted_seq = $2 WHERE partition = $1"
    await db.execute(done, p, first)
    await db.close()


def micros(client: httpx.Client, user: str, by: str, seed: int) -> float:
    """The median time of a range count, bounds drawn to the microsecond."""
    rng, times = random.Random(seed), []
    for _ in range(CALLS):
        since, until = sorted(BEGAN + timedelta(seconds=rng.random() * SPANS[by]) for _ in range(2))
        query = {"since": since.isoformat(), "until": until.isoformat(), "by": by}
        started = time.perf_counter()
        client.get(f"/v1/namespaces/ranges/users/{user}/activity", params=query).raise_for_status()
        times.append(time.perf_counter() - started)
    return sorted(times)[CALLS // 2] * 1e6


def main(stack: Stack, tell_cost: Callable[..., None], rounds: int) -> None:
    """One line for each of the two times that a grant has. No persister runs: the ledger is ahead of the log."""
    with stack.client() as client:
        client.put("/v1/namespaces/ranges", json={}).raise_for_status()
        started = time.perf_counter()
        asyncio.run(fill(stack.postgres.url, "ranges"))
        print(f"{'1,001,000 grants put in and counted':34} {time.perf_counter() - started:10.1f} s", flush=True)
        for by in ("granted", "recorded"):
            costs = {name: [micros(client, name, by, r) for r in range(rounds)] for name in SIZES}
            many, few = (sorted(costs[name])[rounds // 2] for name in ("many", "few"))
            tell_cost(f"a range by {by}, 10^6 to 10^3", many, few, "µs", 2.0)

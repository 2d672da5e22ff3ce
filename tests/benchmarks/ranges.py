"""A range of one user's grants: 1,000 of them against 1,000,000, over HTTP, both spread over the same two years.

The rows go straight into the ledger; what counts them is the persister's own statement.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from app.store.postgres import queries
from tests.conftest import Stack

SIZES = {"few": 1_000, "many": 1_000_000}
BEGAN = datetime(2023, 1, 1, tzinfo=UTC)
SECONDS = 2 * 365 * 24 * 3600
CALLS = 300
P = 99  # no partition of the system's: its persister never looks there
FILL = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, amount, weight, score,
                    granted_at, recorded_at, windows, digest, change, value)
SELECT %(p)s, 1, %(first)s + i, 'grant', %(space)s, 'g' || i || '-' || %(user)s, 1, %(user)s, 1, 1, 1, at, at, '{all}',
       '', 1, 1
FROM generate_series(1, %(count)s) AS i
CROSS JOIN LATERAL (SELECT %(began)s::timestamptz + (i - random()) * %(step)s::float8 * interval '1 second' AS at) AS t
"""


def fill(db: psycopg.Connection[Any], space: int) -> None:
    """Ledger, standings and counts by time of one user a size."""
    first = 0
    for name, count in SIZES.items():
        db.execute("INSERT INTO users (name) VALUES (%s)", (name,))
        (user,) = db.execute("SELECT number FROM users WHERE name = %s", (name,)).fetchone() or (0,)
        given = {"p": P, "first": first, "space": space, "user": user, "count": count, "began": BEGAN}
        db.execute(FILL, given | {"step": SECONDS / count})
        span = ([P], [1], [first], [1], [first + count])
        for query in ("add_standings", "add_activity"):
            text = queries()[query].replace("%", "%%")
            for place in range(1, 6):
                text = text.replace(f"${place}", "%s")
            db.execute(text, span)
        first += count
        db.commit()


def micros(client: httpx.Client, user: str, by: str, seed: int) -> float:
    """The median time of a range count, bounds drawn to the microsecond."""
    rng, times = random.Random(seed), []
    for _ in range(CALLS):
        since, until = sorted(BEGAN + timedelta(seconds=rng.random() * SECONDS) for _ in range(2))
        query = {"since": since.isoformat(), "until": until.isoformat(), "by": by}
        started = time.perf_counter()
        client.get(f"/v1/namespaces/ranges/users/{user}/activity", params=query).raise_for_status()
        times.append(time.perf_counter() - started)
    return sorted(times)[CALLS // 2] * 1e6


def main(stack: Stack, tell_cost: Callable[..., None], rounds: int) -> None:
    """One line for each of the two times that a grant has."""
    with stack.client() as client, psycopg.connect(stack.postgres.url) as db:
        client.put("/v1/namespaces/ranges", json={}).raise_for_status()
        (space,) = db.execute("SELECT id FROM namespaces WHERE name = 'ranges'").fetchone() or (0,)
        started = time.perf_counter()
        fill(db, space)
        print(f"{'1,001,000 grants put in and counted':34} {time.perf_counter() - started:10.1f} s", flush=True)
        for by in ("granted", "recorded"):
            costs = {name: [micros(client, name, by, r) for r in range(rounds)] for name in SIZES}
            many, few = (sorted(costs[name])[rounds // 2] for name in ("many", "few"))
            tell_cost(f"a range by {by}, 10^6 to 10^3", many, few, "µs", 2.0)

"""`leaderboard rebuild` beside a bare script that writes the same users: four ZADD and one HSET each, 500 a call.

The ledger is filled by SQL, in the order in which a persister would have written it. All grants lie within one day, so
a user stands on four boards. The bare script gets its users from memory; a rebuild reads them from Postgres.
"""

import asyncio
import hashlib
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.types.json import Jsonb

from app.admin.migrate import SCRIPTS, publish_deployment
from app.admin.store_agreement import find_chain
from app.drivers.postgres import Postgres
from app.drivers.redis import RedisConnection
from app.drivers.scripts import Script
from app.model.namespace import partition_of
from app.recover.partition_rebuild import PartitionRebuild, RebuildReport
from app.settings import read_settings
from app.tune_gc import tune_gc
from app.verify.progress import NullProgress
from tests.conftest import Stack
from tests.support.template import migrate_here

SOURCE = """
local n = tonumber(ARGV[1])
for b = 1, 4 do
  local args = {}
  for i = 1, n do args[2 * i - 1], args[2 * i] = ARGV[6 * i - 3], ARGV[6 * i - 4] end
  redis.call('ZADD', KEYS[b], unpack(args))
end
for i = 1, n do
  local at = 6 * i - 3
  redis.call('HSET', KEYS[4 + i], 'total', ARGV[at], 'count', ARGV[at + 1], 'last', ARGV[at + 2], 'seq', ARGV[at + 3],
    'at', ARGV[at + 4])
end
"""
BATCH = 500
#: Seconds until a rewrite that began before must be done.
QUIET_S_MAX = 120
#: A moment in microseconds.
AT = 1_767_000_000_000_000
RATIO_MIN = 0.7
#: name, users, grants of each, rules, users a second that are wanted.
CASES: tuple[tuple[str, int, int, dict[str, Any], int | None], ...] = (
    ("10^6 users of one grant", 1_000_000, 1, {}, 20_000),
    ("10^5 users of ten grants", 100_000, 10, {}, 10_000),
    ("the same, tie_break: earliest", 100_000, 10, {"tie_break": "earliest"}, None),
    ("the same, ranking: dense", 100_000, 10, {"ranking": "dense"}, None),
    ("the same, category_boards", 100_000, 10, {"category_boards": True}, None),
    ("the same, bounded_sums", 100_000, 10, {"bounded_sums": True}, None),
)
FILL = """
INSERT INTO users (name) SELECT 'user-' || i FROM generate_series(1, %(users)s) AS i ON CONFLICT DO NOTHING;
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
    live_delta, score, category, source, granted_at, recorded_at, windows, digest, score_delta, amount)
SELECT %(p)s, 1, seq, 'grant', n.id, 'grant-' || seq, 1, u.number, amount, 1, amount,
    CASE WHEN %(categories)s THEN (ARRAY['red', 'blue'])[1 + seq %% 2] END, NULL, at, at,
    '{all,2026-01,2026-W02,2026-01-07}', decode(md5(seq::text), 'hex'), amount, amount
FROM (
    SELECT seq, 1 + seq::bigint * 7919 %% 1000 AS amount,
           '2026-01-07T00:00:00Z'::timestamptz + seq * interval '70 ms' AS at,
           CASE WHEN %(grants)s = 1 THEN seq ELSE 1 + seq::bigint * 15485863 %% %(users)s END AS i
    FROM generate_series(1, %(users)s::int * %(grants)s::int) AS seq) AS g
JOIN users u ON u.name = 'user-' || g.i CROSS JOIN (SELECT id FROM namespaces WHERE name = %(name)s) AS n ORDER BY seq;
INSERT INTO standings SELECT user_number, namespace_id, sum(score_delta), count(*), max(granted_at) FROM ledger
    WHERE partition = %(p)s GROUP BY 1, 2;
UPDATE partitions SET epoch = 1, seq = %(users)s::int * %(grants)s::int,
    digest = decode(md5((%(users)s::int * %(grants)s::int)::text), 'hex') WHERE partition = %(p)s;
"""


def main() -> None:
    """Three lines a case: users, scores and entries a second."""
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            stack = Stack(Path(folder))
            stack.valkey.start()
            try:
                stack.postgres.start()
                migrate_here(stack.environment)
                run(stack, *case)
            finally:
                stack.down()


def run(stack: Stack, name: str, users: int, grants: int, rules: dict[str, Any], rate_goal: int | None) -> None:
    """One case: the bare script, the rebuild, the bare script again."""
    p = partition_of("bench", None, 16)
    fill(stack, p, users, grants, rules)
    lose(stack)
    members = [(f"user-{i}", random.randint(1, 1_000)) for i in range(1, users + 1)]
    bare = [asyncio.run(write_bare(stack, members, "0"))]
    lose(stack)
    started = time.perf_counter()
    report = asyncio.run(rebuild(stack, p))
    seconds = time.perf_counter() - started
    lose(stack)
    bare.append(asyncio.run(write_bare(stack, members, "1")))
    floor = sum(bare) / len(bare)
    assert report.users == users
    ratio = floor / seconds
    verdict = f"  wanted {RATIO_MIN}: {'met' if ratio >= RATIO_MIN else 'NOT MET'}"
    goal = (
        "" if rate_goal is None else f", {rate_goal:,} users/s: {'met' if users / seconds >= rate_goal else 'NOT MET'}"
    )
    print(f"{name:34} {users / seconds:10,.0f} {users / floor:10,.0f} users/s   ratio {ratio:.2f}{verdict}{goal}")
    print(f"{'':34} {report.scores / seconds:10,.0f} scores/s, {users * grants / seconds:10,.0f} entries/s", flush=True)


def lose(stack: Stack) -> None:
    """Redis is empty from here on, and does nothing of its own: it frees nothing and does not rewrite its file while
    somebody is measured. A rewrite would fall into one of the measured runs and take one of two cores."""
    with redis.Redis.from_url(stack.valkey.url) as store:
        store.config_set("auto-aof-rewrite-percentage", 0)
        store.flushall(asynchronous=False)
        until = time.monotonic() + QUIET_S_MAX
        while store.info("persistence")["aof_rewrite_in_progress"]:
            assert time.monotonic() < until, "Redis still rewrites its file"
            time.sleep(0.1)


def fill(stack: Stack, p: int, users: int, grants: int, rules: dict[str, Any]) -> None:
    """A namespace, its rows, and what a persister writes beside them."""
    names = {"p": p, "users": users, "grants": grants, "name": "bench", "categories": "category_boards" in rules}
    with psycopg.connect(stack.postgres.url, autocommit=True) as db:
        sent = Jsonb({"accept_past": None} | rules)
        db.execute("INSERT INTO namespaces (name, partition, rules) VALUES ('bench', %s, %s)", (p, sent))
        for statement in FILL.split(";\n")[:-1]:
            db.execute(statement.encode(), names)
        db.execute("VACUUM ANALYZE")


async def rebuild(stack: Stack, p: int) -> RebuildReport:
    """As the command does it, of the one partition that holds something."""
    postgres, link = Postgres(stack.postgres.url), RedisConnection(stack.valkey.url, SCRIPTS)
    await publish_deployment(postgres, link)
    chain = await find_chain(read_settings(stack.environment), postgres)
    await link.close()
    await postgres.close()
    tune_gc()
    return await PartitionRebuild(stack.postgres.url, stack.valkey.url, p, NullProgress(), chain=chain).run()


async def write_bare(stack: Stack, members: list[tuple[str, int]], tag: str) -> float:
    """Seconds in which the bare script writes these users."""
    script = Script("bare", SOURCE, hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest())
    link = RedisConnection(stack.valkey.url, [script])
    await link.connect()
    started = time.perf_counter()
    for first in range(0, len(members), BATCH):
        some = members[first : first + BATCH]
        names = [f"bare:{tag}:{board}" for board in range(4)] + [f"bare:{tag}:u:{name}" for name, _ in some]
        args = [
            part
            for name, score in some
            for part in (name, score, 1, 1_767_000_000_000_000, first, 1_767_000_000_000_000)
        ]
        (reply,) = await link.run([("EVALSHA", script.sha, len(names), *names, len(some), *args)])
        assert not isinstance(reply, Exception), reply
    seconds = time.perf_counter() - started
    await link.close()
    return seconds

"""A ledger of known size with all that is kept beside it, put in by SQL: for tests of what queries cost."""

import asyncio
import json

import asyncpg
import psycopg

from app.drivers.postgres import PLANNER_SETTINGS, queries
from app.persist.time_buckets import count_in_time

USERS, GRANTS, HEAVY, BEST = 3_000, 20_000, 10_000, 5_000
SPACE, BEST_SPACE = 1, 2
RULES = {
    "timezone": "Europe/Berlin",
    "aggregation": "sum",
    "order": "desc",
    "accept_past": "P35D",
    "seasons": [{"name": "s", "starts": "2026-01-01T00:00:00Z", "ends": "2027-01-01T00:00:00Z"}],
}
BEGAN = "2026-01-01T00:00:00Z"

# Grants of a namespace, a minute apart; the first user has as many as all others together.
GRANT = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
    live_delta, score, category, source, source_id, session_id, actor, granted_at, recorded_at, windows,
        digest, score_delta, amount)
SELECT %(p)s, 1, %(first)s + i, 'grant', %(space)s, 'g' || i, 1,
       CASE WHEN i <= %(heavy)s THEN 1 ELSE 2 + i %% (%(users)s - 1) END, i %% 50, 1, i, 'red', 'race', 's' || i %% 40,
       'session', 'key', t.at, t.at, ARRAY['all', to_char(t.at, 'YYYY-MM'), to_char(t.at, 'YYYY-MM-DD')], 'd', i %% 50,
       i %% 50
FROM generate_series(1, %(count)s) AS i
CROSS JOIN LATERAL (SELECT %(began)s::timestamptz + i * interval '1 minute' AS at) AS t
"""
# Of every tenth grant a void, of some others an edit.
CORRECT = """
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
    live_delta, score, category, source, granted_at, recorded_at, windows, digest, score_delta, amount, voided,
        verb, actor, idempotency_key,
    request_digest)
SELECT l.partition, 1, %(first)s + row_number() OVER (ORDER BY l.seq), 'correction', l.namespace_id, l.grant_id, 2,
       l.user_number, 0, 0, 1, l.category, l.source, l.granted_at, l.recorded_at + interval '1 day', l.windows, 'd', 0,
       l.amount, l.seq %% 2 = 0, CASE WHEN l.seq %% 2 = 0 THEN 'void' ELSE 'edit' END, 'admin', 'k' || l.seq, 'a'
FROM ledger l WHERE l.namespace_id = %(space)s AND l.seq %% 20 IN (0, 7)
"""
FILL = f"""
INSERT INTO users (name) SELECT 'u' || i FROM generate_series(1, {USERS}) AS i;
INSERT INTO api_keys (id, hash, scopes) SELECT 'k' || i, 'h', '{{read:*}}' FROM generate_series(1, 100) AS i;
INSERT INTO profiles (user_number, display_name, folded_name)
    SELECT i, 'name ' || i, 'name ' || i FROM generate_series(1, 2000) AS i;
INSERT INTO hidden_users (user_number, by_admin) SELECT i * 100, true FROM generate_series(1, 20) AS i;
INSERT INTO visibility_intents (user_number, name, version, desired_state, pending_partitions)
    SELECT i * 100, 'u' || i * 100, i, 'hide', '{{}}' FROM generate_series(1, 20) AS i;
INSERT INTO webhooks (id, api_key_id, settings, secret)
    SELECT 'w' || i, 'k1', '{{}}', 's' FROM generate_series(1, 50) AS i;
INSERT INTO webhook_offsets SELECT w, p, 1, 1 FROM generate_series(1, 50) AS w, generate_series(-1, 3) AS p;
INSERT INTO webhook_deliveries (webhook, message_id, type, place, state)
    SELECT w, 'm' || i, 'granted', '{{}}', CASE WHEN i % 50 = 0 THEN 'dead' ELSE 'delivered' END
    FROM generate_series(1, 50) AS w, generate_series(1, 200) AS i;
INSERT INTO grant_meta (namespace_id, partition, epoch, seq, meta)
    SELECT namespace_id, partition, epoch, seq, '{{"a": 1}}' FROM ledger WHERE kind = 'grant' AND seq % 3 = 0;
INSERT INTO audit (namespace_id, type, actor, body)
    SELECT 3 + i % 200, 'batch_applied', 'key', '{{}}' FROM generate_series(1, 20000) AS i;
INSERT INTO audit (namespace_id, type, actor, body)
    SELECT {SPACE}, 'batch_applied', 'key', '{{}}' FROM generate_series(1, 5000) AS i;
INSERT INTO audit (namespace_id, type, actor, body) VALUES ({SPACE}, 'namespace_changed', 'admin', '{{}}');
INSERT INTO seals (namespace_id, "window", partition, epoch, seq, sealed_at, archived_at)
    SELECT {SPACE}, '2026-01-' || lpad(i::text, 2, '0'), 0, 1, 100 + i, now(), CASE WHEN i < 5 THEN now() END
    FROM generate_series(1, 9) AS i;
INSERT INTO archived_boards (namespace_id, board, "window", board_size, seq)
    SELECT {SPACE}, '2026-01-0' || i, '2026-01-0' || i, 3000, 100 FROM generate_series(1, 5) AS i;
INSERT INTO archive_rows (namespace_id, archive_id, position, user_number, sort_key, tie_place, better_users,
        better_scores)
    SELECT a.namespace_id, a.id, row_number() OVER w, u.number, 100 - u.number % 3, 0, (rank() OVER k) - 1,
           (dense_rank() OVER k) - 1
    FROM archived_boards a CROSS JOIN users u
    WINDOW w AS (PARTITION BY a.id ORDER BY 100 - u.number % 3 DESC, u.name COLLATE "C" DESC),
           k AS (PARTITION BY a.id ORDER BY 100 - u.number % 3 DESC);
INSERT INTO archive_revisions (namespace_id, archive_id, revision, seq, board_size, hash)
    SELECT namespace_id, id, 1, 100, 3000, '' FROM archived_boards WHERE id < 5;
INSERT INTO hidden_archive_users
    SELECT a.namespace_id, a.id, h.user_number FROM archived_boards a CROSS JOIN hidden_users h;
INSERT INTO pending_archive_updates SELECT {SPACE}, '2026-01-02', i, 0, 200 + i FROM generate_series(1, 300) AS i;
INSERT INTO dead_letters (partition, epoch, seq, namespace_id, reason, entry)
    SELECT 0, 1, i, {SPACE}, 'duplicate', 'u' FROM generate_series(1, 50) AS i;
"""
SEARCHABLE = """
INSERT INTO searchable_users (user_number, namespace_id, folded_id, folded_name)
SELECT s.user_number, s.namespace_id, u.name, p.folded_name
FROM standings s JOIN users u ON u.number = s.user_number LEFT JOIN profiles p ON p.user_number = s.user_number
"""


def fill(url: str) -> None:
    """Two namespaces of known size among two hundred small ones, counted, not analysed."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO deployment (id, partitions) VALUES ('d', 4)")
        db.execute("INSERT INTO partitions (partition) SELECT generate_series(0, 3)")
        spaces = [("sum", 0, RULES), ("best", 1, RULES | {"aggregation": "best"})]
        spaces += [(f"n{i}", 2 + i % 2, RULES | {"seasons": []}) for i in range(200)]
        for name, p, rules in spaces:
            db.execute(
                "INSERT INTO namespaces (name, partition, rules) VALUES (%s, %s, %s)", (name, p, json.dumps(rules))
            )
        sizes = [(SPACE, 0, 0, GRANTS, HEAVY), (BEST_SPACE, 1, 0, BEST, BEST // 2)]
        sizes += [(3 + i, 2 + i % 2, i * 20, 20, 0) for i in range(200)]
        for space, p, first, count, heavy in sizes:
            named = {"space": space, "p": p, "first": first, "count": count, "heavy": heavy}
            db.execute(GRANT, named | {"users": USERS, "began": BEGAN})
        db.execute(CORRECT, {"space": SPACE, "first": GRANTS})
        db.execute(FILL)
        db.execute(
            """UPDATE partitions p SET epoch = 1, seq = l.seq, opened_at = now()
               FROM (SELECT partition, max(seq) AS seq FROM ledger GROUP BY 1) AS l WHERE l.partition = p.partition"""
        )
        asyncio.run(_count(url))


def analyse(url: str) -> None:
    """Has Postgres know what is in the tables."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("VACUUM ANALYZE")


async def _count(url: str) -> None:
    db = await asyncpg.connect(url, server_settings=PLANNER_SETTINGS)
    try:
        for row in await db.fetch("SELECT partition, epoch, seq FROM partitions"):
            span = [[row["partition"]], [1], [0], [row["epoch"]], [row["seq"]]]
            await db.execute(queries()["add_standings"], *span)
            await count_in_time(db, span)
        await db.execute(SEARCHABLE)
        await db.execute("UPDATE partitions SET counted_epoch = epoch, counted_seq = seq")
    finally:
        await db.close()

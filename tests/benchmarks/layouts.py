"""What a partitioned ledger costs the connection that writes it: rows a second, and CPU a row of its own process.

Three layouts in one run, in turns, all with the ledger's columns and indexes: one table; a table by LIST of the
partition; and that by RANGE of seq below it, with the unique key in a table of its own by HASH of the namespace. Then
what it takes to plan a look-up in each, and bytes a row of the ledger as it is, of 10^6 rows.
"""

import random
import tempfile
import time
from pathlib import Path
from statistics import median

import psycopg

from app.drivers.migrations import migrate
from app.drivers.postgres import PLANNER_SETTINGS
from app.embedded import PostgresProcess, free_port

PARTITIONS, ROUNDS = 16, 9
WARM_ROWS, ROWS = 200_000, 10_000
SIZED_ROWS, USERS = 1_000_000, 100_000
BEGAN = 1_790_000_000
NAMES = (
    "partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount, live_delta, score, "
    "category, source, granted_at, recorded_at, windows, digest, score_delta, amount"
)
KEY, PLACE = "namespace_id, grant_id, revision, kind", "partition, epoch, seq"
LAYOUTS = {"one table": "one", "by partition": "list", "by partition and seq": "range"}
CASES = {
    "16 partitions, 10,000 rows": (list(range(PARTITIONS)), ROWS),
    "1 partition, 10,000 rows": ([3], ROWS),
    "4 partitions, 100 rows": ([1, 2, 5, 7], 100),
}
ADD_STANDINGS = """
INSERT INTO {0}.standings AS s SELECT l.user_number, l.namespace_id, sum(score_delta), sum(live_delta), max(granted_at)
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[]) AS x (p, seq, last_seq)
CROSS JOIN LATERAL (SELECT * FROM {0}.ledger
    WHERE partition = x.p AND partition = ANY(%s) AND (epoch, seq) > (1, x.seq)
      AND (epoch, seq) <= (1, x.last_seq)) AS l
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (user_number, namespace_id) DO UPDATE SET score = s.score + excluded.score
"""
FILL = f"""
INSERT INTO ledger ({NAMES})
SELECT i % 16, 1, i / 16 + 1, 'grant', 1 + i % 16, 'order-' || substr(md5(i::text), 1, 12), 1, 1 + i * 7919 % {USERS},
       5, 1, 50, 'red', 'race', t.at, t.at, ARRAY['all', '2026-11', '2026-11-27', '2026-W48'],
       substr(decode(md5(i::text), 'hex'), 1, 16), 5, 5
FROM generate_series(%s::bigint, %s::bigint) AS i
CROSS JOIN LATERAL (SELECT '2026-11-27'::timestamptz + i * interval '20 ms' AS at) AS t
"""


# Bytes of a table, then of each of its indexes, the parts of a partitioned one together.
SIZES = r"""
WITH tables AS (
    SELECT '{0}'::regclass AS oid UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = '{0}'::regclass)
SELECT '{0}', sum(pg_table_size(oid)) FROM tables UNION ALL
SELECT name, size FROM (
    SELECT regexp_replace(c.relname, '_\d+', '_<p>') AS name, sum(pg_relation_size(c.oid)) AS size
    FROM tables JOIN pg_index i ON i.indrelid = tables.oid JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
    GROUP BY 1 ORDER BY 2 DESC) AS indexes
"""


def make(db: psycopg.Connection, schema: str) -> None:
    """An empty ledger in a layout, with standings beside it."""
    keys = f"PRIMARY KEY ({'epoch, seq, partition' if schema == 'list' else PLACE}, namespace_id)"
    by = "" if schema == "one" else "PARTITION BY LIST (partition)"
    statements = [
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.ledger (LIKE public.ledger INCLUDING DEFAULTS, {keys}) {by}",
        f"CREATE TABLE {schema}.standings (LIKE public.standings INCLUDING ALL)",
    ]
    for p in range(PARTITIONS) if by else ():
        child = f"CREATE TABLE {schema}.ledger_{p} PARTITION OF {schema}.ledger FOR VALUES IN ({p})"
        statements.append(child + (" PARTITION BY RANGE (seq)" if schema == "range" else ""))
        if schema == "range":
            name = f"{schema}.ledger_{p}"
            statements.append(f"CREATE TABLE {name}_0 PARTITION OF {name} FOR VALUES FROM (0) TO (100000000)")
    if schema == "range":
        statements.append(
            f"CREATE TABLE range.ids (LIKE public.ledger, PRIMARY KEY ({KEY})) PARTITION BY HASH (namespace_id)"
        )
        unused = ("entry_amount", "live_delta", "granted_at", "recorded_at", "windows", "score_delta", "voided")
        statements.extend(f"ALTER TABLE range.ids DROP COLUMN {column}" for column in unused)
        statements.extend(
            f"CREATE TABLE range.ids_{i} PARTITION OF range.ids FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {i})"
            for i in range(PARTITIONS)
        )
    else:
        unique = KEY if schema == "one" else f"{KEY}, partition"
        statements.append(f"CREATE UNIQUE INDEX ON {schema}.ledger ({unique})")
    for (text,) in db.execute(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'ledger'::regclass AND NOT indisunique"
    ).fetchall():
        statements.append(f"CREATE INDEX ON {schema}.ledger USING {text.partition(' USING ')[2]}")
    for statement in statements:
        db.execute(statement.encode())


def rows(first: int, count: int, partitions: list[int]) -> list[tuple[object, ...]]:
    """Grants of chance users behind a seq, as many in each partition."""
    rng = random.Random(first)
    made: list[tuple[object, ...]] = []
    for p in partitions:
        for seq in range(first + 1, first + count // len(partitions) + 1):
            at = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(BEGAN + seq))
            name = f"order-{rng.getrandbits(48):012x}"
            row = (p, 1, seq, "grant", p + 1, name, 1, rng.randrange(1, USERS), 5, 1, 50, "red", "race", at, at)
            made.append((*row, "{all,2026-11,2026-11-27,2026-W48}", rng.randbytes(16), 5, 5))
    return made


def write(db: psycopg.Connection, schema: str, batch: list[tuple[object, ...]], spans: list[list[int]]) -> None:
    """One transaction, as the persister's: the rows, their keys, the standings."""
    with db.transaction(), db.cursor() as cursor:
        with cursor.copy(f"COPY {schema}.ledger ({NAMES}) FROM STDIN".encode()) as copy:
            for row in batch:
                copy.write_row(row)
        if schema == "range":
            with cursor.copy(f"COPY range.ids ({KEY}, {PLACE}, digest) FROM STDIN".encode()) as copy:
                for row in batch:
                    copy.write_row((row[4], row[5], row[6], row[3], *row[:3], row[16]))
        cursor.execute(ADD_STANDINGS.format(schema).encode(), [*spans, spans[0]])


def measure(db: psycopg.Connection) -> None:
    """A line for each layout and case."""
    first, pid = 0, db.info.backend_pid

    def turn(schema: str, partitions: list[int], batch: list[tuple[object, ...]]) -> tuple[float, float]:
        each = len(batch) // len(partitions)
        spans = [partitions, [first] * len(partitions), [first + each] * len(partitions)]
        cpu, began = _cpu_s(pid), time.monotonic()
        write(db, schema, batch, spans)
        return time.monotonic() - began, _cpu_s(pid) - cpu

    for _ in range(WARM_ROWS // ROWS):
        batch = rows(first, ROWS, list(range(PARTITIONS)))
        for schema in LAYOUTS.values():
            turn(schema, list(range(PARTITIONS)), batch)
        first += ROWS // PARTITIONS
    db.execute("ANALYZE")
    for case, (partitions, count) in CASES.items():
        times: dict[str, list[tuple[float, float]]] = {schema: [] for schema in LAYOUTS.values()}
        for _ in range(ROUNDS):
            batch = rows(first, count, partitions)
            for schema, pairs in times.items():
                pairs.append(turn(schema, partitions, batch))
            first += count // len(partitions)
        base = median(cpu for _, cpu in times["one"])
        for name, schema in LAYOUTS.items():
            clock, cpu = (median(pair[i] for pair in times[schema]) for i in (0, 1))
            line = f"{case:28} {name:22} {count / clock:8.0f} rows/s  {cpu / count * 1e6:6.2f} µs CPU a row"
            print(f"{line}  {cpu / base:5.2f} of one table", flush=True)


def measure_plans(db: psycopg.Connection) -> None:
    """Microseconds to plan the look-up of a grant: without its partition, with it, and with the namespace's."""
    db.execute("INSERT INTO namespaces (id, name, partition, rules) OVERRIDING SYSTEM VALUE VALUES (4, 'n', 3, '{}')")
    for name, schema in LAYOUTS.items():
        for which in ("", " AND partition = 3", " AND partition = partition_of(4)"):
            query = f"EXPLAIN (SUMMARY, FORMAT JSON) SELECT seq FROM {schema}.ledger WHERE namespace_id = 4"
            query += f" AND user_number = 7 AND granted_at > now(){which} LIMIT 1"
            plans = [db.execute(query.encode()).fetchone() for _ in range(50)]
            planned = median(plan[0][0]["Planning Time"] for plan in plans if plan)
            print(f"a look-up{which:32} {name:22} {planned * 1000:8.0f} µs to plan", flush=True)


def measure_sizes(db: psycopg.Connection) -> None:
    """Bytes a row of the tables that grow, and of each of their indexes."""
    db.execute("INSERT INTO partitions (partition) SELECT generate_series(0, %s)", (PARTITIONS - 1,))
    for first in range(0, SIZED_ROWS, ROWS):
        db.execute(FILL.replace("% ", "%% ").encode(), (first, first + ROWS - 1))
    db.execute(
        "INSERT INTO standings SELECT user_number, namespace_id, sum(score_delta), count(*), max(granted_at) "
        "FROM ledger GROUP BY 1, 2"
    )
    db.execute("VACUUM ANALYZE")
    for table in ("ledger", "standings"):
        ((count,),) = db.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()
        sizes = SIZES.format(table).encode()
        for name, size in db.execute(sizes).fetchall():
            print(f"{table:12} {count:,} rows  {name:36} {size / count:6.1f} bytes a row", flush=True)


def _cpu_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    """Layouts, then sizes."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgresProcess(Path(folder), free_port())
        postgres.start()
        try:
            migrate(postgres.url)
            with psycopg.connect(postgres.url, autocommit=True) as db:
                for name, value in PLANNER_SETTINGS.items():
                    db.execute(f"SET {name} = {value}".encode())
                for schema in LAYOUTS.values():
                    make(db, schema)
                measure(db)
                measure_plans(db)
                measure_sizes(db)
        finally:
            postgres.stop()

"""What a page of events reads of the ledger: for each filter there is an index."""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from app.drivers.postgres import queries

KINDS, ENTRIES = ("grant", "edit", "void", "restore"), 20_000


@pytest.fixture
def ledger(live_server: Any) -> Iterator[Any]:
    with psycopg.connect(live_server.postgres.url, autocommit=True) as db:
        yield db


@pytest.fixture
def space(ledger: Any, api: httpx.Client, names: Any) -> int:
    """The id of a namespace: its events are looked for in the table of its partition."""
    name = names.fresh()
    assert api.put(f"/v1/namespaces/{name}", json={}).status_code == 201
    return int(ledger.execute("SELECT id FROM namespaces WHERE name = %s", (name,)).fetchone()[0])


@pytest.fixture
def full(ledger: Any, space: int) -> Any:
    """A ledger of a known size in the place of the real one, for this connection: plans depend on what it holds."""
    ((view,),) = ledger.execute("SELECT pg_get_viewdef('public.grant_revisions'::regclass)").fetchall()
    ledger.execute("CREATE TEMP TABLE ledger (LIKE public.ledger_0 INCLUDING ALL)")
    # The view of the schema reads the real ledger.
    ledger.execute(f"CREATE TEMP VIEW grant_revisions AS {view}")
    ledger.execute(
        """INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, entry_amount, live_delta,
                               granted_at, recorded_at, windows, digest, score_delta, voided, verb, actor, session_id)
           SELECT (SELECT partition FROM namespaces WHERE id = %s), 1, i, 'correction', %s + i %% 5, i::text, 1, 0, 0,
                  now(), now(), '{}', '', 0, false,
                  (%s::text[])[1 + i / 5 %% 4], 'actor-' || i / 20 %% 50, 's-' || i / 20 %% 50
           FROM generate_series(1, %s) AS i""",
        (space, space, list(KINDS), ENTRIES),
    )
    ledger.execute("ANALYZE ledger")
    return ledger


@pytest.mark.parametrize(
    ("actor", "session", "count"), [(None, None, 100), ("actor-7", None, 40), (None, "s-7", 40)], ids=str
)
def test_every_filter_has_an_index(full: Any, space: int, actor: str | None, session: str | None, count: int) -> None:
    """The ledger's rows that are read are those of the answer; for two of four kinds at most twice as many."""
    sql = queries()["get_ledger_events"]
    for i, value in enumerate((str(space), "0", "ARRAY['edit','grant']", actor, session, "100", str(ENTRIES)), 1):
        sql = sql.replace(f"${i}", "NULL::text" if value is None else value if i in (1, 2, 3, 6, 7) else f"'{value}'")
    (((row,),),) = full.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").fetchall()
    plan = row["Plan"]
    assert plan["Actual Rows"] == count
    assert max(read_of(plan)) <= 2 * 100, "more is read than is told"


def read_of(plan: dict[str, Any]) -> Iterator[int]:
    """How many rows each scan of the ledger found in all, those that a filter took out again among them."""
    if plan.get("Relation Name") == "ledger":
        yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for inner in plan.get("Plans", ()):
        yield from read_of(inner)

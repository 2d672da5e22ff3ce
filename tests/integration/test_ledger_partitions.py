"""The ledger has a table for each partition: a query opens one of them, whatever it asks of a namespace."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from app.drivers.postgres import PLANNER_SETTINGS, queries
from tests.support.known_ledger import BEST_SPACE, SPACE
from tests.support.query_samples import SAMPLES
from tests.support.template import tables_alone

PARTITIONS = 4
#: Queries of several partitions, and why.
OF_SEVERAL = {
    "get_boards_of_user": "of the partitions that are asked for",
    "get_places_of_grants": "of each grant's namespace, one a look-up",
    "get_places_of_corrections": "of each correction's namespace, one a look-up",
    "get_places_of_users": "of each user's namespaces, one a look-up",
    "clear_texts_of_user": "a user's rows in all namespaces",
    "clear_sources_of_user": "a user's grants in all namespaces",
    "delete_grant_meta_of_user": "a user's grants in all namespaces",
    "settle_dead_letters_of_user": "a user's dead letters in all namespaces",
    "get_dead_letters": "open dead letters of all partitions",
    "count_dead_letters": "open dead letters of all partitions",
}
OF_THE_LEDGER = sorted(
    name
    for name in SAMPLES
    if re.search(r"\b(FROM|JOIN|,) (ledger|grant_revisions)\b", re.sub(r"--.*", "", queries()[name]))
)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection[Any]]:
    """Tables of some partitions, without rows of the ledger."""
    with (
        tables_alone(tmp_path_factory.mktemp("ledger-partitions"), tmp_path_factory) as cluster,
        psycopg.connect(cluster.url, autocommit=True, prepare_threshold=None) as connection,
    ):
        for name, value in PLANNER_SETTINGS.items():
            connection.execute(f"SET {name} = {value}".encode())
        connection.execute(queries()["create_archive_tables"].encode())
        connection.execute(queries()["create_export_scores"].encode())
        connection.execute(queries()["create_compare_tables"].encode())
        connection.execute("INSERT INTO partitions (partition) SELECT generate_series(0, %s)", (PARTITIONS - 1,))
        for number, p in ((SPACE, 0), (BEST_SPACE, 1)):
            connection.execute(
                "INSERT INTO namespaces (id, name, partition, rules) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, '{}')",
                (number, f"n{number}", p),
            )
        yield connection


def tables_of(plan: Any) -> set[str]:
    """The tables of the ledger that a plan may read."""
    if isinstance(plan, list):
        return set().union(*map(tables_of, plan))
    if not isinstance(plan, dict):
        return set()
    own = {plan["Relation Name"]} if re.fullmatch(r"ledger_\d+", plan.get("Relation Name", "")) else set()
    return own.union(*(tables_of(value) for value in plan.values() if isinstance(value, list)))


def planned_tables(db: psycopg.Connection[Any], name: str) -> set[str]:
    """Those of a named query."""
    db.execute(f"PREPARE query AS {queries()[name]}".encode())
    try:
        args = sql.SQL(", ").join(map(sql.Literal, SAMPLES[name]))
        call = sql.SQL(
            "EXPLAIN (FORMAT JSON) EXECUTE query ({})" if SAMPLES[name] else "EXPLAIN (FORMAT JSON) EXECUTE query"
        )
        ((plan,),) = db.execute(call.format(args)).fetchall()
        return tables_of([plan[0]["Plan"]])
    finally:
        db.execute("DEALLOCATE query")


def test_each_partition_has_a_table(db: psycopg.Connection[Any]) -> None:
    rows = db.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger'::regclass"
    ).fetchall()
    assert sorted(name for (name,) in rows) == [f"ledger_{p}" for p in range(PARTITIONS)]


@pytest.mark.parametrize("name", OF_THE_LEDGER)
def test_a_query_opens_the_table_of_its_partition_alone(db: psycopg.Connection[Any], name: str) -> None:
    tables = planned_tables(db, name)
    if name in OF_SEVERAL:
        assert len(tables) > 1, f"{name} is listed as one of several partitions"
    else:
        assert len(tables) == 1, f"{name} may read {sorted(tables)}"

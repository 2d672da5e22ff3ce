"""What the named queries cost on tables of known size, counted in pages of memory: the same on every machine."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql

from app.drivers.postgres import PLANNER_SETTINGS, queries
from tests.support.known_ledger import BEST_SPACE, GRANTS, SPACE, analyse, fill
from tests.support.query_samples import EARLIEST, LATEST, SAMPLES, WITHOUT_PLAN
from tests.support.template import tables_alone

#: Pages that two plans may differ by, however small both are.
SLACK_PAGES = 24
PARTITION_OF = {SPACE: 0, BEST_SPACE: 1}
TEMPORARY = """
INSERT INTO redis_rows SELECT a.board, u.name, r.sort_key, r.tie_place FROM archive_rows r JOIN archived_boards
    a ON a.id = r.archive_id
    JOIN users u ON u.number = r.user_number WHERE r.archive_id = 2;
INSERT INTO new_scores SELECT '2026-01-02', user_number, sort_key, tie_place FROM archive_rows
    WHERE archive_id = 2 AND user_number IN (5, 6);
INSERT INTO changed_rows
    SELECT archive_id, position + 100000, user_number + 100000, sort_key, tie_place, better_users,
        better_scores, namespace_id FROM archive_rows
    WHERE archive_id = 2 AND user_number IN (5, 6);
"""


#: Queries that walk through a whole table, all of a namespace, or many entries of an index alone: before the first
#: VACUUM each is looked up in the table, too, and no range of pages is summed up.
WHOLE = {
    *("find_differing_archive_positions", "find_differing_buckets", "find_differing_hidden_archive_users"),
    *(
        "find_differing_rows",
        "find_changed_archive_rows",
        "find_ledger_gaps",
        "get_board_totals",
        "get_open_corrections",
    ),
    *("get_namespace_activity", "get_numbered_users", "has_erasures_since"),
    *("count_users_of_namespaces", "count_users_of_partitions"),
    *("export_archived_boards", "export_grants", "export_open_boards", "export_profiles", "export_revisions"),
    *("export_revisions_of_user", "export_standings"),
    *("count_scanned_entries", "count_users_by_namespace", "get_users_of_namespace", "get_chained_rows"),
    "get_search_reach",
}
#: What is done aside, over tables that are small while they are young: no client waits for it. A new namespace looks
#: for room in a few more pages.
ASIDE = {
    *(
        "get_pending_archive_updates",
        "delete_pending_archive_updates",
        "delete_changed_archive_rows",
        "copy_tie_places",
        "get_entries_before",
        "find_webhook_entries",
    ),
    *("create_namespace", "get_profiles", "hide_user_in_archives", "clear_sources_of_user", "has_ledger_rows"),
}


class Tables(NamedTuple):
    """A connection to tables of known size, and the pages that each query touched before they were analysed."""

    db: psycopg.Connection[Any]
    young: dict[str, int]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    with (
        tables_alone(tmp_path_factory.mktemp("plans"), tmp_path_factory) as cluster,
        psycopg.connect(cluster.url, autocommit=True, prepare_threshold=None) as connection,
    ):
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
        for name, value in PLANNER_SETTINGS.items():
            connection.execute(f"SET {name} = {value}")
        connection.execute(queries()["create_archive_tables"].encode())
        connection.execute(queries()["create_redis_users"].encode())
        connection.execute(queries()["create_export_scores"].encode())
        connection.execute(queries()["create_compare_tables"].encode())
        for name, args in SAMPLES.items():
            connection.execute(f"PREPARE {name}_young AS {queries()[name]}".encode())
            with connection.transaction(force_rollback=True):
                for _ in range(6):  # From the sixth call on a plan may be made for all arguments, and kept.
                    connection.execute(sql.SQL("EXPLAIN {}").format(call_of(f"{name}_young", args)))
        fill(cluster.url)
        young = {name: pages_of(run(connection, f"{name}_young", args)) for name, args in SAMPLES.items()}
        analyse(cluster.url)
        yield Tables(connection, young)


@pytest.fixture
def db(tables: Tables) -> psycopg.Connection[Any]:
    return tables.db


def call_of(prepared: str, args: tuple[Any, ...]) -> sql.Composable:
    """A call of a prepared statement."""
    given = sql.SQL(", ").join(map(sql.Literal, args))
    called = sql.SQL("EXECUTE {} ({})") if args else sql.SQL("EXECUTE {}")
    return called.format(sql.Identifier(prepared), given)


def run(db: psycopg.Connection[Any], prepared: str, args: tuple[Any, ...]) -> dict[str, Any]:
    """The plan of one run of a prepared statement; what it changes is rolled back."""
    with db.transaction(force_rollback=True):
        db.execute(TEMPORARY.encode())
        call = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}").format(call_of(prepared, args))
        ((plan,),) = db.execute(call).fetchall()
    return dict(plan[0]["Plan"])


def plan_of(db: psycopg.Connection[Any], name: str, args: tuple[Any, ...], mode: str) -> dict[str, Any]:
    """The plan of one run of a named query under a plan mode. A namespace's partition is worked out while a statement
    is planned, and given here where it is planned for all arguments: it would be looked up at each row."""
    text = queries()[name]
    if mode == "force_generic_plan" and "partition_of($1)" in text:
        text, args = text.replace("partition_of($1)", f"${len(args) + 1}::smallint"), (*args, PARTITION_OF[args[0]])
    if db.execute("SELECT 1 FROM pg_prepared_statements WHERE name = 'asked'").fetchone():
        db.execute("DEALLOCATE asked")
    with db.transaction(force_rollback=True):
        db.execute(f"SET LOCAL plan_cache_mode = {mode}".encode())
        db.execute(f"PREPARE asked AS {text}".encode())
        return run(db, "asked", args)


def pages_of(plan: dict[str, Any]) -> int:
    """Pages that a plan's run touched."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def pages(db: psycopg.Connection[Any], name: str, args: tuple[Any, ...], mode: str) -> int:
    """Pages that one run of a named query touches."""
    return pages_of(plan_of(db, name, args, mode))


def rows_read(plan: dict[str, Any], table: str) -> float:
    """Rows that scans of a table or of its parts found, those that a filter took out again among them."""
    inner = sum(rows_read(part, table) for part in plan.get("Plans", ()))
    if not re.fullmatch(rf"{table}(_\d+)?", plan.get("Relation Name", "")):
        return inner
    return float(inner + (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])


def test_every_query_has_a_sample() -> None:
    assert queries().keys() == SAMPLES.keys() | WITHOUT_PLAN


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_plan_made_for_all_arguments_is_as_good(db: psycopg.Connection[Any], name: str) -> None:
    """A prepared statement's plan is made for any arguments from its sixth call on."""
    args = SAMPLES[name]
    pages(db, name, args, "force_custom_plan")  # what is read for the first time is in memory from here on
    custom = pages(db, name, args, "force_custom_plan")
    generic = pages(db, name, args, "force_generic_plan")
    assert generic <= 2 * custom + SLACK_PAGES, f"{name}: {generic} pages, {custom} with a plan for these arguments"


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - WHOLE - ASIDE))
def test_a_young_table_is_read_as_well(tables: Tables, name: str) -> None:
    """The statement was prepared and asked while its tables were empty, and nothing was analysed since: so it is in the
    first minute of every system, and for longer where much comes at once."""
    custom = pages(tables.db, name, SAMPLES[name], "force_custom_plan")
    young = tables.young[name]
    assert young <= 2 * custom + SLACK_PAGES, f"{name}: {young} pages, {custom} once the tables were analysed"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_page_of_a_users_grants_costs_the_same_wherever_it_lies(db: psycopg.Connection[Any], mode: str) -> None:
    """The first user has 10,000 grants; a page of 100 meets the live grants' index, the rows and their meta."""
    for cursor in (LATEST, "2026-01-07T00:00:00Z", "2026-01-02T00:00:00Z"):
        assert pages(db, "get_live_grants", (SPACE, "u1", 0, "all", EARLIEST, cursor, 0, 101), mode) < 101 * 12
        assert pages(db, "get_grant_history", (SPACE, "u1", EARLIEST, cursor, 0, 101), mode) < 101 * 16
    assert pages(db, "get_live_grants", (SPACE, "u1", 0, "all", EARLIEST, LATEST, 0, 1), mode) < 30
    for cursor in (LATEST, "2026-01-03T00:00:00Z"):
        assert pages(db, "get_best_grants", (BEST_SPACE, "u1", 1, "all", cursor, 0, 101), mode) < 101 * 12
        assert pages(db, "get_best_grants", (BEST_SPACE, "u1", 1, "2026-01", cursor, 0, 1), mode) < 40


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_page_of_an_archive_behind_a_cursor_reads_what_it_tells(db: psycopg.Connection[Any], mode: str) -> None:
    """Three thousand users share three scores; whether the cursor's user still stands there or not. Beside the page a
    few rows are read: the ends of those who tie, and one each time these are halved."""
    for key, name in ((101, "a"), (100, "u9"), (100, "u2997x"), (99, "u1"), (99, "u1500x"), (98, "u5")):
        plan = plan_of(db, "get_archive_rows_after", (SPACE, "2026-01-02", key, 0, name, 11), mode)
        assert rows_read(plan, "archive_rows") <= 11 + 20, (key, name)


def test_rare_events_are_found_without_a_walk(db: psycopg.Connection[Any]) -> None:
    """Twenty thousand events of others, and five thousand of another type, lie before it."""
    for mode in ("force_custom_plan", "force_generic_plan"):
        assert pages(db, "get_audit_events", (SPACE, 0, ["namespace_changed"], None, 101), mode) < 40
        assert pages(db, "get_audit_events", (SPACE, 0, ["season_opened"], "key", 101), mode) < 40
        assert pages(db, "count_scanned_entries", (SPACE, 0, "key", None, 200), mode) < 400
        assert pages(db, "get_ledger_events", (SPACE, 0, ["restore"], "key", None, 101, 2_000), mode) < 4_200


def test_what_was_decided_costs_the_list_of_quarantine_nothing(db: psycopg.Connection[Any]) -> None:
    """Three thousand grants in quarantine, of which an admin restored all but the last ten."""
    columns = (
        "partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount, live_delta, score, "
    )
    columns += "granted_at, recorded_at, windows, digest, score_delta, amount, voided, verb"
    row = "'q' || i, {}, 1, 5, 0, 1, now(), now(), '{{all}}', 'd', 0, 5, true, {} FROM generate_series(1, {}) AS i"
    add = f"INSERT INTO ledger ({columns}) SELECT 0, 1, {{}} + i, {{}}, {SPACE}, {row}"
    with db.transaction(force_rollback=True):
        db.execute(add.format(10**6, "'grant'", 1, "'quarantine'", 3_000).encode())
        db.execute(add.format(2 * 10**6, "'correction'", 2, "'restore'", 2_990).encode())
        for mode in ("force_custom_plan", "force_generic_plan"):
            plan = plan_of(db, "get_quarantined_grants", (SPACE, 0, 101), mode)
            assert plan["Actual Rows"] == 10
            assert rows_read(plan, "ledger") <= 10
            assert pages_of(plan) < 300


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("source", ["race", "none"])
def test_a_page_of_grants_that_count_costs_the_same_wherever_it_lies(
    db: psycopg.Connection[Any], mode: str, source: str
) -> None:
    """Of the first user's 10,000 grants and of three thousand users' others only those of the time are looked at, and
    no more than a page of them, also where none is of the source."""
    for since, until, user in (
        (EARLIEST, LATEST, 0),
        ("2026-01-07T00:00:00Z", LATEST, 0),
        ("2026-01-14T00:00:00Z", "2026-01-14T00:30:00Z", 2),
        (EARLIEST, "2026-01-01T00:10:00Z", 2_000),
    ):
        args = (SPACE, since, until, user, LATEST, 0, 100, source, None)
        plan = plan_of(db, "get_live_grants_in_turn", args, mode)
        assert plan["Actual Rows"] == 100, (since, until, user)
        # A row or none of each user, the next user, later corrections of it, and the grant that it corrects.
        assert rows_read(plan, "ledger") <= 100 * 5, (since, until, user)
        assert pages_of(plan) < 100 * 16, (since, until, user)


def test_the_tables_are_of_known_size(db: psycopg.Connection[Any]) -> None:
    assert db.execute("SELECT count(*) FROM ledger WHERE namespace_id = 1").fetchone() == (GRANTS + GRANTS // 10,)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_search_reads_no_more_rows_than_it_shows(db: psycopg.Connection[Any], mode: str) -> None:
    """Of 3,000 users who begin so, ids and names in one order: nothing is sorted."""
    for beginning, end in (("u", "v"), ("name", "namf")):
        plan = plan_of(db, "find_searchable_users", (SPACE, beginning, end, beginning, -1, 1_000, 11, False), mode)
        assert rows_read(plan, "searchable_users") <= 40, beginning

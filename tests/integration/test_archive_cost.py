"""What a read of a sealed board costs, in pages of Postgres: nothing for users who are hidden elsewhere."""

import asyncio
import json
from collections.abc import Iterator
from math import isclose
from statistics import pstdev
from typing import Any

import asyncpg
import psycopg
import pytest

from app.drivers.postgres import PLANNER_SETTINGS, queries
from tests.support.sealed_namespace import DAY, Space
from tests.support.waits import until

ELSEWHERE = 20_000
MANY = 50_000
ADD_UP = """
UPDATE archived_boards a SET sort_keys_sum = t.keys, squares_sum = t.squares
FROM (SELECT archive_id, sum(sort_key) AS keys, sum(sort_key::numeric * sort_key) AS squares FROM archive_rows
      GROUP BY archive_id) AS t
WHERE t.archive_id = a.id
"""
READS: dict[str, list[Any]] = {
    "get_archive_page": [1, 10],
    "get_archive_rows_at": [[1, 3]],
    "count_archive_rows_above": [[5, 0]],
    "get_archive_rows_by_name": [["ann", "bob"]],
    "get_archive_neighbours": ["ann", 2],
    "get_archive_rows_after": [5, 0, "ann", 3],
    "get_hidden_archive_rows": [],
    "get_archive_stats": [0, 9, 20, [5_000, 9_900], 1, False, False],
}


def pages(stack: Any, name: str, *args: Any) -> int:
    """How many pages a query looks at, however often it was asked before and whatever is known of its tables."""

    async def explained() -> int:
        connection = await asyncpg.connect(stack.postgres.url, server_settings=PLANNER_SETTINGS)
        try:
            row = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {queries()[name]}", *args)
        finally:
            await connection.close()
        plan = json.loads(row)[0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    return asyncio.run(explained())


@pytest.mark.parametrize("analysed", [False, True])
def test_who_is_hidden_elsewhere_costs_nothing(own_stack: Any, analysed: bool) -> None:
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        space, other = Space(own_stack, api, "space"), Space(own_stack, api, "other")
        for one in (space, other):
            for user, amount in (("ann", 5), ("bob", 3), ("cleo", 4)):
                assert one.grant(user, amount).status_code == 201
            one.seal(DAY)
        for table in ("users", "hidden_users", "hidden_archive_users"):
            db.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        db.execute("INSERT INTO users (name) SELECT 'else-' || i FROM generate_series(1, %s) AS i", (ELSEWHERE,))
        db.execute(
            "INSERT INTO hidden_users (user_number, by_admin) SELECT number, true FROM users WHERE name ^@ 'else-'"
        )
        db.execute(
            """INSERT INTO hidden_archive_users
               SELECT a.namespace_id, a.id, u.number FROM archived_boards a JOIN users u ON u.name ^@ 'else-'
               WHERE a.namespace_id = %s AND a.board = %s""",
            (other.id, DAY),
        )
        if analysed:
            db.execute("ANALYZE")
        nobody = {name: pages(own_stack, name, space.id, DAY, *args) for name, args in READS.items()}
        assert api.post("/v1/users/cleo/hide").status_code == 200
        cleo = {name: pages(own_stack, name, space.id, DAY, *args) for name, args in READS.items()}
        assert space.scores() == {"ann": 5, "bob": 3}
    assert max(*nobody.values(), *cleo.values()) < 100, (nobody, cleo)


@pytest.mark.parametrize("analysed", [False, True])
def test_statistics_of_a_great_archive_look_at_little_of_it(own_stack: Any, analysed: bool) -> None:
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        space = Space(own_stack, api, "space")
        for user in ("ann", "bob"):
            assert space.grant(user, 5).status_code == 201
        space.seal(DAY)
        db.execute("ALTER TABLE archive_rows SET (autovacuum_enabled = off)")
        db.execute(
            """INSERT INTO archive_rows SELECT a.id, 2 + i, 1000000 + i, 5 - i, 0, 1 + i, i, a.namespace_id
               FROM archived_boards a, generate_series(1, %s) AS i WHERE a.namespace_id = %s AND a.board = %s""",
            (MANY, space.id, DAY),
        )
        scores = [5, 5, *(5 - i for i in range(1, MANY + 1))]
        total, keys = len(scores), sum(scores)
        db.execute("UPDATE archived_boards SET board_size = %s", (total,))
        db.execute(ADD_UP)
        if analysed:
            db.execute("ANALYZE")
        assert (
            pages(
                own_stack,
                "get_archive_stats",
                space.id,
                DAY,
                -(10**15),
                10**15,
                20,
                [5_000, 9_000, 9_900],
                1,
                True,
                False,
            )
            < 400
        )
        body = api.get(f"{space.url}/boards/{DAY}/stats?histogram=20").json()
        assert (body["count"], body["sum"], body["min"], body["max"]) == (total, keys, 5 - MANY, 5)
        assert isclose(body["stddev"], pstdev(scores))
        assert sum(one["count"] for one in body["histogram"]) == total
        assert {one["count"] for one in body["histogram"]} <= {MANY // 20, MANY // 20 + 1, MANY // 20 + 2}


def test_who_is_being_hidden_while_an_archive_is_written_is_not_shown(own_stack: Any) -> None:
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url) as hiding:
        space = Space(own_stack, api, "space")
        for user, amount in (("ann", 5), ("bob", 3)):
            assert space.grant(user, amount).status_code == 201
        own_stack.wait_flushed()
        ((number,),) = space.sql("SELECT number FROM users WHERE name = 'bob'")
        hiding.execute("INSERT INTO hidden_users (user_number, by_admin) VALUES (%s, true)", (number,))
        hiding.execute(queries()["share_hidden_archive_users"])
        hiding.execute(queries()["hide_user_in_archives"].replace("$1", str(number)).replace("$2", "0"))
        space.put(accept_past="P7D")
        waits = "SELECT 1 FROM pg_locks WHERE relation = 'hidden_archive_users'::regclass AND NOT granted"
        until(lambda: space.sql(waits), "the archive does not wait for who is hidden meanwhile")
        hiding.commit()
        space.seal(DAY)
        assert space.scores() == {"ann": 5}


def test_entries_behind_many_seals_look_up_their_own(own_stack: Any) -> None:
    """A history that comes in behind closed windows has thousands of entries in a transaction, and its namespace a seal
    for each day of years."""
    entries, seals = 1_000, 1_000

    async def rows_at_most(namespace_id: int) -> int:
        connection = await asyncpg.connect(own_stack.postgres.url, server_settings=PLANNER_SETTINGS)
        try:
            await connection.execute(
                """INSERT INTO seals SELECT $1, 'day:' || i, l.partition, 1, 0, now(), now()
                   FROM generate_series(1, $2::int) AS i, (SELECT partition FROM ledger LIMIT 1) AS l""",
                namespace_id,
                seals,
            )
            places = await connection.fetch("SELECT partition, epoch, seq FROM ledger WHERE kind = 'grant'")
            assert len(places) == entries
            plan = await connection.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {queries()['add_pending_archive_updates']}",
                *map(list, zip(*places, strict=True)),
            )
        finally:
            await connection.close()
        return max(rows_of(json.loads(plan)[0]["Plan"]))

    with own_stack.client() as api:
        space = Space(own_stack, api, "space")
        grants = [{"grant_id": f"g{i}", "user_id": f"u{i}", "amount": 1} for i in range(entries)]
        assert api.post(f"{space.url}/grants", json=grants).json()["applied"] == entries
        own_stack.wait_flushed()
        assert asyncio.run(rows_at_most(space.id)) < 20 * entries


def rows_of(plan: dict[str, Any]) -> Iterator[int]:
    """How many rows each node of a plan made."""
    yield int(plan["Actual Rows"] * plan["Actual Loops"])
    for part in plan.get("Plans", ()):
        yield from rows_of(part)

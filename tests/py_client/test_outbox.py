"""The outbox on a real Postgres, by psycopg and by asyncpg: what a transaction earns is sent, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import asyncpg
import psycopg
import pytest
from leaderboard_client import AsyncLeaderboard, Grant, Leaderboard, Unreachable
from leaderboard_client.outbox import Outbox, Round

from tests.conftest import Names, Stack

Database = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def client(live_server: Stack) -> Iterator[Leaderboard]:
    with Leaderboard(live_server.url, key=live_server.key) as client:
        yield client


@pytest.fixture
def outbox(live_server: Stack, names: Names) -> Outbox:
    """A table of the game's own database: here a schema beside the server's."""
    outbox = Outbox(f"outbox_{names.fresh()}")
    with psycopg.connect(live_server.postgres.url, autocommit=True) as database:
        database.execute(outbox.schema().encode())
        database.execute(outbox.schema().encode())
    return outbox


def connect(stack: Stack) -> Database:
    return psycopg.connect(stack.postgres.url)


def add(outbox: Outbox, database: Database, space: str, *grants: Grant) -> None:
    for grant in grants:
        database.execute(outbox.insert().encode(), outbox.values(space, grant))


def send(outbox: Outbox, database: Database, client: Leaderboard) -> Round:
    """One round, as its documentation has it."""
    with database.transaction():
        return outbox.send_some(
            client,
            lambda text, values: database.execute(text.encode(), values).fetchall(),
            lambda text, values: database.execute(text.encode(), values),
        )


def test_what_a_transaction_earns_is_sent_and_no_more(
    live_server: Stack, client: Leaderboard, outbox: Outbox, space: str
) -> None:
    with connect(live_server) as database:
        add(outbox, database, space, Grant(user_id="ann", amount=5), Grant(user_id="bob", amount=7))
        database.commit()
        add(outbox, database, space, Grant(user_id="cid", amount=9))
        database.rollback()
        assert send(outbox, database, client) == Round(settled=2)
        assert send(outbox, database, client).is_idle
    assert [(entry.user_id, entry.score) for entry in client.board(space).entries] == [("bob", 7), ("ann", 5)]


def test_a_worker_that_dies_before_its_commit_sends_again_and_it_counts_once(
    live_server: Stack, client: Leaderboard, outbox: Outbox, space: str
) -> None:
    with connect(live_server) as database:
        add(outbox, database, space, Grant(user_id="ann", amount=5))
        database.commit()
        with database.transaction(force_rollback=True):
            assert send(outbox, database, client).settled == 1
        assert send(outbox, database, client).settled == 1
    assert client.board(space).entries[0].score == 5


def test_a_refused_row_stays_with_its_reason_until_it_is_mended(
    live_server: Stack, client: Leaderboard, outbox: Outbox, space: str
) -> None:
    with connect(live_server) as database:
        add(outbox, database, space, Grant(user_id="ann", amount=0.5), Grant(user_id="bob", amount=1))
        database.commit()
        assert send(outbox, database, client) == Round(settled=1, refused=1)
        assert send(outbox, database, client).is_idle
        ((error,),) = database.execute(f"SELECT error FROM {outbox._table}".encode()).fetchall()
        assert error.startswith("amount_scale: ")
        mend = f"""UPDATE {outbox._table} SET error = NULL, body = body || '{{"amount": 2}}'"""
        database.execute(mend.encode())
        database.commit()
        assert send(outbox, database, client).settled == 1
    assert client.board(space).total == 2


def test_while_the_server_is_away_the_rows_stay(live_server: Stack, outbox: Outbox, space: str) -> None:
    nowhere = Leaderboard("http://127.0.0.1:9", key="lb_x_0123456789abcdef0123", deadline_s=0.1)
    with connect(live_server) as database, nowhere:
        add(outbox, database, space, Grant(user_id="ann", amount=5))
        database.commit()
        round_ = send(outbox, database, nowhere)
        assert (round_.open, type(round_.problem), round_.is_idle) == (1, Unreachable, True)
        assert database.execute(f"SELECT count(*) FROM {outbox._table}".encode()).fetchall() == [(1,)]


def test_many_workers_send_each_row_once(live_server: Stack, client: Leaderboard, outbox: Outbox, space: str) -> None:
    with connect(live_server) as database:
        add(outbox, database, space, *(Grant(user_id=f"u{i % 9}", amount=1) for i in range(1200)))
        database.commit()

    def work() -> int:
        settled = 0
        with connect(live_server) as database:
            while (round_ := send(outbox, database, client)).settled:
                settled += round_.settled
        return settled

    with ThreadPoolExecutor(3) as workers:
        settled = [future.result() for future in [workers.submit(work) for _ in range(3)]]
    assert sum(settled) == 1200
    assert client.stats(space).sum == 1200


def test_a_row_counts_at_the_time_at_which_it_was_written(
    live_server: Stack, client: Leaderboard, outbox: Outbox, space: str
) -> None:
    with connect(live_server) as database:
        before = datetime.now(UTC)
        add(outbox, database, space, Grant(user_id="ann", amount=5, grant_id="g"))
        after = datetime.now(UTC)
        database.commit()
        send(outbox, database, client)
    assert before <= client.grant_state(space, "g").granted_at <= after


def test_by_asyncpg(live_server: Stack, client: Leaderboard, outbox: Outbox, space: str) -> None:
    same = Outbox(outbox._table, style="$1")

    async def work() -> None:
        database = await asyncpg.connect(live_server.postgres.url)
        try:
            async with AsyncLeaderboard(live_server.url, key=live_server.key) as own:
                async with database.transaction():
                    for user, amount in (("ann", 5), ("bob", 0.5)):
                        grant = Grant(user_id=user, amount=amount)
                        await database.execute(same.insert(), *same.values(space, grant))
                async with database.transaction():
                    round_ = await same.send_some_async(
                        own,
                        lambda text, values: database.fetch(text, *values),
                        lambda text, values: database.execute(text, *values),
                    )
                assert round_ == Round(settled=1, refused=1)
        finally:
            await database.close()

    asyncio.run(work())
    assert client.board(space).entries[0].score == 5


def test_a_table_has_a_plain_name() -> None:
    with pytest.raises(ValueError, match="table"):
        Outbox("x; DROP TABLE users")

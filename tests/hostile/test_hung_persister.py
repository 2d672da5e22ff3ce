"""A persister that hangs keeps its connections: another takes its partitions, and what it still wants is refused."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from app.persist.heartbeat import BEAT_S_MAX
from app.persist.leases import LEASE_S, SessionEnded, Superseded
from app.persist.ledger_session import LedgerSession
from app.persist.worker import BALANCE_S
from tests.support.waits import until

SLACK_S = 15.0  # of a machine on which others work, too


@contextmanager
def second(stack: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Another persister."""
    with (stack.folder / "second.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "persist"], env=stack.environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shares(db: Any) -> list[int]:
    """How many partitions each persister holds."""
    sql = "SELECT count(*) FROM leases WHERE holder IS NOT NULL GROUP BY holder"
    return sorted(count for (count,) in db.execute(sql).fetchall())


def grant(client: httpx.Client, space: int, i: int) -> None:
    body = {"grant_id": f"g{i}", "user_id": f"u{i % 3}", "amount": 1}
    assert client.post(f"/v1/namespaces/n{space}/grants", json=body).status_code == 201


@pytest.mark.long
@pytest.mark.timeout(180)
def test_the_partitions_of_a_frozen_persister_are_taken_over(own_stack: Any) -> None:
    with (
        own_stack.client() as client,
        second(own_stack) as other,
        psycopg.connect(own_stack.postgres.url, autocommit=True) as db,
    ):
        for space in range(8):
            assert client.put(f"/v1/namespaces/n{space}", json={"accept_past": None}).status_code == 201
        until(lambda: shares(db) == [8, 8], "the partitions are not shared")
        for i in range(80):
            grant(client, i % 8, i)
        os.kill(other.pid, signal.SIGSTOP)
        try:
            for i in range(80, 160):
                grant(client, i % 8, i)
            until(lambda: shares(db) == [16], "nobody takes over", LEASE_S + BALANCE_S + BEAT_S_MAX + SLACK_S)
            own_stack.wait_flushed()
        finally:
            os.kill(other.pid, signal.SIGCONT)
        for i in range(160, 240):
            grant(client, i % 8, i)
        until(lambda: shares(db) == [8, 8], "the one that woke up gets no share")
        own_stack.wait_flushed()
        assert db.execute("SELECT kind, count(*) FROM ledger GROUP BY kind").fetchall() == [("grant", 240)]
    done = own_stack.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def hang(db: Any, number: int) -> None:
    """A persister whose heart stopped long ago."""
    db.execute("UPDATE persisters SET heartbeat_at = heartbeat_at - interval '1 hour' WHERE number = %s", (number,))


def test_what_a_frozen_persister_had_begun_is_undone(live_server: Any) -> None:
    """It stands in the middle of a transaction, with rows written and locked, when another takes over."""
    url = live_server.postgres.url

    async def work(db: Any) -> None:
        frozen, other = await LedgerSession.connect(url), await LedgerSession.connect(url)
        try:
            assert await frozen.leases.take([900], 1) == [900]
            assert await other.leases.take([900], 1) == [], "it is alive"
            async with frozen.fenced(900):
                pass
            with pytest.raises(SessionEnded):  # noqa: PT012
                async with frozen.fenced(900):
                    await frozen._connection.execute("UPDATE leases SET taken_at = now() WHERE partition = 901")
                    hang(db, frozen.leases.number)
                    assert frozen.leases.number not in await other.leases.live()
                    assert await other.leases.take([900], 1) == [900]
            assert frozen._connection.is_closed(), "its session goes on"
            async with other.fenced(900):
                pass
        finally:
            frozen.terminate()
            other.terminate()

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO leases (partition) VALUES (900), (901)")
        asyncio.run(work(db))
        assert db.execute("SELECT taken_at FROM leases WHERE partition = 901").fetchone() == (None,)
        db.execute("DELETE FROM leases WHERE partition >= 900")


def test_one_that_wakes_up_without_its_lease_commits_nothing(live_server: Any) -> None:
    """Where the sessions of a hung one cannot be ended, its late commits are refused all the same."""
    url = live_server.postgres.url

    async def work(db: Any) -> None:
        late, other = await LedgerSession.connect(url), await LedgerSession.connect(url)
        try:
            assert await late.leases.take([902], 1) == [902]
            with pytest.raises(Superseded):  # noqa: PT012
                async with late.fenced(902):
                    await late._connection.execute("UPDATE leases SET taken_at = now() WHERE partition = 903")
                    hang(db, late.leases.number)
                    assert await other.leases.take([902], 1) == [902]
        finally:
            late.terminate()
            other.terminate()

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO leases (partition) VALUES (902), (903)")
        asyncio.run(work(db))
        assert db.execute("SELECT taken_at FROM leases WHERE partition = 903").fetchone() == (None,)
        db.execute("DELETE FROM leases WHERE partition >= 902")


def test_one_whose_transaction_was_idle_for_too_long_is_told_so(live_server: Any) -> None:
    """Postgres has closed the connection when it wakes up: the driver's words would say nothing of a lease."""

    async def work() -> None:
        late = await LedgerSession.connect(live_server.postgres.url)
        try:
            with pytest.raises(SessionEnded, match="partition 904: Postgres ended the session"):  # noqa: PT012
                async with late.fenced(904):
                    await late._connection.execute("SET idle_in_transaction_session_timeout = 1")
                    while not late._connection.is_closed():
                        await asyncio.sleep(0.01)
        finally:
            late.terminate()

    asyncio.run(asyncio.wait_for(work(), 10))

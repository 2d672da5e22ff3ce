"""The persister killed (-9) under grants and corrections: counts by time are those of the ledger, row for row."""

import threading
import time
from typing import Any

import httpx
import psycopg
import pytest
import redis

from app.model.namespace import partition_of
from app.store import keys
from tests.support.time_counts import check_counts

OLD = "2024-10-27T00:{:02}:00Z"
PATH = "/v1/namespaces/crash"


def write(stack: Any, number: int, done: list[int], stop: threading.Event) -> None:
    """Batches of grants; each batch's first is voided, its second moved, as often as there is a ledger to do so."""
    with stack.client() as client:
        for i in range(10_000):
            if stop.is_set():
                return
            names = [f"w{number}-{i}-{j}" for j in range(20)]
            grants = [
                {"grant_id": name, "user_id": f"u{j % 7}", "amount": j, "granted_at": OLD.format(i % 60)}
                for j, name in enumerate(names)
            ]
            assert client.post(f"{PATH}/grants", json=grants).json()["applied"] == 20
            corrections = [
                {"grant_id": names[0], "op": "void"},
                {"grant_id": names[1], "op": "edit", "granted_at": "2030-01-01T00:00:00Z"},
            ]
            try:
                assert client.post(f"{PATH}/corrections", json=corrections).status_code in (200, 503)
            except httpx.ReadTimeout:
                pass
            done.append(i)


def recorded(db: Any, kind: str) -> int:
    """Rows of the ledger."""
    (count,) = db.execute("SELECT count(*) FROM ledger WHERE kind = %s", (kind,)).fetchone()
    return int(count)


def at_work(stack: Any, done: list[int]) -> None:
    """Waits until the writers, and the persister with grants and with corrections, have got further by some."""
    deadline = time.monotonic() + 60
    with psycopg.connect(stack.postgres.url, autocommit=True) as db:
        batches, grants, corrections = len(done), recorded(db, "grant"), recorded(db, "correction")
        while (
            len(done) < batches + 3 or recorded(db, "grant") < grants + 60 or recorded(db, "correction") <= corrections
        ):
            assert time.monotonic() < deadline, "writers or persister do not go on"
            time.sleep(0.02)


@pytest.mark.timeout(180)
def test_a_killed_persister_leaves_no_count_behind_or_ahead_of_its_ledger(own_stack: Any) -> None:
    with own_stack.client() as client:
        rules = {"accept_past": None, "accept_future": None, "timezone": "Europe/Berlin"}
        client.put(PATH, json=rules).raise_for_status()
    stop, done = threading.Event(), list[int]()
    writers = [threading.Thread(target=write, args=(own_stack, n, done, stop)) for n in range(3)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(6):
            at_work(own_stack, done)
            own_stack.kill("persist")
            with psycopg.connect(own_stack.postgres.url) as db:
                db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                check_counts(db)
            own_stack.start("persist")
        at_work(own_stack, done)
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    own_stack.wait_flushed()
    with psycopg.connect(own_stack.postgres.url) as db:
        assert recorded(db, "grant") >= 20 * len(done)
        assert check_counts(db) > 0


@pytest.mark.timeout(120)
def test_a_duplicate_counts_in_no_range_and_its_healing_takes_nothing_out(own_stack: Any) -> None:
    with own_stack.client() as client, redis.Redis.from_url(own_stack.valkey.url) as direct:
        client.put(PATH, json={}).raise_for_status()
        grant = {"grant_id": "g1", "user_id": "otter", "amount": 5}
        client.post(f"{PATH}/grants", json=grant).raise_for_status()
        own_stack.wait_flushed()
        direct.delete(keys.dedup(partition_of("crash", None, 16), 1))
        client.post(f"{PATH}/grants", json=grant).raise_for_status()
        deadline = time.monotonic() + 30
        with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
            while db.execute("SELECT count(*) FROM ledger WHERE kind = 'heal'").fetchone() != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert db.execute("SELECT count(*) FROM ledger WHERE kind = 'duplicate'").fetchone() == (1,)
            for by in ("granted", "recorded"):
                body = client.get(f"{PATH}/users/otter/activity?by={by}").json()
                assert (body["count"], body["sum"]) == (1, 5)
            (day,) = client.get(f"{PATH}/trends").json()
            assert (day["grants"], day["users"], day["board_mean"]) == (1, 1, 5)
            assert check_counts(db) > 0

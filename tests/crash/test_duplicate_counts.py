"""A grant that counted twice in Redis counts once by time, and its heal takes nothing out."""

import time
from typing import Any

import psycopg
import pytest
import redis

from app.model.namespace import partition_of
from app.store import keys
from tests.support.time_counts import check_counts

PATH = "/v1/namespaces/crash"


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

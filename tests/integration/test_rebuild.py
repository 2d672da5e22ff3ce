"""`leaderboard rebuild`: what Redis held before it lost everything, it holds again behind it."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.support.checked_deployment import verify
from tests.support.random_namespaces import World, some_rules
from tests.support.random_writers import Writers
from tests.support.redis_state import differences, namespace_state

SPACES = 27


@pytest.mark.parametrize("seed", [1])
def test_what_redis_lost_is_as_before(own_stack: Any, seed: int) -> None:
    chance = Random(seed)
    with own_stack.client() as api:
        users = [f"u{n}" for n in range(12)]
        worlds = [
            World(api, f"r{n}", some_rules(chance, n) | {"streaks": n % 2 == 0}, users, Random(f"{seed}-{n}"))
            for n in range(SPACES)
        ]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(World.happen, worlds))
        for user in users[:3]:
            assert api.post(f"/v1/users/{user}/hide").status_code == 200
        assert api.post(f"/v1/users/{users[0]}/unhide").status_code == 200
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])
        before = namespace_state(own_stack.valkey.url)
        boards = {n: board_of(api, n) for n in range(SPACES)}
        lose_all(own_stack)
        assert api.get("/v1/namespaces/r1/boards/all").status_code == 503
        rebuilt = own_stack.run("rebuild", "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.valkey.url)) == []
        own_stack.wait_ready()
        assert {n: board_of(api, n) for n in range(SPACES)} == boards
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])
        grant = {"grant_id": "behind", "user_id": "u5", "amount": 1}
        assert api.post("/v1/namespaces/r1/grants", json=grant).status_code == 201
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])


def test_seals_letters_erasures_and_velocities_are_as_before(own_stack: Any) -> None:
    with own_stack.client() as api:
        with Writers(own_stack, 3):
            time.sleep(3)
        settle(own_stack)
        before = namespace_state(own_stack.valkey.url)
        lose_all(own_stack)
        rebuilt = own_stack.run("rebuild", "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.valkey.url)) == []
        own_stack.wait_ready()
        settle(own_stack)
        assert api.get("/v1/namespaces/paced/boards/all").status_code == 200


def settle(stack: Any) -> None:
    """Waits until nothing is under way any more, and verifies."""
    stack.wait_flushed()
    with psycopg.connect(stack.postgres.url) as db:
        deadline = time.monotonic() + 30
        open_work = (
            "SELECT (SELECT count(*) FROM visibility_intents WHERE pending_partitions <> '{}')"
            " + (SELECT count(*) FROM seals WHERE archived_at IS NULL)"
            " + (SELECT count(*) FROM pending_archive_updates)"
        )
        while db.execute(open_work).fetchone() != (0,):
            assert time.monotonic() < deadline, "the chores do not come to their end"
            time.sleep(0.05)
    stack.wait_flushed()
    assert verify(stack) == (0, [])


def lose_all(stack: Any) -> None:
    """Redis is empty from here on."""
    with redis.Redis.from_url(stack.valkey.url) as store:
        store.flushall()


def board_of(api: httpx.Client, n: int) -> Any:
    """The `all` board as a client reads it, without what each read may change."""
    answer = api.get(f"/v1/namespaces/r{n}/boards/all?limit=50").json()
    return {name: answer[name] for name in ("entries", "total")}

"""`leaderboard rebuild`: what Redis held before it lost everything, it holds again behind it."""

import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

from app.model.namespace import partition_of
from app.store import fields
from tests.support.checked_deployment import verify
from tests.support.random_namespaces import World, some_rules
from tests.support.random_writers import Writers
from tests.support.redis_state import differences, namespace_state
from tests.support.waits import until

SPACES = 27


@pytest.mark.long
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
        before = namespace_state(own_stack.redis.url)
        boards = {n: board_of(api, n) for n in range(SPACES)}
        lose_all(own_stack)
        refused = api.get("/v1/namespaces/r1/boards/all")
        assert (refused.status_code, "run leaderboard rebuild" in refused.json()["detail"]) == (503, True)
        line = "partitions 0 to 15: not opened yet: Redis lost lb:{N}:meta: run leaderboard rebuild"
        assert api.get("/readyz").json()["degraded"] == [line], "each partition is told once"
        rebuilt = own_stack.run("rebuild", "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.redis.url)) == []
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
        before = namespace_state(own_stack.redis.url)
        lose_all(own_stack)
        rebuilt = own_stack.run("rebuild", "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        own_stack.wait_ready()
        settle(own_stack)
        assert api.get("/v1/namespaces/paced/boards/all").status_code == 200


def test_a_rebuild_that_is_killed_goes_on_where_it_was(own_stack: Any) -> None:
    rules = {
        "category_boards": True,
        "tie_break": "earliest",
        "ranking": "dense",
        "bounded_sums": True,
        "streaks": True,
    }
    with own_stack.client() as api:
        for name in ("a", "b"):
            assert api.put(f"/v1/namespaces/{name}", json=rules | {"group": "one"}).status_code == 201
            grant_many(api, name, 40)
        p = partition_of("a", "one", 16)
        assert api.post("/v1/users/u3/hide").status_code == 200
        own_stack.wait_flushed()
        before = namespace_state(own_stack.redis.url)
        lose_all(own_stack)
        assert own_stack.run("rebuild", "--partition", str((p + 1) % 16)).returncode == 0
        for portions in (3, 7, 2):
            died = run_dying(own_stack, p, portions)
            assert died == -signal.SIGKILL
            assert api.get("/v1/namespaces/a/boards/all").status_code == 503
            refused = api.post("/v1/namespaces/b/grants", json={"grant_id": "x", "user_id": "u1", "amount": 1})
            assert (refused.status_code, refused.json()["code"]) == (503, "recovering")
        rebuilt = own_stack.run("rebuild", "--partition", str(p), "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert "went on behind" in rebuilt.stdout
        assert differences(before, namespace_state(own_stack.redis.url)) == []


def test_one_namespace_is_rebuilt_in_place(own_stack: Any) -> None:
    """Its partition's log, and the other namespace in it, stay as they are; what came in behind is counted once."""
    with own_stack.client() as api:
        for name in ("a", "b"):
            assert api.put(f"/v1/namespaces/{name}", json={"group": "one", "bounded_sums": True}).status_code == 201
            grant_many(api, name, 10)
        own_stack.wait_flushed()
        before = namespace_state(own_stack.redis.url)
        with own_stack.store() as store:
            (damaged,) = store.keys("lb:*:b:1:all")
            store.zincrby(damaged, 5, "u1")
            store.zrem(damaged, "u2")
            store.delete(*store.keys("lb:*:u:1:u3"))
        assert verify(own_stack)[0] == 1
        rebuilt = own_stack.run("rebuild", "--namespace", "a", "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        again = api.post(
            "/v1/namespaces/b/grants", json={"grant_id": "b-1", "user_id": "u1", "amount": 2, "category": "blue"}
        ).json()
        assert again["status"] == "duplicate"
        grant_many(api, "a", 10, "later")
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])
        with own_stack.store() as store:
            store.zincrby(damaged, 5, "u1")
        repaired = own_stack.run("repair", "--quiet")
        assert (repaired.returncode, repaired.stderr) == (0, "")
        assert repaired.stdout.count("partition") == 1, repaired.stdout
        assert verify(own_stack) == (0, [])
        unknown = own_stack.run("rebuild", "--namespace", "nobody")
        assert (unknown.returncode, unknown.stderr) == (1, "leaderboard: there is no namespace 'nobody'\n")


@pytest.mark.own_valkey
def test_an_older_redis_is_rebuilt_and_nothing_counts_twice(own_stack: Any) -> None:
    """Grants that only the ledger remembers are duplicates, for a server that was connected all the time, too."""
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/a", json={}).status_code == 201
        grant_many(api, "a", 10)
        own_stack.wait_flushed()
        own_stack.kill("redis")
        older = own_stack.valkey.data.with_name("older")
        shutil.copytree(own_stack.valkey.data, older)
        own_stack.start("redis")
        own_stack.wait_ready()
        grant_many(api, "a", 10, "late")
        own_stack.wait_flushed()
        before = namespace_state(own_stack.redis.url)
        own_stack.kill("redis")
        shutil.rmtree(own_stack.valkey.data)
        older.rename(own_stack.valkey.data)
        own_stack.start("redis")
        p = partition_of("a", None, 16)
        rebuilt = own_stack.run("rebuild", "--partition", str(p), "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        own_stack.wait_ready()
        grant = {"grant_id": "late-3", "user_id": "u3", "amount": 4, "category": "blue"}
        # The ids of the last minutes came back: nothing is to be asked of the ledger.
        own_stack.kill("postgres")
        again = api.post("/v1/namespaces/a/grants", json=grant)
        assert again.json()["status"] == "duplicate", again.text
        assert api.post("/v1/namespaces/a/grants", json=grant | {"amount": 5}).status_code == 409
        assert api.post("/v1/namespaces/a/grants", json=grant | {"grant_id": "new"}).status_code == 201
        own_stack.start("postgres")
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])


def test_boards_that_are_alike_get_the_same_totals(own_stack: Any) -> None:
    """All users have one score on every board, with sums beyond what doubles hold, in more than one call; or some of
    them have others."""
    with own_stack.client() as api:
        for name, rules in {"alike": {}, "apart": {"accept_past": None, "category_boards": True}}.items():
            assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
            grants = [{"grant_id": f"g{n}", "user_id": f"u{n}", "amount": 3_000_000_000 + n} for n in range(600)]
            assert api.post(f"/v1/namespaces/{name}/grants", json=grants[300:]).json()["rejected"] == 0
            grants = grants[:300]
            if name == "apart":
                grants += [{"grant_id": f"h{n}", "user_id": f"u{n}", "amount": 7, "category": "red"} for n in range(9)]
                grants += [{"grant_id": "old", "user_id": "u3", "amount": 5, "granted_at": "2024-02-29T00:00:00Z"}]
            assert api.post(f"/v1/namespaces/{name}/grants", json=grants).json()["rejected"] == 0
        own_stack.wait_flushed()
        before = namespace_state(own_stack.redis.url)
        lose_all(own_stack)
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        own_stack.wait_ready()
        assert verify(own_stack) == (0, [])


def grant_many(api: httpx.Client, name: str, count: int, tag: str | None = None) -> None:
    """A grant for each of so many users, of 1 and more."""
    grants = [
        {"grant_id": f"{tag or name}-{n}", "user_id": f"u{n}", "amount": n + 1, "category": ("red", "blue")[n % 2]}
        for n in range(count)
    ]
    answer = api.post(f"/v1/namespaces/{name}/grants", json=grants)
    assert answer.json()["rejected"] == 0, answer.text


def run_dying(stack: Any, p: int, portions: int, *how: str) -> int:
    """The exit code of a rebuild that kills itself after so many portions."""
    command = [sys.executable, "-m", "tests.support.dying_rebuild", str(p), str(portions), *how]
    return subprocess.run(command, env=stack.environment, check=False, timeout=60).returncode


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
    # A window leaves Redis behind the commit of its archive.
    until(lambda: not sealed_windows(stack), "end of the sealed windows in Redis", 30)
    stack.wait_flushed()
    assert verify(stack) == (0, [])


def sealed_windows(stack: Any) -> list[bytes]:
    """Windows that are sealed and still in Redis."""
    with stack.store() as store:
        states = [store.hgetall(key) for key in store.scan_iter(match="lb:*:ns:*")]
    prefix = fields.WINDOW_STATE.encode()
    return [name for read in states for name, state in read.items() if name.startswith(prefix) and state[:1] == b"s"]


def lose_all(stack: Any) -> None:
    """Redis is empty from here on."""
    with stack.store() as store:
        store.flushall()


def board_of(api: httpx.Client, n: int) -> Any:
    """The `all` board as a client reads it, without what each read may change."""
    answer = api.get(f"/v1/namespaces/r{n}/boards/all?limit=50").json()
    assert "entries" in answer, answer["detail"]
    return {name: answer[name] for name in ("entries", "total")}


def test_a_user_with_very_many_grants_within_a_velocity_is_rebuilt(own_stack: Any) -> None:
    """More values than a script can hand over at a time."""
    count = 5_000
    with own_stack.client() as api:
        rules = {"velocity": [{"per": "P1D", "max_grants": count + 1}]}
        assert api.put("/v1/namespaces/race", json=rules).status_code == 201
        lines = "\n".join(f'{{"grant_id":"g{i}","user_id":"ann","amount":1}}' for i in range(count))
        headers = {"content-type": "application/x-ndjson"}
        assert api.post("/v1/namespaces/race/grants", content=lines, headers=headers).json()["applied"] == count
        own_stack.wait_flushed()
        lose_all(own_stack)
        rebuilt = own_stack.run("rebuild", "--quiet")
        assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
        own_stack.wait_ready()
        assert verify(own_stack, "race") == (0, [])
        sent = [api.post("/v1/namespaces/race/grants", json=grant(f"x{i}")).status_code for i in range(2)]
        assert sent == [201, 422], "the velocity has counted them"


def grant(grant_id: str) -> dict[str, Any]:
    return {"grant_id": grant_id, "user_id": "ann", "amount": 1}

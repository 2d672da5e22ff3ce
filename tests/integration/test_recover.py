"""`leaderboard recover`: what Redis lost of the ledger comes back, and nothing else is written."""

import asyncio
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import pytest
import redis

from app.admin.migrate import SCRIPTS
from app.drivers.postgres import Postgres
from app.drivers.redis import RedisConnection
from app.model.namespace import partition_of
from app.recover.auto_recovery import AutoRecovery
from app.settings import read_settings
from tests.crash.test_marks import wait_code
from tests.integration.test_rebuild import run_dying, settle
from tests.support.checked_deployment import verify
from tests.support.lost_redis import bring_back, copy_redis
from tests.support.random_namespaces import World, some_rules
from tests.support.random_writers import Writers
from tests.support.redis_state import differences, namespace_state

pytestmark = pytest.mark.own_valkey

SPACES = 14
RULES: dict[str, dict[str, Any]] = {
    "a": {},
    "paced": {"velocity": [{"per": "P1D", "max_grants": 1}]},
    "frozen": {},
    "odd": {"amount_max": 100, "suspicious": "quarantine"},
}
BOARD = "/v1/namespaces/r2/boards/all"


def test_an_older_redis_is_as_before(own_stack: Any) -> None:
    chance = Random(5)
    with own_stack.client() as api, ThreadPoolExecutor(4) as pool:
        users = [f"u{n}" for n in range(12)]
        worlds = [
            World(api, f"r{n}", some_rules(chance, n) | {"streaks": n % 2 == 0}, users, Random(f"5-{n}"))
            for n in range(SPACES)
        ]
        list(pool.map(World.happen, worlds))
        assert [api.post(f"/v1/users/{user}/hide").status_code for user in users[:2]] == [200, 200]
        assert api.put("/v1/namespaces/labels", json={"category_boards": True}).status_code == 201
        grant = {"grant_id": "moved", "user_id": "u1", "amount": 1, "category": "red"}
        assert api.post("/v1/namespaces/labels/grants", json=grant).status_code == 201
        own_stack.wait_flushed()
        older = copy_redis(own_stack)
        list(pool.map(World.happen, worlds[::2]))
        assert api.patch("/v1/namespaces/labels/grants/moved", json={"category": "blue"}).status_code == 200
        assert api.post(f"/v1/users/{users[0]}/unhide").status_code == 200
        assert api.post(f"/v1/users/{users[2]}/hide").status_code == 200
        settle(own_stack)
        before = namespace_state(own_stack.valkey.url)
        bring_back(own_stack, older)
        p = partition_of("r2", None, 16)
        assert f"run leaderboard recover --partition {p}" in wait_code(api, BOARD, "recovering").json()["detail"]
        for _ in range(2):
            assert run_dying(own_stack, p, 1, "recover") == -signal.SIGKILL
        recovered = own_stack.run("recover", "--quiet")
        assert (recovered.returncode, recovered.stderr) == (0, "")
        assert "written anew" not in recovered.stdout
        assert "brought back" in recovered.stdout
        assert differences(before, namespace_state(own_stack.valkey.url)) == []
        own_stack.wait_ready()
        assert own_stack.run("recover").stdout == "ok: no partition is closed\n"
        again = api.post("/v1/namespaces/r1/grants", json={"grant_id": "behind", "user_id": "u5", "amount": 1})
        assert again.status_code == 201
        settle(own_stack)


def test_what_only_another_history_has_counts_again(own_stack: Any) -> None:
    """A primary that was cut off took entries, and came back after others had gone on."""
    with own_stack.client() as api:
        for name, rules in RULES.items():
            assert api.put(f"/v1/namespaces/{name}", json=rules | {"group": "one"}).status_code == 201
        give(api, "a", "before-1", "before-2", "before-3")
        own_stack.wait_flushed()
        older = copy_redis(own_stack)
        own_stack.stop("persist")
        give(api, "a", "cut-1", "cut-2", "both", amount=5)
        give(api, "a", "other", amount=5)
        give(api, "paced", "p1")
        give(api, "frozen", "f1")
        give(api, "odd", "o1", amount=500)
        assert api.delete("/v1/namespaces/a/grants/before-1?reason=typo").status_code == 200
        assert api.patch("/v1/namespaces/a/grants/before-2", json={"amount": 7}).status_code == 200
        cut_off = copy_redis(own_stack, "cut_off")
        own_stack.stop("serve")
        bring_back(own_stack, older)
        own_stack.start("persist")
        own_stack.start("serve")
        give(api, "a", "both", "later", amount=5)
        give(api, "a", "other", amount=6)
        give(api, "paced", "p2")
        assert api.patch("/v1/namespaces/a/grants/before-2", json={"amount": 8}).status_code == 200
        assert (
            api.put("/v1/namespaces/frozen", json=RULES["frozen"] | {"group": "one", "mode": "frozen"}).status_code
            == 200
        )
        own_stack.wait_flushed()
        bring_back(own_stack, cut_off)
        wait_code(api, "/v1/namespaces/a/boards/all", "recovering")
        recovered = own_stack.run("recover", "--quiet")
        assert (recovered.returncode, recovered.stderr) == (0, ""), recovered
        assert "counted 7 acknowledged entries again, at other places" in recovered.stdout, recovered.stdout
        assert "grant 'other' revision 1 cannot come back: grant_conflict" in recovered.stdout
        assert "grant 'before-2' revision 2 cannot come back: revision_conflict" in recovered.stdout
        own_stack.wait_ready()
        own_stack.wait_flushed()
        scores = {name: api.get(f"/v1/namespaces/{name}/boards/all").json()["entries"] for name in RULES}
        # Without before-1, with 8 for before-2: 1 + 8, then twice 5 by cut-1 and cut-2, 5 + 5 of both histories, and 6.
        assert [row["score"] for row in scores["a"]] == [1 + 8 + 5 * 4 + 6]
        assert [row["score"] for row in scores["paced"]] == [2]
        assert [row["score"] for row in scores["frozen"]] == [1]
        assert scores["odd"] == []
        events = api.get("/v1/namespaces/a/events?type=replayed&type=lost").json()["events"]
        assert sorted((event["type"], event["grant_id"]) for event in events) == [
            *(("lost", "before-2"), ("lost", "other")),
            *(("replayed", "before-1"), ("replayed", "both"), ("replayed", "cut-1"), ("replayed", "cut-2")),
        ]
        (back,) = [event for event in events if event["grant_id"] == "cut-1"]
        granted = api.get("/v1/namespaces/a/events?type=granted").json()["events"]
        assert (back["epoch"], back["seq"], "cut-1") in {(one["epoch"], one["seq"], one["grant_id"]) for one in granted}
        assert api.get("/v1/namespaces/odd/grants?state=quarantined").json()["grants"]
        give(api, "a", "cut-1", amount=5)
        assert verify(own_stack) == (0, [])
        assert own_stack.run("recover").stdout == "ok: no partition is closed\n"


def give(api: httpx.Client, name: str, *grant_ids: str, amount: int = 1) -> None:
    for grant_id in grant_ids:
        grant = {"grant_id": grant_id, "user_id": "ann", "amount": amount}
        answer = api.post(f"/v1/namespaces/{name}/grants", json=grant)
        assert answer.status_code in (200, 201, 202), answer.text


@pytest.mark.full
@pytest.mark.parametrize("seconds", [1, 3])
def test_seals_letters_velocities_and_erasures_behind_the_loss_are_as_before(own_stack: Any, seconds: int) -> None:
    with Writers(own_stack, 3):
        time.sleep(seconds)
    older = copy_redis(own_stack)
    with Writers(own_stack, 3, first=3):
        time.sleep(3)
    settle(own_stack)
    before = namespace_state(own_stack.valkey.url)
    bring_back(own_stack, older)
    recovered = own_stack.run("recover", "--quiet")
    assert (recovered.returncode, recovered.stderr) == (0, "")
    assert differences(before, namespace_state(own_stack.valkey.url)) == []
    own_stack.wait_ready()
    settle(own_stack)


def look(stack: Any, mode: str) -> None:
    """What a persister does from time to time."""

    async def run() -> None:
        settings = read_settings(stack.environment | {"LEADERBOARD_RECOVER": mode})
        link, postgres = RedisConnection(settings.redis_url, SCRIPTS), Postgres(settings.postgres_url)
        await AutoRecovery(settings).look(link, postgres)
        await link.close()
        await postgres.close()

    asyncio.run(run())


@pytest.mark.long
def test_only_what_is_safe_comes_back_by_itself(own_stack: Any) -> None:
    board = "/v1/namespaces/a/boards/all"
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/a", json={}).status_code == 201
        give(api, "a", "before")
        own_stack.wait_flushed()
        older = copy_redis(own_stack)
        own_stack.stop("persist")
        give(api, "a", "cut")
        cut_off = copy_redis(own_stack, "cut_off")
        own_stack.stop("serve")
        bring_back(own_stack, older)
        own_stack.start("persist")
        own_stack.start("serve")
        give(api, "a", "later-1", "later-2")
        own_stack.wait_flushed()
        bring_back(own_stack, older)
        wait_code(api, board, "recovering")
        look(own_stack, "auto")
        assert wait_code(api, board, 200).json()["entries"][0]["score"] == 3
        own_stack.wait_ready()
        own_stack.wait_flushed()
        bring_back(own_stack, cut_off)
        wait_code(api, board, "recovering")
        look(own_stack, "auto")
        assert api.get(board).json()["code"] == "recovering", "it holds another history"
        with redis.Redis.from_url(own_stack.valkey.url) as store:
            store.flushall()
        look(own_stack, "auto")
        assert api.get(board).json()["code"] == "recovering", "it may be the wrong one"
        own_stack.stop("persist")
        own_stack.extra["LEADERBOARD_RECOVER"] = "own"
        own_stack.start("persist")
        assert wait_code(api, board, 200).json()["entries"][0]["score"] == 3
        own_stack.wait_ready()
        bring_back(own_stack, cut_off)
        wait_code(api, board, "recovering")
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert api.get(board).json()["entries"][0]["score"] == 4, "what the other history has counts, too"
        assert verify(own_stack) == (0, [])


def test_a_mark_of_an_older_postgres_that_holds_no_more_hinders_nobody(own_stack: Any) -> None:
    """Redis came back with a partition that an older Postgres had closed, and lacks entries that Postgres has."""
    with own_stack.client() as api, own_stack.store() as store:
        assert api.put("/v1/namespaces/one", json={}).status_code == 201
        p = partition_of("one", None, 16)
        grant = {"user_id": "ann", "amount": 3}
        assert api.post("/v1/namespaces/one/grants", json={"grant_id": "a", **grant}).status_code == 201
        own_stack.wait_flushed()
        older = copy_redis(own_stack)
        assert api.post("/v1/namespaces/one/grants", json={"grant_id": "b", **grant}).status_code == 201
        own_stack.wait_flushed()
        for part in ("serve", "persist"):
            own_stack.kill(part)
        bring_back(own_stack, older)
        store.hset(f"lb:{{{p}}}:meta", "closed", "ledger_behind: this Postgres is an older one: run it")
        refused = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert f"run leaderboard recover --partition {p}" in refused.stderr, refused
        done = own_stack.run("recover", "--quiet")
        assert (done.returncode, "brought back 1 entry behind seq 1, of 1 user;" in done.stdout) == (0, True), done
        own_stack.start("persist")
        own_stack.start("serve")
        assert api.get("/v1/namespaces/one/boards/all").json()["entries"][0]["score"] == 6
        assert verify(own_stack) == (0, [])


def test_what_nobody_has_any_more_is_told_by_number(own_stack: Any) -> None:
    """Redis and the ledger lost it; the server that had acknowledged it remembers that it was there."""
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/a", json={}).status_code == 201
        give(api, "a", "before")
        own_stack.wait_flushed()
        older = copy_redis(own_stack)
        give(api, "a", "known")
        own_stack.wait_flushed()
        own_stack.stop("persist")
        give(api, "a", "lost-1", "lost-2")
        bring_back(own_stack, older)
        wait_code(api, "/v1/namespaces/a/boards/all", "recovering")
        assert "brought back 1 entry behind seq 1, of 1 user;" in own_stack.run("recover", "--quiet").stdout
        refused = api.post("/v1/namespaces/a/grants", json={"grant_id": "x", "user_id": "ann", "amount": 1}).json()
        assert "4 is acknowledged" in refused["detail"]
        settled = own_stack.run("recover", "--quiet")
        assert "lost: 2 entries, seq 3 to 4 up to epoch" in settled.stdout
        own_stack.start("persist")
        own_stack.wait_ready()
        (event,) = api.get("/v1/namespaces/a/events?type=lost").json()["events"]
        assert (event["first_seq"], event["last_seq"], event["entries"], event["grant_id"]) == (3, 4, 2, None)
        give(api, "a", "lost-1", "after")
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])


@pytest.mark.full
def test_a_postgres_that_is_an_older_copy_gets_the_rest_from_the_log(own_stack: Any) -> None:
    chance, data = Random(7), own_stack.postgres.data
    with own_stack.client() as api, ThreadPoolExecutor(4) as pool:
        users = [f"u{n}" for n in range(12)]
        worlds = [World(api, f"r{n}", some_rules(chance, n), users, Random(f"7-{n}")) for n in range(SPACES)]
        list(pool.map(World.happen, worlds))
        own_stack.wait_flushed()
        own_stack.kill("postgres")
        subprocess.run(["cp", "-a", data, data.with_name("older_ledger")], check=True)  # with its owner
        own_stack.start("postgres")
        own_stack.wait_ready()
        list(pool.map(World.happen, worlds))
        settle(own_stack)
        before = namespace_state(own_stack.valkey.url)
        own_stack.kill("postgres")
        shutil.rmtree(data)
        data.with_name("older_ledger").rename(data)
        own_stack.start("postgres")
        own_stack.wait_flushed()
        settle(own_stack)
        assert differences(before, namespace_state(own_stack.valkey.url)) == []

"""`rebuild --from-redis`: all partitions and namespaces that lost rows, and what came and went in a gap."""

from typing import Any

import httpx
import pytest

from app.model.namespace import partition_of
from tests.integration.test_from_redis import lose_log, wait_closed
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.waits import until


def grant(api: httpx.Client, name: str, user: str, grant_id: str) -> None:
    body = {"grant_id": grant_id, "user_id": user, "amount": 1}
    answer = api.post(f"/v1/namespaces/{name}/grants", json=body)
    assert answer.status_code == 201, answer.text


def is_in_redis(stack: Any, key: str) -> bool:
    with stack.store() as store:
        return bool(store.exists(key))


def scans(stack: Any) -> int:
    with stack.store(decode_responses=True) as store:
        return int(store.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"])


@pytest.mark.own_valkey
def test_one_scan_of_a_node_serves_all_that_lost_rows(own_stack: Any) -> None:
    """Of names that hold what separates the parts of a key, too."""
    spaces = {f"s{i}": {"group": "one" if i < 4 else "two"} for i in range(6)}
    with own_stack.client() as api:
        for name, rules in spaces.items():
            assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
            grant(api, name, "ann", "g1")
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        for name in spaces:
            grant(api, name, f"*:u:{name}:7:ann", "g2")
            grant(api, name, "ann", "g3")
        own_stack.wait_flushed()
        lose_log(own_stack)
        for name in spaces:
            grant(api, name, "bob", "g4")
        own_stack.wait_flushed()
        swap_postgres(own_stack)
        wait_closed(own_stack)
        before = scans(own_stack)
        done = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert done.returncode == 0, done
        assert scans(own_stack) - before == 1
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])


@pytest.mark.parametrize("is_log_lost", [False, True])
def test_a_namespace_that_came_and_went_since_the_dump_is_known(own_stack: Any, is_log_lost: bool) -> None:
    """The log has entries of it, and Redis its id and that it is deleted."""
    with own_stack.client() as api:
        for name in ("race", "brief"):
            if name == "brief":
                own_stack.wait_flushed()
                copy_postgres(own_stack)
                own_stack.wait_ready()
            assert api.put(f"/v1/namespaces/{name}", json={"group": "one"}).status_code == 201
            grant(api, name, "ann", "g1")
        own_stack.wait_flushed()
        if is_log_lost:
            lose_log(own_stack)
        for name in ("race", "brief"):
            grant(api, name, "bob", "g2")
        assert api.delete("/v1/namespaces/brief?confirm=brief").status_code in (200, 204)
        own_stack.wait_flushed()
        own_stack.wait_published()
        ((number, p),) = own_stack.sql("SELECT id, partition FROM namespaces WHERE name = 'brief'")
        until(lambda: own_stack.sql("SELECT 1 FROM namespaces WHERE dropped_at IS NOT NULL"), "its keys stay")
        left = f"lb:{{{p}}}:u:{number}:cleo"
        with own_stack.store() as store:
            store.hset(left, "total", 1)  # As if the keys had not been dropped yet.
        swap_postgres(own_stack)
        until(lambda: api.get("/readyz").status_code == 503, "the partition stays open")
        done = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert done.returncode == 0, done
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert own_stack.sql("SELECT * FROM dead_letters") == []
        until(lambda: not is_in_redis(own_stack, left), "keys of a deleted namespace stay")
        assert api.get("/v1/namespaces/brief/boards/all").status_code == 404
        assert verify(own_stack) == (0, [])
        assert api.put("/v1/namespaces/brief").status_code == 201
        grant(api, "brief", "eve", "g1")
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])


def test_an_erasure_is_known_by_one_partition_that_redis_has(own_stack: Any) -> None:
    """A user who has grants in a partition that Redis lost, too, is erased again. Who has grants there alone is
    counted."""
    lost, whole = partition_of("race", None, 16), partition_of("other", None, 16)
    assert lost != whole
    with own_stack.client() as api:
        for name, users in (("race", ("ghost", "shade", "otter")), ("other", ("ghost", "otter"))):
            assert api.put(f"/v1/namespaces/{name}").status_code == 201
            for user in users:
                grant(api, name, user, user)
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        for user in ("ghost", "shade"):
            assert api.delete(f"/v1/users/{user}").status_code in (202, 204)
        until(lambda: not own_stack.sql("SELECT 1 FROM users WHERE name IN ('ghost', 'shade')"), "an erasure waits")
        swap_postgres(own_stack)
        with own_stack.store() as store:
            store.delete(*store.scan_iter(match=f"lb:{{{lost}}}:*"))
        taken = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert (taken.returncode, "erasures 1" in taken.stdout) == (1, True), taken
        assert f"1 user with grants in partition {lost} alone, which Redis lost: " in taken.stdout
        assert api.delete("/v1/users/shade").status_code == 202
        assert own_stack.run("rebuild", "--quiet", "--partition", str(lost)).returncode == 0
        own_stack.wait_ready()
        for name in ("race", "other"):
            board = api.get(f"/v1/namespaces/{name}/boards/all").json()["entries"]
            assert [row["user_id"] for row in board] == ["otter"]
        until(lambda: not own_stack.sql("SELECT 1 FROM users WHERE name IN ('ghost', 'shade')"), "an erasure waits")
        assert verify(own_stack) == (0, [])


def test_who_has_no_grant_that_counts_is_told_from_who_was_erased(own_stack: Any) -> None:
    """Redis keeps balances of a user whose grants were voided, and none of one whose grants are all in quarantine."""
    with own_stack.client() as api:
        rules = {"amount_max": 1, "suspicious": "quarantine"}
        assert api.put("/v1/namespaces/race", json=rules).status_code == 201
        for user in ("ghost", "shade", "vole"):
            grant(api, "race", user, user)
        for user in ("shade", "vole"):
            assert api.delete(f"/v1/namespaces/race/grants/{user}").status_code == 200
        body = {"grant_id": "mole", "user_id": "mole", "amount": 5}
        assert api.post("/v1/namespaces/race/grants", json=body).json()["status"] == "quarantined"
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        for user in ("ghost", "shade"):
            assert api.delete(f"/v1/users/{user}").status_code in (202, 204)
        until(lambda: not own_stack.sql("SELECT 1 FROM users WHERE name IN ('ghost', 'shade')"), "an erasure waits")
        swap_postgres(own_stack)
        until(lambda: api.get("/readyz").status_code == 503, "the partition stays open")
        taken = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert (taken.returncode, "erasures 2" in taken.stdout) == (0, True), taken
        own_stack.wait_ready()
        until(lambda: not own_stack.sql("SELECT 1 FROM users WHERE name IN ('ghost', 'shade')"), "an erasure waits")
        (waiting,) = api.get("/v1/namespaces/race/grants?state=quarantined").json()["grants"]
        assert waiting["user_id"] == "mole"
        assert api.get("/v1/namespaces/race/grants/vole").json()["user_id"] == "vole"

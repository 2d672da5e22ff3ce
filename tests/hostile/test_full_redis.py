"""A Redis that refuses writes, for want of memory or by an ACL: what frees it still works, and grants come back."""

from typing import Any

import httpx
import psycopg
import pytest

from app.store import keys
from tests.support.waits import until

LOG_ENTRIES_MAX = 20
BATCHES = 20  # of 50 users with long names: some 1.5 MB of boards and balances
LACKING_BYTES = 200_000


def make(client: httpx.Client, *names: str) -> None:
    for name in names:
        assert client.put(f"/v1/namespaces/{name}", json={"group": name, "accept_past": None}).status_code == 201


def grant(client: httpx.Client, space: str, grant_id: str, user: str = "otter") -> httpx.Response:
    body = {"grant_id": grant_id, "user_id": user, "amount": 1}
    return client.post(f"/v1/namespaces/{space}/grants", json=body)


def offsets(stack: Any) -> dict[int, str]:
    """How far the ledger holds each partition."""
    with psycopg.connect(stack.postgres.url) as db:
        rows = db.execute("SELECT partition, epoch, seq FROM partitions WHERE seq > 0").fetchall()
    return {p: f"{epoch}-{seq}" for p, epoch, seq in rows}


def is_reported(stack: Any, own_redis: Any) -> bool:
    """Whether Redis knows how far the ledger is, everywhere."""
    return all(own_redis.hget(keys.meta(p), "flushed") == place.encode() for p, place in offsets(stack).items())


@pytest.mark.timeout(120)
def test_a_full_log_takes_grants_again_although_its_flush_was_refused(own_stack: Any, own_redis: Any) -> None:
    """Nothing new can come into the log, so nothing new would tell how far the ledger is."""
    own_stack.extra["LEADERBOARD_LOG_ENTRIES_MAX"] = str(LOG_ENTRIES_MAX)
    own_stack.restart()
    with own_stack.client() as client:
        make(client, "n")
        own_stack.kill("persist")
        codes = [grant(client, "n", f"g{i}").json().get("code") for i in range(LOG_ENTRIES_MAX + 1)]
        assert codes == [None] * LOG_ENTRIES_MAX + ["overloaded"]
        ((name,),) = [own_redis.keys("lb:*:log")]
        log_end = own_redis.xrevrange(name, count=1)[0][0].decode()
        # Whatever writes a hash is denied, so what records the progress is refused.
        own_redis.execute_command("ACL", "SETUSER", "default", "-hset")
        own_stack.start("persist")
        until(lambda: list(offsets(own_stack).values()) == [log_end], "the ledger does not get the rows")
        said = own_stack.folder / "persist.log"
        until(lambda: "hset" in said.read_text().lower(), "nobody says that Redis refuses")
        assert not is_reported(own_stack, own_redis)
        own_redis.execute_command("ACL", "SETUSER", "default", "+hset")
        until(lambda: grant(client, "n", "last").status_code == 201, "the partition refuses for ever")


@pytest.mark.timeout(180)
def test_a_full_redis_is_drained_and_freed_by_a_deletion(own_stack: Any, own_redis: Any) -> None:
    with own_stack.client() as client:
        make(client, "large", "small")
        for call in range(BATCHES):
            users = [f"{call}-{i}-" + "x" * 100 for i in range(50)]
            grants = [{"grant_id": user, "user_id": user, "amount": 1} for user in users]
            assert client.post("/v1/namespaces/large/grants", json=grants).json()["applied"] == 50
        own_stack.kill("persist")
        grants = [{"grant_id": f"last{i}", "user_id": "otter", "amount": 1} for i in range(50)]
        assert client.post("/v1/namespaces/large/grants", json=grants).json()["applied"] == 50
        maxmemory = int(own_redis.info("memory")["used_memory"]) - LACKING_BYTES
        own_redis.config_set("maxmemory", maxmemory)
        refused = grant(client, "small", "g1")
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        own_stack.start("persist")
        until(lambda: client.get("/readyz").json()["lag_seq"] == 0, "the ledger does not get what is in the log")
        until(lambda: is_reported(own_stack, own_redis), "a full Redis does not learn how far the ledger is")
        assert client.delete("/v1/namespaces/large?confirm=large").status_code == 204
        assert client.get("/v1/namespaces/large").status_code == 404
        until(lambda: grant(client, "small", "g1").status_code == 201, "the deleted namespace frees nothing")
        assert [entry["score"] for entry in client.get("/v1/namespaces/small/boards/all").json()["entries"]] == [1]
        assert int(own_redis.config_get("maxmemory")["maxmemory"]) == maxmemory

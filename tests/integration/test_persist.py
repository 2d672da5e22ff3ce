"""The persister on real parts: duplicates that only the ledger recognises, rotation, several persisters, poison."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from app.embedded import free_port
from app.persist.ledger_row import unpack
from app.store import fields, keys
from tests.support.log_place import log_place
from tests.support.waits import until


@pytest.fixture
def client(own_stack: Any) -> Iterator[httpx.Client]:
    with own_stack.client() as client:
        assert client.put("/v1/namespaces/n", json={"accept_past": None}).status_code == 201
        yield client


def grant(client: httpx.Client, grant_id: str, **fields: Any) -> httpx.Response:
    return client.post("/v1/namespaces/n/grants", json={"grant_id": grant_id, "user_id": "otter", "amount": 5} | fields)


def shares(db: Any) -> list[int]:
    """How many partitions each persister holds."""
    sql = "SELECT count(*) FROM leases WHERE holder IS NOT NULL GROUP BY holder"
    return sorted(count for (count,) in db.execute(sql).fetchall())


def score(client: httpx.Client) -> int:
    return int(client.get("/v1/namespaces/n/users/otter").json()["score"])


def partition(own_redis: Any) -> int:
    (number,) = {int(key.split(b"}")[0].split(b"{")[1]) for key in own_redis.keys("lb:*:b:*")}
    return number


@pytest.mark.timeout(120)
def test_a_duplicate_that_seen_forgot_is_taken_back(own_stack: Any, client: httpx.Client, own_redis: Any) -> None:
    assert grant(client, "g1").status_code == 201
    own_stack.wait_flushed()
    p = partition(own_redis)
    own_redis.delete(keys.dedup(p, 1))
    assert grant(client, "g1").json()["score"] == 10
    grant(client, "g2", amount=1)
    until(lambda: score(client) == 6, "the duplicate is not taken back")
    own_stack.wait_flushed()
    assert client.get("/v1/namespaces/n/users/otter").json()["grants"] == 2
    with psycopg.connect(own_stack.postgres.url) as db:
        kinds = db.execute("SELECT kind, entry_amount FROM ledger WHERE partition = %s ORDER BY seq", (p,)).fetchall()
        assert kinds == [("grant", 5), ("duplicate", 5), ("grant", 1), ("heal", -5)]
        assert db.execute("SELECT score, grants FROM standings").fetchall() == [(6, 2)]
        assert db.execute("SELECT count(*) FROM dead_letters WHERE healed_seq IS NULL").fetchone() == (0,)


@pytest.mark.timeout(120)
def test_a_grant_older_than_the_generations_is_looked_up_in_the_ledger(
    own_stack: Any, client: httpx.Client, own_redis: Any
) -> None:
    old = {"granted_at": "2020-01-01T00:00:00Z"}
    assert grant(client, "g1", **old).status_code == 201
    own_stack.wait_flushed()
    p = partition(own_redis)
    for _ in range(3):
        before = own_redis.hget(keys.meta(p), "generations")
        own_redis.hset(keys.meta(p), fields.NEWEST_BEGAN, 1)
        until(lambda space=before: own_redis.hget(keys.meta(p), "generations") != space, "no rotation")
    assert not own_redis.exists(keys.dedup(p, 1))
    assert len(own_redis.hget(keys.meta(p), "generations").split(b",")) == 2
    again = grant(client, "g1", **old)
    assert (again.status_code, again.json()["status"], again.json()["seq"], again.json()["score"]) == (
        *(200, "duplicate", 1, 5),
    )
    assert grant(client, "g1", amount=6, **old).json()["code"] == "grant_conflict"
    assert grant(client, "g2", **old).json()["score"] == 10
    own_stack.kill("postgres")
    assert grant(client, "g3", **old).json()["code"] == "store_unavailable"


@pytest.mark.timeout(120)
def test_a_grant_ahead_of_its_time_is_looked_up_by_the_rules_it_came_under(
    own_stack: Any, client: httpx.Client, own_redis: Any
) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=8)
    body = {"granted_at": ahead.isoformat()}
    assert grant(client, "g1", **body).status_code == 201
    own_stack.wait_flushed()
    p = partition(own_redis)
    while own_redis.exists(keys.dedup(p, 1)):
        before = own_redis.hget(keys.meta(p), "generations")
        own_redis.hset(keys.meta(p), fields.NEWEST_BEGAN, 1)
        until(lambda space=before: own_redis.hget(keys.meta(p), "generations") != space, "no rotation")
    assert datetime.now(UTC) < ahead, "the generations took too long to be of use here"
    assert client.put("/v1/namespaces/n", json={"accept_past": None, "accept_future": "PT0S"}).status_code == 200
    until(lambda: datetime.now(UTC) > ahead + timedelta(seconds=0.1), "the moment does not come")
    # By the rules of now it cannot have come before its moment, which all generations know.
    again = grant(client, "g1", **body).json()
    assert (again["status"], again["seq"], again["score"]) == ("duplicate", 1, 5)
    assert grant(client, "g1", amount=6, **body).json()["code"] == "grant_conflict"
    with psycopg.connect(own_stack.postgres.url) as db:
        (reach,) = db.execute("SELECT accept_future_max FROM namespaces").fetchone() or (None,)
    assert reach == 300_000_000


@pytest.mark.timeout(120)
def test_several_persisters_share_and_take_over(own_stack: Any, client: httpx.Client) -> None:
    command = [sys.executable, "-m", "app", "persist"]
    with (own_stack.folder / "second.log").open("wb") as log:
        second = subprocess.Popen(command, env=own_stack.environment, stdout=log, stderr=log)
    try:
        with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
            until(lambda: shares(db) == [8, 8], "the partitions are not shared")
            for i in range(50):
                assert grant(client, f"g{i}", user_id=f"u{i}").status_code == 201
            own_stack.wait_flushed()
            own_stack.kill("persist")
            until(lambda: shares(db) == [16], "the dead one's partitions are not taken over")
        grant(client, "after")
        own_stack.wait_flushed()
    finally:
        second.kill()
        second.wait()


@pytest.mark.timeout(120)
def test_a_poison_entry_is_set_aside_and_the_partition_goes_on(
    own_stack: Any, client: httpx.Client, own_redis: Any
) -> None:
    grant(client, "g1")
    own_stack.wait_flushed()
    p = partition(own_redis)
    own_stack.kill("persist")
    own_redis.xadd(
        keys.log(p),
        {"d": b"x" * 16, "e": b"\xc1 not an entry", "r": "1700000000000000 5 "},
        id=log_place(own_redis, p, 2),
    )
    own_redis.hset(keys.meta(p), "seq", 2)
    assert grant(client, "g2").json()["seq"] == 3
    own_stack.start("persist")
    own_stack.wait_flushed()
    with psycopg.connect(own_stack.postgres.url) as db:
        kinds = db.execute("SELECT seq, kind FROM ledger WHERE partition = %s ORDER BY seq", (p,)).fetchall()
        assert kinds == [(1, "grant"), (2, "tombstone"), (3, "grant")]
        assert db.execute("SELECT seq, reason FROM dead_letters").fetchall() == [(2, "poison")]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("instead", [None, b"z" * 16], ids=["nothing", "another entry"])
def test_a_log_that_does_not_continue_its_ledger_stops_the_partition(
    own_stack: Any, client: httpx.Client, own_redis: Any, instead: bytes | None
) -> None:
    """instead: the digest of what stands in the place of the ledger's last entry."""
    grant(client, "g1")
    own_stack.wait_flushed()
    p = partition(own_redis)
    own_stack.kill("persist")
    own_redis.delete(keys.log(p))
    place = log_place(own_redis, p, 1)
    for entry_id, digest in ((place, instead), (log_place(own_redis, p, 2), b"y" * 16)):
        if digest is not None:
            own_redis.xadd(keys.log(p), {"d": digest, "e": b"", "r": "1700000000000000 5 "}, id=entry_id)
    own_stack.start("persist")
    said = own_stack.folder / "persist.log"
    until(lambda: "partition stopped" in said.read_text(), "the broken log is not noticed")
    assert f"does not hold {place} as the ledger does" in said.read_text()
    with psycopg.connect(own_stack.postgres.url) as db:
        assert db.execute("SELECT max(seq) FROM ledger").fetchone() == (1,)


@pytest.mark.parametrize("instead", [None, b"z" * 16], ids=["nothing", "another entry"])
def test_a_log_that_changed_under_a_persister_is_not_gone_on_with(
    own_stack: Any, client: httpx.Client, own_redis: Any, instead: bytes | None
) -> None:
    """Redis neither started anew nor was it away: nothing but a look at the log tells it, when the session begins."""
    grant(client, "g1")
    own_stack.wait_flushed()
    p = partition(own_redis)
    place = log_place(own_redis, p, 1)
    own_redis.delete(keys.log(p))
    if instead is not None:
        own_redis.xadd(keys.log(p), {"d": instead, "e": b"", "r": "1700000000000000 5 "}, id=place)
    with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    said = own_stack.folder / "persist.log"
    until(lambda: "partition stopped" in said.read_text(), "the broken log is not noticed")
    assert f"the log does not hold {place} as the ledger does" in said.read_text()


ACL = "~* &* +@all"
DENIED = [
    (f"{ACL} -zadd", "ZADD"),
    (f"{ACL} -xadd", "XADD"),
    (f"{ACL} -evalsha", "EVALSHA"),
    ("resetkeys ~lb:{*}:meta ~lb:{*}:log ~lb:{*}:rules ~lb:{*}:dedup:* ~lb:{*}:ns:* ~lb:{*}:u:* +@all", ":b:0:probe"),
    ("resetkeys ~lb:{*}:meta ~lb:{*}:rules ~lb:{*}:dedup:* ~lb:{*}:ns:* ~lb:{*}:u:* ~lb:{*}:b:* +@all", ":log"),
]


@pytest.mark.timeout(120)
@pytest.mark.own_valkey
def test_an_acl_that_denies_something_is_refused_by_name(own_stack: Any, client: httpx.Client, own_redis: Any) -> None:
    for rules, named in DENIED:
        own_redis.execute_command("ACL", "SETUSER", "default", "on", "nopass", "resetkeys", "+@all", *rules.split())
        own_redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until(lambda: client.get("/readyz").status_code == 503, f"{named} is not refused")
        until(
            lambda want=named: want in client.get("/readyz").text, f"{named} is not named: {client.get('/readyz').text}"
        )
        assert grant(client, "denied").status_code == 503
        own_redis.execute_command("ACL", "SETUSER", "default", "on", "nopass", "allkeys", "+@all")
        own_stack.wait_ready()
    assert grant(client, "denied").status_code == 201


@pytest.mark.timeout(120)
def test_a_persister_tells_its_lag(own_stack: Any, client: httpx.Client) -> None:
    assert grant(client, "g1").status_code == 201
    own_stack.kill("persist")
    port = free_port()
    own_stack.extra["LEADERBOARD_METRICS_PORT"] = str(port)
    own_stack.start("persist")
    own_stack.wait_flushed()

    def lag() -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics").text
        except httpx.TransportError:
            return ""

    until(lambda: 'leaderboard_persist_lag_entries{partition="0"} 0.0' in lag(), "no lag is told")


@pytest.mark.timeout(120)
def test_a_duplicate_beside_a_poison_entry_stops_nothing(own_stack: Any, client: httpx.Client, own_redis: Any) -> None:
    grant(client, "g1")
    own_stack.wait_flushed()
    p = partition(own_redis)
    own_stack.kill("persist")
    own_redis.delete(keys.dedup(p, 1))
    assert grant(client, "g1").json()["status"] == "applied"
    ((_, fields),) = own_redis.xrange(keys.log(p), count=1)
    poison = msgspec.structs.replace(unpack(fields[b"e"]), grant_id="g2", meta=rb'{"a":"\u0000"}')
    packed = msgspec.msgpack.encode(poison)
    own_redis.xadd(
        keys.log(p), {"d": b"z" * 16, "e": packed, "r": b"1795000000000000 15 10"}, id=log_place(own_redis, p, 3)
    )
    own_redis.hset(keys.meta(p), "seq", 3)
    own_stack.start("persist")
    with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        kinds = "SELECT kind FROM ledger WHERE partition = %s AND seq <= 3 ORDER BY seq"
        expected = [("grant",), ("duplicate",), ("tombstone",)]
        until(lambda: db.execute(kinds, (p,)).fetchall() == expected, "the partition does not go on")

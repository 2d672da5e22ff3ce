"""Drift: a persister notices by itself that a board is no longer what the ledger says, and nothing where it is."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import psycopg
import pytest
import structlog

from app.drivers.postgres import queries
from app.drivers.redis import RedisConnection
from app.embedded import free_port
from app.metrics import DRIFTING
from app.persist.drift import DriftCheck
from app.settings import read_settings
from app.store import keys
from app.store.namespace_cache import namespace_from_row
from tests.support.random_writers import Writers
from tests.support.sealed_namespace import DAY, Space
from tests.support.waits import until


class Watched:
    """A persister's metrics."""

    def __init__(self, port: int) -> None:
        self._port = port

    def value(self, name: str) -> float | None:
        try:
            text = httpx.get(f"http://127.0.0.1:{self._port}/metrics").text
        except httpx.TransportError:
            return None
        match = re.search(rf"^leaderboard_{name} (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else None

    @property
    def drifting(self) -> float | None:
        return self.value("drifting_namespaces")

    @property
    def checks(self) -> float:
        return self.value("drift_checks_total") or 0

    def look_again(self, rounds: int) -> None:
        """Waits until as many boards more were compared."""
        expected = self.checks + rounds
        until(lambda: self.checks >= expected, f"{self.checks} checks, {expected} are waited for")


@pytest.fixture(autouse=True)
def nothing_drifts() -> None:
    """The gauge is this process's: a search that another test ran here may have left its own figure."""
    DRIFTING.set(0)


@pytest.fixture
def watched(own_stack: Any) -> Watched:
    """The persister comes back with metrics."""
    port = free_port()
    own_stack.extra["LEADERBOARD_METRICS_PORT"] = str(port)
    own_stack.stop("persist")
    own_stack.start("persist")
    watched = Watched(port)
    until(lambda: watched.drifting == 0, "the persister does not come back")
    return watched


@pytest.fixture
def client(own_stack: Any) -> Iterator[httpx.Client]:
    with own_stack.client() as client:
        yield client


def fill(client: httpx.Client, name: str, **rules: Any) -> None:
    assert client.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    for i, user in enumerate(("ann", "bob", "cleo", "ann")):
        body = {"grant_id": f"g{i}", "user_id": user, "amount": i}
        assert client.post(f"/v1/namespaces/{name}/grants", json=body).status_code == 201


def partition(own_redis: Any, namespace_id: int) -> int:
    (key,) = own_redis.keys(f"lb:*:ns:{namespace_id}")
    return int(key.split(b"}")[0].split(b"{")[1])


@pytest.mark.long
@pytest.mark.timeout(120)
def test_drift_is_told_and_goes(own_stack: Any, client: httpx.Client, own_redis: Any, watched: Watched) -> None:
    """Of sums, of squares, and of users where there are no sums; who is hidden is in none of them."""
    fill(client, "sums")
    fill(client, "counts", statistics=False)
    assert client.post("/v1/users/bob/hide").status_code in (200, 204)
    watched.look_again(4)
    assert watched.drifting == 0
    space = keys.namespace(partition(own_redis, 1), 1)
    right = own_redis.hget(space, "t:all")
    assert right == b"5 13"
    for wrong in (b"6 13", b"5 14", b"no sums"):
        own_redis.hset(space, "t:all", wrong)
        until(lambda: watched.drifting == 1, "drift is not told")
        own_redis.hset(space, "t:all", right)
        until(lambda: watched.drifting == 0, "drift is told for ever")
    board = keys.board(partition(own_redis, 2), 2, "all")
    own_redis.zadd(board, {"bob": 1})
    until(lambda: watched.drifting == 1, "drift is not told")
    own_redis.zrem(board, "bob")
    until(lambda: watched.drifting == 0, "drift is told for ever")
    said = (own_stack.folder / "persist.log").read_text()
    named = [line for line in said.splitlines() if "differs from the ledger" in line]
    assert [bool(re.search(name, line)) for name, line in zip(["sums"] * 3 + ["counts"], named, strict=True)] == [
        True
    ] * 4


@pytest.mark.timeout(120)
def test_what_cannot_be_read_keeps_nobody_from_looking_elsewhere(
    own_stack: Any, client: httpx.Client, own_redis: Any, watched: Watched
) -> None:
    fill(client, "spoilt")
    fill(client, "other")
    spoilt, other = (keys.namespace(partition(own_redis, number), number) for number in (1, 2))
    version, right = own_redis.hget(spoilt, "v:all"), own_redis.hget(other, "t:all")
    own_redis.hset(spoilt, "v:all", "abc")

    def is_reported() -> bool:
        said = (own_stack.folder / "persist.log").read_text().splitlines()
        return any("cannot be read" in line and "spoilt" in line and "'abc'" in line for line in said)

    until(is_reported, "what cannot be read is not told")
    own_redis.hset(other, "t:all", "6 13")
    until(lambda: watched.drifting == 1, "drift is not told beside it")
    own_redis.hset(spoilt, "v:all", version)
    own_redis.hset(other, "t:all", right)
    until(lambda: watched.drifting == 0, "drift is told for ever")
    own_redis.hset(spoilt, "t:all", "9 9")
    until(lambda: watched.drifting == 1, "drift of what was put back is not told")
    named = [line for line in (own_stack.folder / "persist.log").read_text().splitlines() if "differs from" in line]
    assert ["other" in named[0], "spoilt" in named[-1]] == [True, True]


class Broken(dict[int, None]):
    """Leases that cannot be read the first time."""

    is_broken = True

    def __iter__(self) -> Iterator[int]:
        if self.is_broken:
            self.is_broken = False
            raise RuntimeError("for the first time")
        return super().__iter__()


@pytest.mark.timeout(60)
def test_whatever_ends_the_search_is_told_and_it_begins_anew(
    own_stack: Any, client: httpx.Client, own_redis: Any
) -> None:
    fill(client, "n")
    own_stack.wait_flushed()
    p = partition(own_redis, 1)
    own_stack.stop("persist")
    own_redis.hset(keys.namespace(p, 1), "t:all", "9 9")
    drift = DriftCheck(read_settings(own_stack.environment), Broken({p: None}))

    async def look() -> None:
        task = asyncio.create_task(drift.run())
        while DRIFTING._value.get() == 0:
            assert not task.done(), "it ended"
            await asyncio.sleep(0.05)
        task.cancel()

    with structlog.testing.capture_logs() as said:
        asyncio.run(look())
    drift.keep([])
    assert next(line["event"] for line in said if line["log_level"] == "error").startswith(
        "the search for drift broke off"
    )


@pytest.mark.timeout(60)
def test_a_namespace_that_is_deleted_meanwhile_is_not_told(
    own_stack: Any, client: httpx.Client, own_redis: Any
) -> None:
    """It stood in the list; by the time at which it is looked at, its boards are on their way out."""
    fill(client, "n")
    fill(client, "kept")
    own_stack.wait_flushed()
    own_stack.stop("persist")
    drift = DriftCheck(read_settings(own_stack.environment), dict.fromkeys(range(16)))

    async def look() -> None:
        link, connection = RedisConnection(own_stack.redis.url, []), await asyncpg.connect(own_stack.postgres.url)
        rows = await connection.fetch(queries()["get_namespaces_of_partitions"], list(range(16)))
        await connection.execute("UPDATE namespaces SET deleted_at = now() WHERE name = 'n'")
        for namespace in map(namespace_from_row, rows):
            own_redis.delete(keys.board(namespace.partition, namespace.id, "all"))
            await drift._look(connection, link, namespace)
        connection.terminate()
        await link.close()

    with structlog.testing.capture_logs() as said:
        asyncio.run(look())
    drift.keep([])
    assert [line["namespace"] for line in said if line["log_level"] == "error"] == ["kept"]


@pytest.mark.timeout(120)
def test_no_drift_is_reported_under_writes(own_stack: Any, watched: Watched) -> None:
    with Writers(own_stack):
        expected, deadline = watched.checks + 2, time.monotonic() + 90
        while watched.checks < expected:
            time.sleep(0.1)  # the persister has other things to do than to tell its metrics
            assert time.monotonic() < deadline, "boards that change all the time are not looked at"
            assert watched.drifting == 0, (own_stack.folder / "persist.log").read_text()[-2000:]
    assert "differs from the ledger" not in (own_stack.folder / "persist.log").read_text()


@pytest.mark.timeout(120)
def test_a_board_whose_users_are_being_hidden_waits(
    own_stack: Any, client: httpx.Client, own_redis: Any, watched: Watched
) -> None:
    """Postgres knows of the intent before Redis does. Until it is in effect everywhere, no drift is reported."""
    fill(client, "n")
    own_stack.wait_flushed()
    p = partition(own_redis, 1)
    watched.look_again(2)
    own_stack.stop("persist")
    with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        db.execute("INSERT INTO hidden_users (user_number, by_admin) SELECT number, true FROM users WHERE name = 'ann'")
        desired_state = (
            "INSERT INTO visibility_intents (user_number, name, version, desired_state, "
            "pending_partitions) SELECT number, name, 1, 'hide', %s FROM users"
        )
        db.execute(f"{desired_state} WHERE name = 'ann'", ([p],))
        drift = DriftCheck(read_settings({**own_stack.environment, "LEADERBOARD_CHORES_S": "0.1"}), {p: None})

        async def look() -> None:
            task = asyncio.create_task(drift.run())
            await asyncio.sleep(1)
            assert DRIFTING._value.get() == 0
            db.execute("UPDATE visibility_intents SET pending_partitions = '{}'")
            while DRIFTING._value.get() == 0:
                await asyncio.sleep(0.05)
            task.cancel()

        asyncio.run(look())


@pytest.mark.timeout(120)
def test_who_lost_a_partition_tells_nothing_of_it(
    own_stack: Any, client: httpx.Client, own_redis: Any, watched: Watched
) -> None:
    """Neither of drift nor of sealed windows that differ: the one who has it now does."""
    spaces = [Space(own_stack, client, f"n{number}") for number in range(6)]
    for space in spaces:
        assert space.grant("ann", 5).status_code == 201
    own_stack.wait_flushed()
    for space in spaces:
        p, ns = partition(own_redis, space.id), space.id
        own_redis.zadd(keys.board(p, ns, "all"), {"mallory": 9})
        own_redis.zadd(keys.board(p, ns, DAY), {"mallory": 9})
        space.put(accept_past="P7D")
    names_of_metrics = ("drifting_namespaces", "seals_differing")
    until(lambda: [watched.value(name) for name in names_of_metrics] == [6, 6], "not told at all")
    environment = own_stack.environment | {"LEADERBOARD_METRICS_PORT": str(free_port())}
    other = Watched(int(environment["LEADERBOARD_METRICS_PORT"]))
    process = subprocess.Popen([sys.executable, "-m", "app", "persist"], env={**os.environ, **environment})
    try:
        for name in names_of_metrics:
            until(lambda: 0 < (other.value(name) or 0) < 6, f"{name} does not move")  # noqa: B023
            until(lambda: sum(one.value(name) or 0 for one in (watched, other)) == 6, f"{name} is told twice")  # noqa: B023
    finally:
        process.terminate()
        process.wait()
    until(lambda: [watched.value(name) for name in names_of_metrics] == [6, 6], "not told by who is left")

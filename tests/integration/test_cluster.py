"""The whole system on a cluster and behind Sentinels: writes, reads, live, verify; nodes that die, slots that move."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from app.embedded import ValkeyProcess
from app.store import keys
from tests.conftest import Stack
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey
from tests.support.steady_writers import SteadyWriters

NAMES = [f"n{i}" for i in range(12)]


@contextmanager
def stack_on(folder: Path, redis: ValkeyCluster | WatchedValkey) -> Iterator[Stack]:
    """All parts, beside several nodes of Redis, with some namespaces."""
    folder.chmod(0o755)
    stack = Stack(folder, postgres_options={"fsync": "off"}, redis=redis)
    stack.extra["LEADERBOARD_CHORES_S"] = "0.5"
    try:
        stack.up()
        with stack.client() as client:
            for name in NAMES:
                assert client.put(f"/v1/namespaces/{name}", json={}).status_code == 201
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, ValkeyCluster]]:
    folder = tmp_path_factory.mktemp("on-cluster")
    redis = ValkeyCluster(folder / "cluster")
    with stack_on(folder, redis) as stack:
        yield stack, redis


def namespaces_of(stack: Stack, redis: ValkeyCluster, node: ValkeyProcess) -> list[str]:
    """Those whose partition a node has."""
    with psycopg.connect(stack.postgres.url) as db:
        rows = db.execute("SELECT name, partition FROM namespaces").fetchall()
    owners = {p: redis.owner(p) for p in {p for _, p in rows}}
    return sorted(name for name, p in rows if owners[p] is node)


def total(client: httpx.Client, name: str) -> int:
    """What the user has whom the writers grant to."""
    entries = client.get(f"/v1/namespaces/{name}/boards/all").json()["entries"]
    return int(entries[0]["score"]) if entries else 0


def assert_verified(stack: Stack) -> None:
    stack.wait_flushed(counted=False)
    done = stack.run("verify")
    assert (done.returncode, done.stdout.startswith("ok: ")) == (0, True), done.stdout + done.stderr


def test_a_partition_that_moves_refuses_nothing(cluster: tuple[Stack, ValkeyCluster]) -> None:
    stack, redis = cluster
    first, second, _ = redis.nodes[: redis.masters]
    with stack.client() as client, SteadyWriters(stack, NAMES) as writers:
        writers.more(3)
        with psycopg.connect(stack.postgres.url) as db:
            rows = db.execute("SELECT DISTINCT partition FROM namespaces").fetchall()
        moving = next(p for (p,) in rows if redis.owner(p) is first)
        redis.move(moving, second)
        writers.more(3)
        assert all(total(client, name) >= 6 for name in NAMES)
    assert {writer.namespace: writer.refusals for writer in writers.all if writer.refusals} == {}
    assert_verified(stack)
    with stack.client() as client:
        assert [total(client, name) for name in NAMES] == [writer.acknowledged for writer in writers.all]


def test_a_dead_master_stalls_its_own_namespaces_and_loses_none_of_their_grants(
    cluster: tuple[Stack, ValkeyCluster],
) -> None:
    stack, redis = cluster
    dead = redis.nodes[2]
    its_own = namespaces_of(stack, redis, dead)
    assert its_own
    assert len(its_own) < len(NAMES)
    with stack.client() as client:
        before = {name: total(client, name) for name in NAMES}
    with SteadyWriters(stack, NAMES) as writers:
        others = [writer for writer in writers.all if writer.namespace not in its_own]
        writers.more(3)
        dead.kill()
        with stack.client() as client:
            for writer in others:
                writer.more(3)
                assert total(client, writer.namespace) > before[writer.namespace]
            writers.more(3)
    assert {writer.namespace: writer.refusals for writer in others if writer.refusals} == {}
    dead.start()
    redis.wait_ready()
    stack.wait_ready()
    assert_verified(stack)
    with stack.client() as client:
        after = {name: total(client, name) - before[name] for name in NAMES}
    assert after == {writer.namespace: writer.acknowledged for writer in writers.all}


@pytest.mark.full
def test_no_grant_and_no_read_needs_the_node_of_keys_rules_or_profiles(tmp_path: Path) -> None:
    """What a deployment has once lies on one node. While that is away, also a server that has just started knows it."""
    redis = ValkeyCluster(tmp_path / "cluster", replicas=False)
    with stack_on(tmp_path, redis) as stack, stack.client() as client:
        grant = {"user_id": "otter", "amount": 1}
        for name in NAMES:
            assert client.post(f"/v1/namespaces/{name}/grants", json={"grant_id": "0", **grant}).status_code == 201
        assert client.put("/v1/users/otter", json={"display_name": "Otter"}).status_code == 200
        key = stack.new_key("write:*", "read:*")
        for once in (keys.DEPLOYMENT, keys.DIRECTORY, keys.API_KEYS):
            dead = redis.owner_of(once)
            others = [name for name in NAMES if name not in namespaces_of(stack, redis, dead)]
            dead.kill()
            stack.restart_unready()
            with stack.client(key) as user:
                for name in others:
                    sent = user.post(f"/v1/namespaces/{name}/grants", json={"grant_id": once, **grant})
                    assert sent.status_code == 201, sent.text
                    (entry,) = user.get(f"/v1/namespaces/{name}/boards/all").json()["entries"]
                    assert entry["user_id"] == "otter"
                    # Names are known as soon as their counter is, whose node may be the one that is away.
                    assert entry["display_name"] == "Otter" or once == keys.DEPLOYMENT
            dead.start()
            redis.wait_ready()
            stack.wait_ready()
        assert_verified(stack)


def test_writes_go_on_at_the_replica_that_sentinels_promote(tmp_path: Path) -> None:
    redis = WatchedValkey(tmp_path / "watched")
    with stack_on(tmp_path, redis) as stack:
        former = redis.primary()
        with SteadyWriters(stack, NAMES[:4]) as writers:
            writers.more(3)
            former.kill()
            redis.wait_failover(former)
            writers.more(3)
        # The old primary comes back as a replica, and nobody writes to it.
        former.start()
        redis.wait_followed()
        with SteadyWriters(stack, NAMES[4:8]) as later:
            later.more(3)
        assert_verified(stack)
        with stack.client() as client:
            scores = [total(client, name) for name in NAMES[:8]]
        assert scores == [writer.acknowledged for writer in (*writers.all, *later.all)]

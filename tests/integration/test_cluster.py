"""The whole system on a cluster and behind Sentinels: writes, reads, live, verify; nodes that die, slots that move."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
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

pytestmark = pytest.mark.own_valkey

NAMES = [f"n{i}" for i in range(12)]


@contextmanager
def stack_on(
    folder: Path, redis: ValkeyCluster | WatchedValkey, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """All parts, beside several nodes of Redis, with some namespaces."""
    folder.chmod(0o755)
    stack = Stack(folder, postgres_options={"fsync": "off"}, redis=redis)
    stack.extra |= {"LEADERBOARD_CHORES_S": "0.5"} | dict(settings or {})
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
        revoked = ""
        for once in (keys.DEPLOYMENT, keys.DIRECTORY, keys.API_KEYS, keys.PROFILES):
            dead = redis.owner_of(once)
            others = [name for name in NAMES if name not in namespaces_of(stack, redis, dead)]
            another = stack.new_key("write:*")
            dead.kill()
            if revoked:
                stack.restart_unready()
            with stack.client(key) as user:
                for name in others:
                    sent = user.post(f"/v1/namespaces/{name}/grants", json={"grant_id": once, **grant})
                    assert sent.status_code == 201, sent.text
                    entries = user.get(f"/v1/namespaces/{name}/boards/all").json()["entries"]
                    assert {one["user_id"]: one["display_name"] for one in entries}["otter"] == "Otter"
                assert_all_hear(stack, others, another)
            revoked = another
            dead.start()
            redis.wait_ready()
            stack.wait_ready()
            # What its node was not told it is told before it is used.
            stack.restart()
            with stack.client(revoked) as former:
                again = {"grant_id": f"{once}-again", **grant}
                assert {former.post(f"/v1/namespaces/{name}/grants", json=again).status_code for name in NAMES} == {401}
        assert_verified(stack)


def assert_all_hear(stack: Stack, others: list[str], key: str) -> None:
    """While a node is away, the namespaces of others hear of a revoked key, a frozen namespace and a changed name."""
    grant = {"grant_id": key, "user_id": "seal", "amount": 1}
    first, *_ = others
    with stack.client(key) as user, stack.client() as admin:
        assert user.post(f"/v1/namespaces/{first}/grants", json=grant).status_code == 201
        revoked = stack.run("keys", "revoke", key.split("_")[1])
        assert revoked.returncode == 0, revoked.stderr
        # A server without reads asks each second.
        assert admin.get(f"/v1/namespaces/{first}/boards/all").status_code == 200
        assert user.post(f"/v1/namespaces/{first}/grants", json=grant).status_code == 401
        for rules, status in (({"mode": "frozen"}, 409), ({}, 201)):
            assert admin.put(f"/v1/namespaces/{first}", json=rules).status_code == 200
            answer = admin.post(f"/v1/namespaces/{first}/grants", json=grant | {"grant_id": f"{key} {status}"})
            assert answer.status_code == status, answer.text
        for name in ("Seal", "Otter"):
            assert admin.put("/v1/users/otter", json={"display_name": name}).status_code == 200
            for other in others:
                entries = admin.get(f"/v1/namespaces/{other}/boards/all").json()["entries"]
                assert {entry["display_name"] for entry in entries if entry["user_id"] == "otter"} == {name}


@pytest.mark.full
def test_a_node_that_did_not_answer_is_told_before_it_is_read_again(tmp_path: Path) -> None:
    """It lost nothing and no replica took its place: all that it lacks is what the others were told meanwhile."""
    redis = ValkeyCluster(tmp_path / "cluster", replicas=False)
    with stack_on(tmp_path, redis) as stack, stack.client() as client:
        silent = redis.owner_of(keys.API_KEYS)
        key = stack.new_key("write:*", "read:*")
        its_own = namespaces_of(stack, redis, silent)
        other = next(name for name in NAMES if name not in its_own)
        paths = [f"/v1/namespaces/{name}/boards/all" for name in (its_own[0], other)]
        with stack.client(key) as user:
            assert [user.get(path).status_code for path in paths] == [200, 200]
            os.kill(silent.pid, signal.SIGSTOP)
            try:
                assert client.get(paths[0]).status_code == 503
                assert stack.run("keys", "revoke", key.split("_")[1]).returncode == 0
                assert client.get(paths[1]).status_code == 200
            finally:
                os.kill(silent.pid, signal.SIGCONT)
            answers = set()
            deadline = time.monotonic() + 30
            while 401 not in answers and time.monotonic() < deadline:
                answers.add(user.get(paths[0]).status_code)
            assert answers <= {401, 503}, answers
            assert 401 in answers


@pytest.mark.long
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

"""`recover` and `rebuild` on several nodes: what a promoted replica or an emptied folder lost comes back."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from app.embedded import ValkeyProcess
from app.store import keys
from tests.conftest import Stack
from tests.integration.test_cluster import NAMES, assert_verified, stack_on
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey, ask

pytestmark = [pytest.mark.own_valkey, pytest.mark.full, pytest.mark.timeout(240)]

Nodes = ValkeyCluster | WatchedValkey
USERS = [f"u{n}" for n in range(8)]


def play(stack: Stack, client: Any, seed: str) -> None:
    """Grants in each namespace, and, once the ledger has them, an edit and a void."""
    chance = Random(seed)
    paths = [f"/v1/namespaces/{name}/grants" for name in NAMES]
    for path in paths:
        for n in range(20):
            body = {"grant_id": f"{seed}-{n}", "user_id": chance.choice(USERS), "amount": chance.randrange(1, 9)}
            assert client.post(path, json=body).status_code == 201
    stack.wait_flushed(counted=False)
    for path in paths:
        edit = {"amount": 11, "reason": "typing error", "revision": 1}
        assert client.patch(f"{path}/{seed}-3", json=edit).status_code == 200
        assert client.delete(f"{path}/{seed}-5").status_code == 200


def boards(client: Any) -> dict[str, list[Any]]:
    """What is shown of each namespace."""
    return {name: client.get(f"/v1/namespaces/{name}/boards/all?limit=100").json()["entries"] for name in NAMES}


def cut_replica(primary: ValkeyProcess) -> None:
    """Its replica hears of nothing any more."""
    ask(primary.port, "ACL", "SETUSER", "default", "-psync", "-sync")
    ask(primary.port, "CLIENT", "KILL", "TYPE", "replica")


def primary_of(redis: Nodes) -> ValkeyProcess:
    return redis.owner_of(keys.DEPLOYMENT) if isinstance(redis, ValkeyCluster) else redis.primary()


def wait_promoted(redis: Nodes, former: ValkeyProcess, p: int) -> None:
    if isinstance(redis, ValkeyCluster):
        redis.wait_failover(p, former)
    else:
        redis.wait_failover(former)


def wait_settled(redis: Nodes) -> None:
    """Waits until the former primary follows."""
    if isinstance(redis, ValkeyCluster):
        redis.wait_ready()
    else:
        redis.wait_followed()


def its_partitions(redis: Nodes, node: ValkeyProcess) -> list[int]:
    return redis.partitions_of(node, 16) if isinstance(redis, ValkeyCluster) else list(range(16))


def partitions_of(stack: Stack) -> dict[str, int]:
    with psycopg.connect(stack.postgres.url) as db:
        return dict(db.execute("SELECT name, partition FROM namespaces").fetchall())


def wait_closed(client: Any) -> None:
    """Waits until /readyz names the command."""
    text, deadline = "", time.monotonic() + 30
    while "run leaderboard re" not in text:
        assert time.monotonic() < deadline, text
        text = client.get("/readyz").text
        time.sleep(0.05)


@pytest.fixture(params=[ValkeyCluster, WatchedValkey], ids=["cluster", "sentinels"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stack, Nodes]]:
    kind: Callable[[Path], Nodes] = request.param
    redis = kind(tmp_path / "nodes")
    with stack_on(tmp_path, redis) as stack:
        yield stack, redis


def test_what_a_promoted_replica_lacks_comes_back(nodes: tuple[Stack, Nodes]) -> None:
    stack, redis = nodes
    with stack.client() as client:
        play(stack, client, "before")
        assert client.post("/v1/users/u1/hide").status_code in (200, 202)
        former = primary_of(redis)
        lost = its_partitions(redis, former)
        cut_replica(former)
        play(stack, client, "behind")
        assert client.post("/v1/users/u1/unhide").status_code in (200, 202)
        assert client.post("/v1/users/u2/hide").status_code in (200, 202)
        stack.wait_flushed(counted=False)
        before = boards(client)
        former.kill()
        wait_promoted(redis, former, lost[0])
        wait_closed(client)
        own = {name for name, p in partitions_of(stack).items() if p in lost}
        answers = {name: client.get(f"/v1/namespaces/{name}/boards/all") for name in NAMES}
        assert all(answers[name].json()["code"] == "recovering" for name in own)
        assert {name: answers[name].json()["entries"] for name in NAMES if name not in own} == {
            name: entries for name, entries in before.items() if name not in own
        }
        done = stack.run("recover", "--quiet")
        assert (done.returncode, done.stderr) == (0, "")
        assert "brought back" in done.stdout
        assert "written anew" not in done.stdout
        stack.wait_ready()
        assert boards(client) == before
        # Who was the primary has a longer log of its own: it follows, and nothing of that comes back.
        former.start()
        wait_settled(redis)
        play(stack, client, "after")
        assert_verified(stack)


def test_a_primary_whose_folder_was_emptied_is_written_anew(nodes: tuple[Stack, Nodes]) -> None:
    """It comes back with nothing before anybody took its place, and its replica copies that."""
    stack, redis = nodes
    with stack.client() as client:
        play(stack, client, "before")
        assert client.post("/v1/users/u1/hide").status_code in (200, 202)
        stack.wait_flushed(counted=False)
        before = boards(client)
        primary = primary_of(redis)
        lost = its_partitions(redis, primary)
        empty(redis, primary)
        wait_closed(client)
        done = stack.run("rebuild", "--quiet", *([] if len(lost) == 16 else ["--partition", str(lost[0])]))
        assert (done.returncode, done.stderr) == (0, "")
        for p in lost[1:] if len(lost) < 16 else []:
            again = stack.run("rebuild", "--quiet", "--partition", str(p))
            assert (again.returncode, again.stderr) == (0, "")
        stack.wait_ready()
        assert boards(client) == before
        play(stack, client, "after")
        assert_verified(stack)


def empty(redis: Nodes, primary: ValkeyProcess) -> None:
    """Its append-only files are gone, and its replica has the same nothing. What it knows of the other nodes stays."""
    primary.kill()
    shutil.rmtree(primary.data / "appendonlydir")
    primary.start()
    wait_settled(redis)

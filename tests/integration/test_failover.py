"""A master of a cluster that dies or hangs: what the others feel of it, and what its replica holds."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

import pytest

from app.embedded import ValkeyProcess
from tests.integration.test_cluster import NAMES, assert_verified, namespaces_of, stack_on, total
from tests.support.redis_topologies import ValkeyCluster
from tests.support.steady_writers import SteadyWriter, SteadyWriters

pytestmark = [pytest.mark.own_valkey, pytest.mark.full]

#: Seconds of writing before the fault, to compare with.
CALM_S = 8.0
#: How much slower the others may become meanwhile, and what a busy machine adds by itself.
SLOWER_MAX, NOISE_S = 2.0, 0.02
#: Seconds that the stalled namespaces may need behind the failover: their servers learn of it, and send again.
BEHIND_S_MAX = 1.5


@contextmanager
def fault(node: ValkeyProcess, how: str) -> Iterator[None]:
    """A node is killed, or stopped; it is back at the end."""
    if how == "killed":
        node.kill()
    else:
        os.kill(node.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if how == "killed":
            node.start()
        else:
            os.kill(node.pid, signal.SIGCONT)


def p99_ms(writers: list[SteadyWriter], since: float, until: float) -> float:
    seconds = [took for writer in writers for at, took in writer.answers if since <= at <= until]
    return quantiles(seconds, n=100)[98] * 1000


def first_answer(writer: SteadyWriter, since: float) -> float:
    """When the first grant counted that was sent behind a moment."""
    return next(at for at, took in writer.answers if at - took >= since)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_the_others_are_not_slowed_down_and_its_own_wait_for_the_failover_alone(tmp_path: Path, how: str) -> None:
    redis = ValkeyCluster(tmp_path / "cluster")
    with stack_on(tmp_path, redis) as stack:
        dead = redis.nodes[2]
        its_own = namespaces_of(stack, redis, dead)
        lost = redis.partitions_of(dead, 16)[0]
        with SteadyWriters(stack, NAMES) as writers:
            stalled = [writer for writer in writers.all if writer.namespace in its_own]
            others = [writer for writer in writers.all if writer.namespace not in its_own]
            writers.more(3)
            begin = time.monotonic()
            time.sleep(CALM_S)
            fell = time.monotonic()
            with fault(dead, how):
                redis.wait_failover(lost, dead)
                failover_s = time.monotonic() - fell
                for writer in stalled:
                    writer.more(2)
                back = time.monotonic()
        calm, meanwhile = p99_ms(others, begin, fell), p99_ms(others, fell, back)
        stall_s = max(max(took for at, took in writer.answers if at >= fell) for writer in stalled)
        print(
            f"{how}: failover {failover_s:.2f} s, its own answered {back - fell - failover_s:.2f} s behind it (longest "
            f"request {stall_s:.2f} s); others' p99 {calm:.1f} ms before, {meanwhile:.1f} ms meanwhile, "
            f"ratio {meanwhile / calm:.2f}"
        )
        assert {writer.namespace: writer.refusals for writer in others if writer.refusals} == {}
        assert meanwhile <= SLOWER_MAX * calm + NOISE_S * 1000
        assert back - fell <= failover_s + BEHIND_S_MAX
        redis.wait_ready()
        stack.wait_ready()
        assert_verified(stack)
        with stack.client() as client:
            assert [total(client, name) for name in NAMES] == [writer.acknowledged for writer in writers.all]


def test_what_a_replica_of_its_node_holds_outlives_the_node(tmp_path: Path) -> None:
    """`?ack=replica` waits for a replica of the node that has the partition, and for no other."""
    redis = ValkeyCluster(tmp_path / "cluster")
    with stack_on(tmp_path, redis) as stack, stack.client() as client:
        stack.stop("serve")
        stack.extra["LEADERBOARD_ACK_WAIT_S"] = "2"
        stack.start("serve")
        master, replica = redis.nodes[0], redis.nodes[redis.masters]
        its_own = namespaces_of(stack, redis, master)
        grant = {"grant_id": "alone", "user_id": "seal", "amount": 1}
        with fault(replica, "stopped"):
            for name in NAMES:
                answer = client.post(f"/v1/namespaces/{name}/grants?ack=replica", json=grant)
                assert answer.status_code == (503 if name in its_own else 201), answer.text
        redis.wait_ready()
        lost = redis.partitions_of(master, 16)[0]
        with SteadyWriters(stack, its_own, "?ack=replica") as writers:
            writers.more(5)
            with fault(master, "killed"):
                redis.wait_failover(lost, master)
            # The promoted one has a replica once the old master is back.
            redis.wait_ready()
            writers.more(5)
        stack.wait_ready()
        assert_verified(stack)
        with stack.client() as again:
            entries = {
                name: {entry["user_id"]: entry["score"] for entry in again.get(path).json()["entries"]}
                for name, path in ((name, f"/v1/namespaces/{name}/boards/all") for name in its_own)
            }
        assert entries == {writer.namespace: {"otter": writer.acknowledged, "seal": 1} for writer in writers.all}

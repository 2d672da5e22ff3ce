"""A cluster with a hole: a master and its replica are gone. Only what they held waits, and says why."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.model.partition_lines import partitions_text
from app.store import keys
from tests.integration.test_cluster import NAMES, assert_verified, namespaces_of, stack_on
from tests.support.redis_topologies import ValkeyCluster
from tests.support.waits import until

pytestmark = [pytest.mark.own_valkey, pytest.mark.full]


def give(client: Any, grant_id: str) -> dict[str, Any]:
    """The answers to a grant in each namespace."""
    grant = {"grant_id": grant_id, "user_id": "otter", "amount": 1}
    return {name: client.post(f"/v1/namespaces/{name}/grants", json=grant) for name in NAMES}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("is_home", [False, True], ids=["another node", "the node of the deployment's keys"])
def test_only_what_the_lost_nodes_held_waits(tmp_path: Path, is_home: bool) -> None:
    redis = ValkeyCluster(tmp_path / "cluster")
    with stack_on(tmp_path, redis) as stack, stack.client() as client:
        home = redis.owner_of(keys.DEPLOYMENT)
        dead = next(node for node in redis.nodes[: redis.masters] if (node is home) is is_home)
        replica = redis.nodes[redis.nodes.index(dead) + redis.masters]
        here = next(node for node in redis.nodes[: redis.masters] if node is not dead)
        lost, whole = redis.partitions_of(dead, 16), redis.partitions_of(here, 16)
        its_own = namespaces_of(stack, redis, dead)
        others = [name for name in NAMES if name not in its_own]
        assert {answer.status_code for answer in give(client, "1").values()} == {201}
        stack.wait_flushed(counted=False)
        replica.kill()
        dead.kill()
        silence = f"Redis does not answer at 127.0.0.1:{dead.port}"

        def others_are_served(grant_id: str) -> None:
            for name, answer in give(client, grant_id).items():
                assert answer.status_code == (503 if name in its_own else 201), answer.text
                assert name in others or silence in answer.json()["detail"]
                board = client.get(f"/v1/namespaces/{name}/boards/all")
                assert board.status_code == (503 if name in its_own else 200), board.text
            sql = "SELECT count(*) FROM ledger WHERE grant_id = %s"
            with psycopg.connect(stack.postgres.url, autocommit=True) as db:
                until(
                    lambda: db.execute(sql, (grant_id,)).fetchone() == (len(others),), "the others are not recorded", 20
                )

        others_are_served("2")
        lines = client.get("/readyz").json()["degraded"]
        assert any(line.startswith(f"{partitions_text(lost)}: {silence}") for line in lines), lines

        def findings(code: int, *words: str) -> str:
            done = stack.run(*words)
            assert done.returncode == code, (words, done.stdout, done.stderr)
            return str(done.stdout + done.stderr)

        for command in ("verify", "checkconfig"):
            text = findings(1, command)
            assert f"{partitions_text(lost)}: {silence}" in text, "one line tells all of them"
        text = findings(1, "recover")
        assert all(f"partition {p}: {silence}" in text for p in lost), text
        assert f"partition {whole[0]}:" not in text
        assert f"ready: 16 partitions\nnote: {silence}" in findings(0, "migrate")
        assert findings(0, "verify", "--namespace", others[0]).startswith("ok: ")
        findings(0, "recover", "--partition", str(whole[0]))
        rebuilt = findings(1, "rebuild", "--quiet")
        assert all(f"partition {p}: {silence}" in rebuilt for p in lost), rebuilt
        assert all(f"partition {p}: " in rebuilt and "it goes on behind" in rebuilt for p in whole)
        findings(0, "repair", "--namespace", others[0])
        # Who begins now knows of the hole from the start.
        stack.stop("persist")
        stack.start("persist")
        stack.restart_unready()
        others_are_served("3")
        for node in (dead, replica):
            node.start()
        redis.wait_ready()
        stack.wait_ready()
        assert {answer.status_code for answer in give(client, "4").values()} == {201}
        assert_verified(stack)

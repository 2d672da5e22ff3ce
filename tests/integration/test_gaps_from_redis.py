"""`rebuild --from-redis`: all partitions and namespaces that lost rows, and what came and went in a gap."""

from typing import Any

import httpx
import pytest

from tests.integration.test_from_redis import lose_log, wait_closed
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres


def grant(api: httpx.Client, name: str, user: str, grant_id: str) -> None:
    body = {"grant_id": grant_id, "user_id": user, "amount": 1}
    answer = api.post(f"/v1/namespaces/{name}/grants", json=body)
    assert answer.status_code == 201, answer.text


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

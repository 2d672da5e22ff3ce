"""A namespace that changes all the time costs the readers of others nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

OTHERS = 30
CHANGES = 40


@pytest.fixture
def direct(live_server: Any) -> Any:
    with redis.Redis.from_url(live_server.valkey.url) as held:
        yield held


def lookups(direct: Any) -> int:
    """How often a single field of a hash was asked for: namespaces and keys are."""
    return int(direct.info("commandstats").get("cmdstat_hget", {"calls": 0})["calls"])


def test_changes_of_one_namespace_make_nobody_look_up_another(
    live_server: Any, api: httpx.Client, names: Any, direct: Any
) -> None:
    busy, others = names.fresh(), [names.fresh() for _ in range(OTHERS)]
    for space in (busy, *others):
        assert api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).status_code == 201
    boards = [f"/v1/namespaces/{space}/boards/all" for space in others]
    with live_server.client(None) as anybody, ThreadPoolExecutor(4) as pool:

        def read() -> None:
            assert {answer.status_code for answer in pool.map(anybody.get, boards)} == {200}

        read()
        read()
        before = lookups(direct)
        for i in range(CHANGES):
            rules = {"visibility": "public", "display_name": f"change {i}"}
            assert api.put(f"/v1/namespaces/{busy}", json=rules).status_code == 200
            read()
        # Each change takes a few look-ups of its own; the boards of the others would take 1,200.
        assert lookups(direct) - before < CHANGES * OTHERS / 3

"""A Redis whose memory or disk is full says so by name, drains, and takes grants again by itself."""

import re
import shutil
from pathlib import Path

import pytest
import redis

from app.embedded.valkey import valkey_binary
from app.store import keys
from tests.support.full_store import (
    fill_disk,
    fill_memory,
    fill_until_refused,
    free_disk,
    grant,
    grants,
    score,
    small_disk,
    stack_with,
)
from tests.support.waits import until

#: Every kind of Redis that this machine has.
BINARIES = {name: path for name, path in (("valkey", valkey_binary()), ("redis", shutil.which("redis-server"))) if path}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("binary", BINARIES.values(), ids=BINARIES)
def test_a_redis_at_maxmemory_drains_and_goes_on_by_itself(tmp_path: Path, binary: str) -> None:
    """Nothing is deleted and no bound is raised: what the ledger has leaves the log before its time. That is 2 MB."""
    with (
        stack_with(tmp_path, Path(binary)) as stack,
        stack.client() as client,
        redis.Redis.from_url(stack.valkey.url) as direct,
    ):
        assert [grants(client, name, 500) for name in "abcd"] == [500] * 4
        stack.wait_flushed()
        stack.stop("persist")
        assert grant(client, "waits").status_code == 201
        maxmemory = fill_memory(stack)

        refused = grant(client, "refused")
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        by_name = r"Redis is full: it uses \d+\.\d MiB, its maxmemory is \d+\.\d MiB; raise maxmemory"
        assert re.search(by_name, refused.json()["detail"])
        ready = client.get("/readyz")
        assert ready.status_code == 503
        # Partitions that are asked at other moments tell other numbers.
        lines = [line for line in ready.json()["degraded"] if "its maxmemory is" in line]
        assert lines
        assert all(line.startswith("partition") for line in lines), lines

        stack.start("persist")
        until(lambda: grant(client, "goes on").status_code == 201, "a full Redis is not drained")
        until(lambda: client.get("/readyz").status_code == 200, "readiness does not come back")
        assert int(direct.config_get("maxmemory")["maxmemory"]) == maxmemory
        stack.wait_flushed()
        assert score(client) == 2002
        assert sum(direct.xlen(keys.log(p)) for p in range(16)) < 500
        assert stack.run("verify").returncode == 0


@pytest.mark.timeout(120)
def test_a_redis_whose_disk_is_full_says_so_and_goes_on_by_itself(tmp_path: Path) -> None:
    """Redis writes its file once a second here, so it stays, and refuses writes itself."""
    with stack_with(tmp_path, small_disk(tmp_path), appendfsync="everysec") as stack, stack.client() as client:
        fill_disk(stack)
        count, refused = fill_until_refused(client)
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert "MISCONF Errors writing to the AOF file" in refused.json()["detail"]
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert any("AOF" in line for line in ready.json()["degraded"])
        free_disk(stack)
        until(lambda: grant(client, "more").status_code == 201, "Redis does not go on")
        assert score(client) == count + 1
        stack.wait_flushed()


@pytest.mark.timeout(120)
def test_a_redis_that_ends_on_a_full_disk_has_lost_nothing_when_it_is_back(tmp_path: Path) -> None:
    """Where each write is on disk before its answer, Redis ends rather than answer for what is not there."""
    with stack_with(tmp_path, small_disk(tmp_path)) as stack, stack.client() as client:
        assert grant(client, "first").status_code == 201
        fill_disk(stack)
        count, refused = fill_until_refused(client)
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        until(lambda: stack.valkey.returncode is not None, "Redis goes on without its file")
        assert any("Redis does not answer" in line for line in client.get("/readyz").json()["degraded"])
        stack.start("redis")
        until(lambda: grant(client, "more").status_code == 201, "grants do not go on")
        assert score(client) in (count + 2, count + 3), "the refused one may have counted"
        stack.wait_flushed()
        assert stack.run("verify").returncode == 0

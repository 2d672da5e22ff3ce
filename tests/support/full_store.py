"""A system whose stores are filled: a Redis with little memory or little disk, a Postgres with little disk."""

import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from app.embedded import ValkeyProcess, free_port
from app.embedded.valkey import valkey_binary
from tests.conftest import Stack
from tests.support.template import THROWAWAY

META = {"lap": "x" * 900}
#: Bytes that a full Redis lacks.
LACKING_BYTES = 200_000


def grant(client: httpx.Client, grant_id: str) -> httpx.Response:
    """One grant of 1 to one user, with nearly a KB of meta."""
    body = {"grant_id": grant_id, "user_id": "otter", "amount": 1, "meta": META}
    return client.post("/v1/namespaces/race/grants", json=body)


def grants(client: httpx.Client, name: str, count: int) -> int:
    """Many such grants in one request: how many counted."""
    batch = [{"grant_id": f"{name}{i}", "user_id": "otter", "amount": 1, "meta": META} for i in range(count)]
    answer = client.post("/v1/namespaces/race/grants", json=batch)
    return int(answer.json()["applied"]) if answer.status_code == 200 else 0


def score(client: httpx.Client) -> Any:
    """The user's score."""
    return client.get("/v1/namespaces/race/boards/all").json()["entries"][0]["score"]


@contextmanager
def stack_with(folder: Path, binary: Path, **options: str) -> Iterator[Stack]:
    """A system of its own on a build of Redis, with one namespace."""
    stack = Stack(folder, None, THROWAWAY)
    stack.valkey = stack.redis = ValkeyProcess(folder, free_port(), binary=binary, options=options)
    stack.extra |= {"LEADERBOARD_CHORES_S": "0.5", "LEADERBOARD_REDIS_DURABILITY": options.get("appendfsync", "always")}
    try:
        stack.up()
        with stack.client() as client:
            assert client.put("/v1/namespaces/race", json={"accept_past": None}).status_code == 201
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def fill_memory(stack: Stack) -> int:
    """A maxmemory that is less than what Redis uses: its bytes."""
    with redis.Redis.from_url(stack.valkey.url) as direct:
        maxmemory = int(direct.info("memory")["used_memory"]) - LACKING_BYTES
        direct.config_set("maxmemory", maxmemory)
    return maxmemory


def small_disk(folder: Path) -> Path:
    """Valkey for whom a file that is too large is an error, as on a full disk, and no signal that ends it."""
    script = folder / "valkey.sh"
    script.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {valkey_binary()} \"$@\"\n")
    script.chmod(0o755)
    return script


def fill_disk(stack: Stack) -> None:
    """The append-only file may grow by some bytes more, and no further."""
    (file,) = (stack.valkey.data / "appendonlydir").glob("*.incr.aof")
    limit = file.stat().st_size + 100
    assert stack.valkey.pid, "0 would be this process"
    resource.prlimit(stack.valkey.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def free_disk(stack: Stack) -> None:
    """There is room again."""
    resource.prlimit(stack.valkey.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def fill_until_refused(client: httpx.Client) -> tuple[int, httpx.Response]:
    """How many grants counted, and the refusal of the next."""
    for i in range(200):
        answer = grant(client, f"g{i}")
        if answer.status_code != 201:
            return i, answer
        time.sleep(0.01)
    raise AssertionError("the disk is not full")

"""Reads of a sealed window against the same reads of an open one: 100,000 users each, over HTTP, in one run."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from tests.conftest import Stack

USERS = 100_000
OLD = datetime.now(UTC) - timedelta(days=70)
DAY = f"{OLD:%Y-%m-%d}"
RULES: dict[str, Any] = {"periods": ["all", "day"], "accept_past": None}
Load = Callable[[int, str, str, int, int], float]


def fill(stack: Stack, name: str) -> None:
    """A namespace whose old day has an entry of every user."""
    with stack.client() as client:
        client.put(f"/v1/namespaces/{name}", json=RULES).raise_for_status()
        for first in range(0, USERS, 1000):
            grants = [
                {"grant_id": f"g{i}", "user_id": f"user-{i}", "amount": i * 7919 % 5000, "granted_at": OLD.isoformat()}
                for i in range(first, first + 1000)
            ]
            client.post(f"/v1/namespaces/{name}/grants", json=grants).raise_for_status()


def seal(stack: Stack, name: str) -> float:
    """Seconds until the old day's board has left Redis; that of the other namespace stays."""
    stack.wait_flushed(60)
    started = time.perf_counter()
    with stack.client() as client:
        client.put(f"/v1/namespaces/{name}", json=RULES | {"accept_past": "P7D"}).raise_for_status()
    with redis.Redis.from_url(stack.valkey.url) as direct:
        while len(list(direct.scan_iter(f"lb:*:b:*:{DAY}", count=10_000))) > 1:
            assert time.perf_counter() - started < 120
            time.sleep(0.1)
    return time.perf_counter() - started


def correct(stack: Stack, name: str) -> float:
    """Seconds until a correction behind the seal stands in the archive."""
    with stack.client() as client:
        page = f"/v1/namespaces/{name}/boards/{DAY}?user=user-5"
        expected = client.get(page).raise_for_status().json()["entries"][0]["score"] + 1
        started = time.perf_counter()
        client.patch(f"/v1/namespaces/{name}/grants/g5", json={"amount": expected}).raise_for_status()
        while client.get(page).raise_for_status().json()["entries"][0]["score"] != expected:
            assert time.perf_counter() - started < 60
            time.sleep(0.01)
        return time.perf_counter() - started


def main(stack: Stack, load: Load, tell_cost: Callable[..., None], rounds: int) -> None:
    """Pages at random places, neighbours of random users, statistics within bounds, and the top 10 again and again."""
    for name in ("open", "sealed"):
        fill(stack, name)
    print(f"{'a window of 100,000 is sealed in':34} {seal(stack, 'sealed'):10.1f} s", flush=True)
    print(f"{'a correction behind it shows in':34} {correct(stack, 'sealed'):10.2f} s", flush=True)
    for kind in ("pages", "around", "stats", "top-10"):
        costs: dict[str, list[float]] = {"open": [], "sealed": []}
        for _ in range(rounds):
            for name, cost in costs.items():
                path = f"/v1/namespaces/{name}/boards/{DAY}"
                cost.append(load(stack.port, kind, path, 3_000, 16) / 3_000 * 1e6)
        ours, plain = (sorted(costs[name])[rounds // 2] for name in ("sealed", "open"))
        tell_cost(f"{kind} of a sealed window", ours, plain, "µs", 3.0)

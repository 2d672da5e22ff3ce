"""Corrections of what the ledger does not hold yet, and many of one user on many boards, over HTTP on all parts."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.conftest import Stack

VOIDS = 60
BUSY_VOIDS = 40
CHAINS = 5
CHAIN = 300
AT = "2019-03-05T12:00:00Z"
SEASONS = [{"name": f"s{i}", "starts": "2019-01-01T00:00:00Z", "ends": "2030-01-01T00:00:00Z"} for i in range(100)]


@contextmanager
def background(stack: Stack, name: str, a_second: int, size: int, user: str | None = None) -> Iterator[list[float]]:
    """Grants of others, or of one user, in batches of `size`; what was yielded holds the rate reached in the end."""
    over, latencies = threading.Event(), list[float]()

    def work() -> None:
        began, sent = time.monotonic(), 0
        with stack.client() as client:
            while not over.is_set():
                grants = [
                    {"grant_id": f"b{began}-{i}", "user_id": user or f"other-{i % 5000}", "amount": 5}
                    for i in range(sent, sent + size)
                ]
                client.post(f"/v1/namespaces/{name}/grants", json=grants).raise_for_status()
                sent += size
                over.wait(max(0.0, began + sent / a_second - time.monotonic()))
        latencies.append(sent / (time.monotonic() - began))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield latencies
    finally:
        over.set()
        thread.join()


def tell(name: str, seconds: list[float], most_ms: float | None, more: str = "") -> None:
    """One line: median, p99 (of so few: the worst, nearly), what the median may be."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    verdict = (
        "" if most_ms is None else f"  at most {most_ms:.0f}: {'met' if cuts[49] * 1000 <= most_ms else 'NOT MET'}"
    )
    print(f"{name:44} p50 {cuts[49] * 1000:8.0f} ms  p99 {cuts[98] * 1000:8.0f} ms{verdict}  {more}", flush=True)


def voids(stack: Stack, name: str, user: str, count: int) -> tuple[list[float], int]:
    """Seconds of voids, each right after its grant, and how many were not done."""
    spent, failed = [], 0
    with stack.client() as client:
        for i in range(count):
            body: dict[str, Any] = {"grant_id": f"v-{user}-{i}", "user_id": user, "amount": 3}
            client.post(f"/v1/namespaces/{name}/grants", json=body).raise_for_status()
            began = time.monotonic()
            failed += client.delete(f"/v1/namespaces/{name}/grants/v-{user}-{i}").status_code != 200
            spent.append(time.monotonic() - began)
    return spent, failed


def chains(stack: Stack, name: str) -> list[float]:
    """Seconds of calls that void so many grants of one user, on 208 boards."""
    spent = []
    with stack.client() as client:
        for chain in range(CHAINS):
            ids = [f"c{chain}-{i}" for i in range(CHAIN)]
            grants = [
                {"grant_id": one, "user_id": f"u{chain}", "amount": 3, "category": "red", "granted_at": AT}
                for one in ids
            ]
            client.post(f"/v1/namespaces/{name}/grants", json=grants).raise_for_status()
            stack.wait_flushed(60)
            began = time.monotonic()
            asks = [{"op": "void", "grant_id": one} for one in ids]
            body = client.post(f"/v1/namespaces/{name}/corrections", json=asks).json()
            spent.append(time.monotonic() - began)
            assert body["applied"] == CHAIN, body
    return spent


def main() -> None:
    """One line a kind."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            with stack.client() as client:
                client.put("/v1/namespaces/plain", json={}).raise_for_status()
                rules = {"seasons": SEASONS, "category_boards": True, "accept_past": None}
                client.put("/v1/namespaces/many", json=rules).raise_for_status()
            tell(f"{CHAIN} voids of one user, 208 boards", chains(stack, "many"), 1_000)
            with background(stack, "plain", 1_000, 50) as rate:
                spent, failed = voids(stack, "plain", "otter", VOIDS)
            tell("a void right after its grant", spent, 150, f"{failed} failed, {rate[0]:.0f} grants/s of others")
            with background(stack, "plain", 50, 1, "busy") as rate:
                spent, failed = voids(stack, "plain", "busy", BUSY_VOIDS)
            tell(
                "... of a user with 50 grants/s",
                spent,
                150,
                f"{failed} of {BUSY_VOIDS} failed, {rate[0]:.0f} grants/s",
            )
        finally:
            stack.down()

"""What the limits of `app/http/protocol.py` cost a single grant: two servers on the same stores, in turns."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

import httpx

from app.embedded import free_port
from tests.conftest import Stack

#: Turns of each server, and grants of a turn: some 5 s on two cores.
TURNS = 20
GRANTS = 10_000
OVERHEAD_PERCENT_MAX = 3.0
PATH = "/v1/namespaces/bench-limits/grants"


def cpu_ns(pid: int) -> int:
    """Nanoseconds that a process's event loop has run so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def main(stack: Stack, load: Callable[[int, str, str, int, int], float], turns: int = TURNS) -> None:
    """The CPU of a grant with and without limits; the median of the pairs' differences, with quartiles."""
    with stack.client() as client:
        client.put("/v1/namespaces/bench-limits", json={}).raise_for_status()
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.unlimited"]
    process = subprocess.Popen(command, env=stack.environment | {"LEADERBOARD_PORT": str(port)})
    try:
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        servers = {"with": (stack.port, stack.pid("serve")), "without": (port, process.pid)}
        for serving, _ in servers.values():
            load(serving, "single", PATH, GRANTS // 5, 64)
        costs: dict[str, list[float]] = {"with": [], "without": []}
        for turn in range(turns):
            for name in sorted(servers, reverse=bool(turn % 2)):
                serving, pid = servers[name]
                before = cpu_ns(pid)
                load(serving, "single", PATH, GRANTS, 64)
                costs[name].append((cpu_ns(pid) - before) / GRANTS / 1_000)
    finally:
        process.terminate()
        process.wait()
    changes = [100 * (ours / plain - 1) for ours, plain in zip(costs["with"], costs["without"], strict=True)]
    low, middle, high = quantiles(changes, n=4)
    medians = [quantiles(costs[name], n=2)[0] for name in ("with", "without")]
    verdict = "met" if middle <= OVERHEAD_PERCENT_MAX else "NOT MET"
    print(
        f"limits, CPU of a grant: {medians[0]:.1f} µs with, {medians[1]:.1f} without; median of {turns} pairs "
        f"{middle:+.1f} % (quartiles {low:+.1f}, {high:+.1f})  at most {OVERHEAD_PERCENT_MAX:.0f} %: {verdict}",
        flush=True,
    )

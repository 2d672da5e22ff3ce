"""`leaderboard verify` on a million entries of 100,000 users: its time and memory, at rest and under full writes.

Half of them are in a namespace as it comes, half in one whose order and dense ranks are compared, too.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Stack

SPACES = {"plain": {}, "dated": {"tie_break": "earliest", "ranking": "dense"}}
CALLS = 1_000  # batches of 500, in each
CALLS_AT_ONCE = 500
SECONDS_MAX = 60.0


def verify(stack: Stack, name: str) -> None:
    """One line: its seconds and its peak of memory; it has to find nothing."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "app", "verify", "--quiet"], env=stack.environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    assert status == 0, "it found something"
    verdict = "met" if seconds <= SECONDS_MAX else "NOT MET"
    print(
        f"{name:34} {seconds:10.1f} s, peak {usage.ru_maxrss / 1024:.0f} MB  at most {SECONDS_MAX:.0f} s: {verdict}",
        flush=True,
    )


def fill(stack: Stack, load: Callable[..., float], calls: int) -> None:
    """So many batches into each namespace."""
    for name in SPACES:
        for _ in range(calls // CALLS_AT_ONCE):
            load(stack.port, "batch", f"/v1/namespaces/{name}/grants", CALLS_AT_ONCE, 4)


def main(load: Callable[..., float]) -> None:
    """Two lines, on a deployment that holds nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            with stack.client() as client:
                for name, rules in SPACES.items():
                    client.put(f"/v1/namespaces/{name}", json=rules).raise_for_status()
            fill(stack, load, CALLS)
            stack.wait_flushed(600)
            verify(stack, "verify, 10^6 entries")
            writing = threading.Thread(target=fill, args=(stack, load, CALLS_AT_ONCE))
            writing.start()
            verify(stack, "verify, while batches come")
            writing.join()
        finally:
            stack.down()

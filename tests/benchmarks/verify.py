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
BATCHES = 1_000  # of 500 grants, in each
BATCHES_AT_ONCE = 250
SECONDS_MAX = 60.0


def verify(stack: Stack, name: str, seconds_max: float | None = None) -> None:
    """One line: its seconds and its peak of memory; it has to find nothing."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "app", "verify", "--quiet"], env=stack.environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    assert status == 0, "it found something"
    verdict = f"  at most {seconds_max:.0f} s: {'met' if seconds <= seconds_max else 'NOT MET'}" if seconds_max else ""
    print(f"{name:34} {seconds:10.1f} s, peak {usage.ru_maxrss / 1024:.0f} MB{verdict}", flush=True)


def main(load: Callable[..., float]) -> None:
    """Two lines, on a deployment that holds nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))

        def fill(batches: int) -> None:
            for name in SPACES:
                load(stack.port, "batch", f"/v1/namespaces/{name}/grants", batches, 4)

        def write() -> None:
            while not stopped.is_set():
                fill(BATCHES_AT_ONCE // 5)

        try:
            stack.up()
            with stack.client() as client:
                for name, rules in SPACES.items():
                    client.put(f"/v1/namespaces/{name}", json=rules).raise_for_status()
            for _ in range(BATCHES // BATCHES_AT_ONCE):
                fill(BATCHES_AT_ONCE)
            stack.wait_flushed(600)
            verify(stack, "verify, 10^6 entries", SECONDS_MAX)
            stopped = threading.Event()
            writing = threading.Thread(target=write)
            writing.start()
            verify(stack, "verify, while batches come")
            stopped.set()
            writing.join()
        finally:
            stack.down()

"""`leaderboard import` against as many grants in HTTP batches, until the ledger and the archives have all."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Stack

ROWS = 1_000_000
USERS = 100_000
#: IMPORT_RULES adds to the rules, as JSON: some want the grants in the order in which they come.
RULES: dict[str, Any] = {"accept_past": "P35D", "category_boards": False} | json.loads(
    os.environ.get("IMPORT_RULES", "{}")
)
#: Days over which the grants lie, the last of them forty days ago: each is closed once nothing is imported any more.
DAYS = 365
#: Seconds for the archives of all days.
CLOSING_S_MAX = 1_800.0
#: Seconds for the ledger to follow.
LEDGER_S_MAX = 1_800.0
#: An import is to reach this part of the rate of batches.
RATIO_MIN = 0.6
Load = Callable[[int, str, str, int, int], float]
Tell = Callable[..., None]


def write(path: Path, rows: int, *, in_order: bool) -> None:
    """The rows, in the order of time or in none."""
    numbers = list(range(rows))
    if not in_order:
        random.Random(3).shuffle(numbers)
    last = int(time.time()) - 40 * 86_400
    with path.open("w") as file:
        for i in numbers:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last - DAYS * 86_400 * (rows - i) // rows))
            user = f"user-{i * 7919 % USERS}"
            row = {"grant_id": f"g{i}", "user_id": user, "amount": 5, "category": "red", "source": "race"}
            file.write(json.dumps(row | {"granted_at": at}) + "\n")


def pending(stack: Stack) -> int:
    """Archives that are to be updated."""
    ((count,),) = stack.sql("SELECT count(*) FROM pending_archive_updates")
    return int(count)


def close_windows(stack: Stack, name: str) -> float:
    """Seconds until all days of an import are closed and archived, which begins when nothing is imported any more."""
    sql = """SELECT count(*) FROM seals s JOIN namespaces n ON n.id = s.namespace_id
             WHERE n.name = %s AND archived_at IS NOT NULL AND length("window") = 10"""
    started = time.perf_counter()
    while True:
        ((count,),) = stack.sql(sql, name)
        if count >= DAYS:
            return time.perf_counter() - started
        assert time.perf_counter() < started + CLOSING_S_MAX, f"{count} of {DAYS} days are archived"
        time.sleep(0.5)


def run(stack: Stack, path: Path, name: str) -> tuple[float, float, list[int]]:
    """Seconds until it ended, and until ledger and archives have all; its memory in MiB, second by second."""
    command = [sys.executable, "-m", "app", "import", str(path), "--namespace", name, "--quiet", "--url", stack.url]
    sizes: list[int] = []
    started = time.perf_counter()
    process = subprocess.Popen(command, env=stack.environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        sizes.append(pages * os.sysconf("SC_PAGE_SIZE") >> 20)
        time.sleep(1)
    ended = time.perf_counter() - started
    assert process.returncode == 0
    stack.wait_flushed(LEDGER_S_MAX, counted=False)
    while pending(stack):
        time.sleep(0.05)
    return ended, time.perf_counter() - started, sizes


def main(stack: Stack, load: Load, tell: Tell, rows: int = ROWS) -> None:
    """Batches first, then an import in the order of time, then one in none."""
    with stack.client() as client:
        for name in ("http", "ordered", "shuffled"):
            client.put(f"/v1/namespaces/{name}", json=RULES).raise_for_status()
    stack.wait_flushed(60)
    started = time.perf_counter()
    answered = load(stack.port, "batch", "/v1/namespaces/http/grants", rows // 500, 4)
    stack.wait_flushed(LEDGER_S_MAX, counted=False)
    batches = rows / (time.perf_counter() - started)
    print(f"{'HTTP batches, until answered':34} {rows / answered:10,.0f} grants/s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.ndjson"
        for name in ("ordered", "shuffled"):
            write(path, rows, in_order=name == "ordered")
            ended, whole, sizes = run(stack, path, name)
            print(f"{f'import, {name}, until it ended':34} {rows / ended:10,.0f} grants/s", flush=True)
            tell(f"import, {name}, until all have it", rows / whole, batches, "grants/s", RATIO_MIN)
            later = sizes[len(sizes) // 5 :]
            print(f"{'  its memory':34} {min(later):10,} to {max(later):,} MiB", flush=True)
            if name == "ordered":  # Before the next one begins: else it would be measured beside this.
                print(
                    f"{f'  its {DAYS} days in archives, behind':34} {close_windows(stack, name):10,.0f} s", flush=True
                )

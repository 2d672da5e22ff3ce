"""What the index of sources and the table of open quarantined grants cost the persister, in rows of the ledger.

The rows of one ledger, copied as those of other namespaces, in transactions that are rolled back: with and without, in
turns, by the clock and by the CPU of the connection's own process, which other work on the machine changes less.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import psycopg

from tests.conftest import Stack

ROWS = 10_000
ROUNDS = 15
BATCH = 500
OFF = {
    "all": [],
    "without the index": ["DROP INDEX ledger_source"],
    "without the trigger": ["DROP TRIGGER keep_quarantined ON ledger"],
    "without both": ["DROP INDEX ledger_source", "DROP TRIGGER keep_quarantined ON ledger"],
}


def fill(stack: Stack, kind: str) -> None:
    """One ledger: grants with a source and its id, or without."""
    with stack.client() as client:
        client.put(f"/v1/namespaces/{kind}", json={}).raise_for_status()
        for first in range(0, ROWS, BATCH):
            more = {"source": "race", "category": "red"}
            grants = [
                {"grant_id": f"g{i}", "user_id": f"u{i * 7919 % ROWS}", "amount": 5}
                | (more | {"source_id": f"r{i // 20}"} if kind == "sources" else more)
                for i in range(first, first + BATCH)
            ]
            client.post(f"/v1/namespaces/{kind}/grants", json=grants).raise_for_status()
    stack.wait_flushed(120)


def spent(db: psycopg.Connection, pid: int, off: list[str]) -> tuple[float, float]:
    """Seconds by the clock and of CPU for the rows."""
    for text in off:
        db.execute(text)
    cpu, began = _cpu_s(pid), time.monotonic()
    db.execute("INSERT INTO ledger SELECT * FROM fresh")
    used = time.monotonic() - began, _cpu_s(pid) - cpu
    db.rollback()
    return used


def _cpu_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measure(url: str, kind: str) -> None:
    """One line a variant."""
    with psycopg.connect(url) as db:
        pid = db.info.backend_pid
        db.execute(
            "CREATE TEMP TABLE fresh AS SELECT l.* FROM ledger l JOIN namespaces n ON n.id = l.namespace_id"
            " WHERE n.name = %s ORDER BY seq",
            (kind,),
        )
        db.execute("UPDATE fresh SET namespace_id = namespace_id + 1000, epoch = epoch + 1000")
        db.execute("ANALYZE fresh")
        db.commit()
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in OFF}
        for _ in range(ROUNDS):
            for name, off in OFF.items():
                costs[name].append(spent(db, pid, off))
    for name, pairs in costs.items():
        clock, cpu = (median(pair[i] for pair in pairs) for i in (0, 1))
        print(f"{kind:8} {name:20} {ROWS / clock:8.0f} rows/s  {cpu / ROWS * 1e6:6.2f} µs CPU a row", flush=True)


def main() -> None:
    """Two ledgers."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            for kind in ("sources", "plain"):
                fill(stack, kind)
            stack.stop("persist")
            stack.stop("serve")
            for kind in ("sources", "plain"):
                measure(stack.postgres.url, kind)
        finally:
            stack.down()

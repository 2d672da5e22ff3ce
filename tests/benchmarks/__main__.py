"""`make bench`: every figure beside its floor, in one run on this machine, so that the ratios mean something."""

import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import redis

from app.embedded import free_port
from tests.benchmarks import (
    acks,
    beside,
    corrections,
    days,
    explain,
    gate,
    growth,
    imports,
    indexes,
    instructions,
    latest,
    layouts,
    limits,
    live,
    nodes,
    ranges,
    rebuild,
    rules,
    sealed,
    verify,
    webhooks,
    worst,
)
from tests.conftest import KEY, Stack

BARE = """
for i = 2, #ARGV, 4 do
  if redis.call('HSETNX', KEYS[2], ARGV[i], '1') == 1 then
    redis.call('XADD', KEYS[1], '*', 'e', ARGV[i + 3])
    for b = 3, 6 do redis.call('ZINCRBY', KEYS[b], ARGV[i + 2], ARGV[i + 1]) end
  end
end
"""
PATH = "/v1/namespaces/bench/grants"
ROUNDS = 3
PARTS = [
    "single",
    "batch",
    "single-full",
    "acks",
    "top-10",
    "persister",
    "sealed",
    "ranges",
    "explain",
    "limits",
    "rules",
    "latest",
    "days",
    "verify",
    "growth",
    "corrections",
    "indexes",
    "layouts",
    "chain",
    "gate",
    "nodes",
    "worst",
    "rebuild",
    "import",
    "live",
    "webhooks",
]


def load(port: int, kind: str, path: str, count: int, connections: int) -> float:
    """Seconds that a load took; every answer must be good."""
    tag = f"{time.time_ns()}"
    command = [sys.executable, "-m", "tests.benchmarks.load", str(port), kind, path, KEY, tag]
    done = subprocess.run(
        [*command, str(count), str(connections)], capture_output=True, text=True, check=True, timeout=12000
    )
    figures = json.loads(done.stdout)
    assert figures["bad"] == 0, figures
    return float(figures["seconds"])


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def floor_server() -> Iterator[tuple[int, int]]:
    """Starlette with no store, served as the real one is; port and pid."""
    port = free_port()
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.floor:app", "--port", str(port), *options]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def middle(values: list[float]) -> float:
    """The median."""
    return sorted(values)[len(values) // 2]


def tell(name: str, ours: float, floor: float, unit: str, goal: float | None) -> None:
    """One line: ours, the floor, their ratio and what is wanted."""
    ratio = ours / floor
    verdict = "" if goal is None else f"  wanted {goal:.2f}: {'met' if ratio >= goal else 'NOT MET'}"
    print(f"{name:34} {ours:10,.0f} {floor:10,.0f} {unit:8} ratio {ratio:.2f}{verdict}", flush=True)


def tell_cost(name: str, ours: float, plain: float, unit: str, most: float | None) -> None:
    """One line: a cost, the plain one, their ratio and what it may be at most."""
    ratio = ours / plain
    verdict = "" if most is None else f"  at most {most:.2f}: {'met' if ratio <= most else 'NOT MET'}"
    print(f"{name:34} {ours:10,.1f} {plain:10,.1f} {unit:8} ratio {ratio:.2f}{verdict}", flush=True)


def requests_a_second(
    stack: Stack, kind: str, path: str, count: int, wall: float | None, economy: float | None, name: str | None = None
) -> None:
    """Requests against the floor's, by wall clock and by CPU of the serving process."""
    name = name or kind
    with floor_server() as (floor_port, floor_pid):
        ours: list[float] = []
        floors: list[float] = []
        costs: list[float] = []
        floor_costs: list[float] = []
        for _ in range(ROUNDS):
            stack.wait_flushed(60)
            before = cpu(floor_pid)
            floors.append(count / load(floor_port, kind, path, count, 64))
            floor_costs.append((cpu(floor_pid) - before) / count)
            before = cpu(stack.pid("serve"))
            ours.append(count / load(stack.port, kind, path, count, 64))
            costs.append((cpu(stack.pid("serve")) - before) / count)
            stack.wait_flushed(10)
    tell(f"{name}: wall", middle(ours), middle(floors), "a second", wall)
    tell(f"{name}: CPU of the server", 1 / middle(costs), 1 / middle(floor_costs), "a CPU s", economy)


def batches(stack: Stack, calls: int) -> None:
    """Batches of 500 over HTTP against a bare script of seen, stream and four ZINCRBY: same Redis, fsync and users.

    Both fill their boards from empty, round by round, and both logs are trimmed between the rounds.
    """
    ours, bare = [], []
    with redis.Redis.from_url(stack.valkey.url) as direct:
        script = direct.register_script(BARE)
        for _ in range(ROUNDS):
            stack.wait_flushed(60)
            started = time.perf_counter()
            for call in range(calls):
                entries: list[str | int] = []
                for i in range(500):
                    entries += [f"{started}-{call}-{i}", f"user-{random.randrange(100_000)}", 5, "x" * 150]
                script(["bare:log", "bare:seen", *(f"bare:b{b}" for b in range(4))], ["", *entries])
            bare.append(calls * 500 / (time.perf_counter() - started))
            ours.append(calls * 500 / load(stack.port, "batch", PATH, calls, 4))
            stack.wait_flushed(10)
            direct.unlink("bare:log")
    tell("batches of 500", middle(ours), middle(bare), "grants/s", 0.45)


async def persister(stack: Stack, rows: int) -> None:
    """The persister draining a full log, standings included, against a bare COPY of the same rows."""
    stack.wait_flushed(60)
    stack.kill("persist")
    load(stack.port, "batch", PATH, rows // 500, 4)
    db = await asyncpg.connect(stack.postgres.url)
    before = await db.fetchval("SELECT count(*) FROM ledger")
    stack.start("persist")
    while await db.fetchval("SELECT count(*) FROM ledger") == before:
        await asyncio.sleep(0.005)
    started, first = time.perf_counter(), await db.fetchval("SELECT count(*) FROM ledger")
    stack.wait_flushed(60, counted=False)  # the counts by time follow when there is nothing else to do
    drained = (before + rows - first) / (time.perf_counter() - started)
    copied = await db.fetch("SELECT * FROM ledger ORDER BY seq DESC LIMIT $1", rows)
    names = list(copied[0].keys())
    records = [
        tuple(
            f"copy-{value}" if name == "grant_id" else 99 if name == "partition" else value
            for name, value in row.items()
        )
        for row in copied
    ]
    await db.execute("CREATE TABLE ledger_99 PARTITION OF ledger FOR VALUES IN (99)")
    started = time.perf_counter()
    for i in range(0, rows, 10_000):
        await db.copy_records_to_table("ledger", records=records[i : i + 10_000], columns=names)
    bare = rows / (time.perf_counter() - started)
    await db.execute("DROP TABLE ledger_99")
    await db.close()
    tell("persister, with standings", drained, bare, "rows/s", 0.25)


def main(parts: list[str]) -> None:
    """The named parts, or everything."""
    chosen = parts or PARTS
    live_parts = [part.partition("=")[2] for part in chosen if part.partition("=")[0] == "live"]
    import_rows = [int(part.removeprefix("import=")) for part in chosen if part.startswith("import=")]
    if parts and parts[0].startswith("beside="):
        path, turns, only = (*parts, "", "")[:3]
        beside.main(Path(path.removeprefix("beside=")), load, int(turns or beside.TURNS), only)
        return
    if parts and parts[0].startswith("instructions="):
        instructions.main(Path(parts[0].removeprefix("instructions=")))
        return
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; all parts on one machine; medians of {ROUNDS}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            with stack.client() as client:
                for name in ("bench", "bench-single"):
                    client.put(f"/v1/namespaces/{name}", json={}).raise_for_status()
            # Boards grow from empty here too, whatever was measured before; how much full ones cost is told beside it.
            if "single" in chosen:
                requests_a_second(stack, "single", "/v1/namespaces/bench-single/grants", 20_000, 0.30, 0.60)
            if "batch" in chosen:
                batches(stack, 60)
            if "single-full" in chosen:
                load(stack.port, "batch", PATH, 500, 4)
                requests_a_second(stack, "single", PATH, 20_000, None, None, "single, 100,000 a board")
            if "acks" in chosen:
                acks.main(stack, load, tell_cost, ROUNDS)
            if "top-10" in chosen:
                requests_a_second(stack, "top-10", "/v1/namespaces/bench/boards/all", 20_000, 0.50, None)
            if "persister" in chosen:
                asyncio.run(persister(stack, 100_000))
            if "sealed" in chosen:
                sealed.main(stack, load, tell_cost, ROUNDS)
            if "limits" in chosen:
                limits.main(stack, load)
            if "import" in chosen or import_rows:
                imports.main(stack, load, tell, *import_rows)
            for part in live_parts:
                live.main(stack, tell, part or live.PARTS)
            if "ranges" in chosen or "explain" in chosen:
                stack.wait_flushed(60)
                stack.kill("persist")
            if "ranges" in chosen:
                ranges.main(stack, tell_cost, ROUNDS)
            if "explain" in chosen:
                explain.main(stack)
        finally:
            stack.down()
    if "rules" in chosen:
        rules.main(tell_cost)
    if "latest" in chosen:
        latest.main(tell_cost)
    if "days" in chosen:
        days.main(tell_cost)
    if "growth" in chosen:
        growth.main()
    if "verify" in chosen:
        verify.main(load)
    if "corrections" in chosen:
        corrections.main()
    if "indexes" in chosen:
        indexes.main()
    if "layouts" in chosen:
        layouts.main()
    if "gate" in chosen:
        gate.main()
    if "nodes" in chosen:
        nodes.main(load, tell_cost)
    if "worst" in chosen:
        worst.main()
    if "rebuild" in chosen:
        rebuild.main()
    if "webhooks" in chosen:
        webhooks.main(load, tell, tell_cost)


if __name__ == "__main__":
    main(sys.argv[1:])

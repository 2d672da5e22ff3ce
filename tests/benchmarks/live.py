"""`make bench ARGS=live`: boards pushed to thousands of sockets, beside a bare loop that sends as many bytes.

Clients and writers have processes of their own; the server's CPU is that of its process alone.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.embedded import free_port
from tests.benchmarks import live_boards
from tests.benchmarks.live_writer import STARS
from tests.conftest import KEY, Stack
from tests.support.raw_clients import resident_bytes

SOCKETS, RATE = 2_000, 1_000.0
SECONDS = float(os.environ.get("LIVE_SECONDS", "60"))
IDLE, IDLE_S, DEAF, RECONNECTS, RECONNECTS_S = 9_000, 30.0, 100, 5_000, 10.0
PARTS = "fan,many,idle,streams"
TOP = {"kind": "top", "limit": 10}


class Clients:
    """A process of sockets that obeys."""

    def __init__(self, port: int, key: str = KEY) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.live_clients", str(port), key]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name: str, **options: Any) -> Any:
        """The answer to a command."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, options]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Closes all of its sockets."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def clients(port: int, key: str = KEY) -> Iterator[Clients]:
    """A process of sockets that ends with the block."""
    process = Clients(port, key)
    try:
        yield process
    finally:
        process.end()


@contextmanager
def bare_server(frame_bytes: int) -> Iterator[tuple[int, int]]:
    """uvicorn with the bare loop; port and pid."""
    port = free_port()
    options = ["--loop", "uvloop", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.live_floor:app", "--port", str(port), *options]
    environment = os.environ | {"FRAME_BYTES": str(frame_bytes)}
    process = subprocess.Popen([*command, "--no-access-log", "--log-level", "warning"], env=environment)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
            except httpx.ConnectError:
                time.sleep(0.05)
            else:
                break
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def subscription(namespace: str, number: int = 1, **view: Any) -> dict[str, Any]:
    """A message."""
    return {"type": "subscribe", "id": number, "namespace": namespace, "view": view or TOP}


def write(port: int, namespaces: str, seconds: float) -> dict[str, Any]:
    """Grants at the rate, until the time is over."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.live_writer",
        str(port),
        KEY,
        namespaces,
        str(RATE),
        str(seconds),
    ]
    done: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return done


def at(values: list[float], fraction: float) -> float:
    """A quantile."""
    return sorted(values)[min(len(values) - 1, int(len(values) * fraction))] if values else float("nan")


def unsent_bytes(port: int) -> list[int]:
    """Bytes that the kernel holds for each client of a server's port, headers of its packets left out."""
    here = f"{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split() for line in lines]
    connected = [fields for fields in sockets if fields[1].endswith(f":{here}") and fields[3] == "01"]
    return sorted(int(fields[4].partition(":")[0], 16) for fields in connected)


def delays(receipts: list[Any], seen: list[Any]) -> list[float]:
    """Seconds from each receipt of a star to the first frame that shows at least its score."""
    shown: dict[str, list[tuple[float, float]]] = {}
    for moment, user, score in sorted(seen):
        shown.setdefault(user, []).append((moment, score))
    waits = []
    for moment, user, score in receipts:
        first = next((when for when, value in shown.get(user, ()) if value >= score), None)
        if first is not None:
            waits.append(max(0.0, first - moment))
    return waits


def prepare(stack: Stack, namespace: str) -> None:
    """A namespace whose stars lead by far: whose score is sent with the next frame."""
    with stack.client() as client:
        client.put(f"/v1/namespaces/{namespace}", json={"accept_past": None}).raise_for_status()
        grants = [
            {"grant_id": f"{namespace}-{star}", "user_id": f"star-{star}", "amount": 10**6 + (star < 10) * 10**6}
            for star in range(STARS)
        ]
        client.post(f"/v1/namespaces/{namespace}/grants", json=grants).raise_for_status()


def one_run(stack: Stack, namespaces: str, crowd: Clients | None, seconds: float) -> dict[str, Any]:
    """Grants for so long: the server's CPU, and what the clients got meanwhile."""
    pid, before = stack.pid("serve"), crowd.ask("count") if crowd else None
    used = cpu(pid)
    if crowd:
        crowd.ask("seen")
    written = write(stack.port, namespaces, seconds)
    result: dict[str, Any] = {"cpu": cpu(pid) - used, "seconds": written["seconds"], "late": written["late"]}
    if crowd and before:
        time.sleep(0.5)
        after = crowd.ask("count")
        result |= {name: after[name] - before[name] for name in ("frames", "bytes", "closed")}
        result["delays"] = delays(written["receipts"], crowd.ask("seen"))
    return result


def tell_run(name: str, run: dict[str, Any], quiet: dict[str, Any]) -> None:
    """Its figures in two lines."""
    own = run["cpu"] - quiet["cpu"]
    waits = run["delays"]
    print(
        f"{name}: {run['frames'] / run['seconds']:,.0f} frames/s of {run['bytes'] / max(1, run['frames']):.0f} bytes; "
        f"server {run['cpu'] / run['seconds']:.2f} cores, {quiet['cpu'] / quiet['seconds']:.2f} without sockets; "
        f"{run['frames'] / own:,.0f} frames a CPU s ({run['frames'] / run['cpu']:,.0f} with the grants)\n"
        f"  grant → frame: p50 {at(waits, 0.5) * 1e3:.0f} ms, p99 {at(waits, 0.99) * 1e3:.0f} ms of {len(waits):,}; "
        f"the writer was late by {run['late']:.2f} s at most",
        flush=True,
    )


def bare(sockets: int, frame_bytes: int, seconds: float) -> float:
    """Frames a CPU second of the bare loop."""
    with bare_server(frame_bytes) as (port, pid), clients(port) as crowd:
        crowd.ask("connect", count=sockets, messages=[])
        before, used = crowd.ask("count"), cpu(pid)
        time.sleep(seconds)
        after = crowd.ask("count")
        frames, took = after["frames"] - before["frames"], cpu(pid) - used
        print(f"bare loop: {frames / seconds:,.0f} frames/s; {frames / took:,.0f} frames a CPU s", flush=True)
        return float(frames / took)


def fan_out(stack: Stack, tell: Callable[..., None]) -> None:
    """2,000 sockets on one board, then with 100 that never read."""
    prepare(stack, "arena")
    write(stack.port, "arena", 3.0)
    quiet = one_run(stack, "arena", None, SECONDS / 3)
    quiet["cpu"] *= 3
    quiet["seconds"] *= 3
    with clients(stack.port) as crowd, clients(stack.port) as deaf:
        print(crowd.ask("connect", count=SOCKETS, messages=[subscription("arena")], sampled=5), flush=True)
        run = one_run(stack, "arena", crowd, SECONDS)
        tell_run("one board", run, quiet)
        floor = bare(SOCKETS, run["bytes"] // max(1, run["frames"]), SECONDS / 3)
        tell("live: frames a CPU s", run["frames"] / (run["cpu"] - quiet["cpu"]), floor, "frames", 0.9)
        plain, before = at(run["delays"], 0.99), resident_bytes(stack.pid("serve"))
        deaf.ask("connect", count=DEAF, messages=[subscription("arena", n) for n in range(1, 5)], is_deaf=True)
        run = one_run(stack, "arena", crowd, SECONDS)
        tell_run(f"and {DEAF} that never read", run, quiet)
        grown = (resident_bytes(stack.pid("serve")) - before) / DEAF / 1024
        kernel = sum(unsent_bytes(stack.port)[-DEAF:]) / DEAF / 1024
        print(
            f"  p99 ×{at(run['delays'], 0.99) / plain:.2f} (at most 1.5); {grown:.0f} KB of memory each and "
            f"{kernel:.0f} KB in the kernel's send queue (at most 128 together)",
            flush=True,
        )


def many_boards(stack: Stack) -> None:
    """2,000 sockets on 200 boards, half of them around a user, half on some users."""
    names = [f"hall-{n}" for n in range(200)]
    for name in names:
        prepare(stack, name)
    quiet = one_run(stack, ",".join(names), None, SECONDS / 3)
    quiet["cpu"] *= 3
    quiet["seconds"] *= 3
    with clients(stack.port) as crowd:
        for number, name in enumerate(names):
            view = {"kind": "around", "user": f"star-{number % STARS}", "radius": 5}
            views = (view, {"kind": "users", "users": [f"star-{star}" for star in range(number % 10, 20)]})
            for half in views:
                sampled = 1 if number % 40 == 0 else 0
                crowd.ask("connect", count=5, messages=[subscription(name, 1, **half)], sampled=sampled)
        run = one_run(stack, ",".join(names), crowd, SECONDS)
        run["delays"] = []  # Scores of one name stand on 200 boards.
        tell_run("200 boards, around and users", run, quiet)


def streams(stack: Stack) -> None:
    """Memory of event streams that nothing is sent to, where no others were before; then 2,000 of one board."""
    prepare(stack, "stream")
    path = "/v1/namespaces/stream/boards/all/events?limit=10"
    with clients(stack.port) as crowd:
        tell_idle(stack.pid("serve"), crowd, "event streams", path=path)
    write(stack.port, "stream", 3.0)
    quiet = one_run(stack, "stream", None, SECONDS / 3)
    quiet["cpu"] *= 3
    quiet["seconds"] *= 3
    with clients(stack.port) as crowd:
        print(crowd.ask("connect", count=SOCKETS, path=path, sampled=5), flush=True)
        tell_run("event streams", one_run(stack, "stream", crowd, SECONDS), quiet)


def tell_idle(pid: int, crowd: Clients, noun: str, **kind: Any) -> None:
    """Memory of connections that nothing is sent to. kind: how clients open one."""
    crowd.ask("connect", count=200, **kind)
    crowd.ask("leave")
    time.sleep(3)
    before = resident_bytes(pid)
    opened = crowd.ask("connect", count=IDLE, **kind)
    time.sleep(IDLE_S)
    used, after = cpu(pid), resident_bytes(pid)
    time.sleep(10)
    each = (after - before) / IDLE / 1024
    load = (cpu(pid) - used) * 10
    print(f"{opened['open']:,} idle {noun}: {each:.1f} KB each (at most 24); {load:.1f} % of a core", flush=True)


def idle(stack: Stack) -> None:
    """Memory of sockets that nothing is sent to; then many come back at once."""
    prepare(stack, "hall")
    with clients(stack.port) as crowd:
        tell_idle(stack.pid("serve"), crowd, "sockets", messages=[subscription("hall")])
        crowd.ask("leave")
        time.sleep(3)
        back = crowd.ask(
            "connect", count=RECONNECTS, messages=[subscription("hall")], a_second=RECONNECTS / RECONNECTS_S
        )
        print(f"{RECONNECTS:,} reconnects in {RECONNECTS_S:g} s: {back}", flush=True)


def main(stack: Stack, tell: Callable[..., None], parts: str) -> None:
    """All of it."""
    stack.wait_flushed(60)
    if "fan" in parts:
        fan_out(stack, tell)
    if "many" in parts or "views" in parts:
        many_boards(stack)
    if "boards" in parts:
        live_boards.main(stack)
    if "idle" in parts:
        idle(stack)
    if "streams" in parts:
        streams(stack)

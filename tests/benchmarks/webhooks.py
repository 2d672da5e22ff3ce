"""Some hundred webhooks beside a persister: what they cost while nothing happens, and while one namespace is written.

`python -m tests.benchmarks.webhooks PORT FILE` is the receiver, a process of its own.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, ClassVar, NamedTuple

import httpx

from app.embedded import free_port
from tests.conftest import Stack
from tests.support.webhooks import SETTINGS

#: Webhooks: of them so many want each grant of the namespace that is written, more than they can get; so many those of
#: one with a few grants; and so many the top of an idle board.
WEBHOOKS, BUSY, CALM, BOARDS = 300, 10, 10, 50
#: Keys that own them, and namespaces that nobody writes.
KEYS, IDLE_SPACES = 10, 100
#: Grants a second, in batches, and seconds of a phase.
RATE, BATCHES_A_S, SECONDS = 1_000, 10, 20
#: Seconds in which a persister that starts has begun to deliver.
START_S = 5
#: Rounds of draining, without and with webhooks in turn.
ROUNDS = 3
#: Grants that wait in the log while a persister is away.
BACKLOG = 60_000
#: The persister is to reach this part of its rate without webhooks.
RATIO_MIN = 0.9
#: Statements a second that webhooks may cost while nothing happens, however many they are.
IDLE_STATEMENTS_A_S_MAX = 15
KEY = "LEADERBOARD_WEBHOOK_KEY"
PATH, CALM_PATH = "/v1/namespaces/hooked/grants", "/v1/namespaces/calm/grants"
Load = Callable[[int, str, str, int, int], float]
Tell = Callable[..., None]


class Receipts(asyncio.Protocol):
    """Answers each request with 204. lags: seconds from `granted_at` to each message, by path."""

    lags: ClassVar[dict[str, list[float]]] = {"/busy": [], "/calm": []}

    def __init__(self) -> None:
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, _, body = self._read.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return
        self._read = b""
        granted_at = datetime.fromisoformat(json.loads(body)["data"]["granted_at"])
        self.lags[head.split()[1].decode()].append(time.time() - granted_at.timestamp())
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def receive(port: int) -> None:
    """Receives until it is to end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with await loop.create_server(Receipts, "127.0.0.1", port):
        await ended.wait()


@contextmanager
def receiver(port: int, lags: dict[str, list[float]]) -> Iterator[None]:
    """A receiver; at its end `lags` has what it saw, by path."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lags.json"
        process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.webhooks", str(port), str(file)])
        try:
            yield
        finally:
            process.terminate()
            process.wait()
        lags |= json.loads(file.read_text())


class Phase(NamedTuple):
    """What a stretch of time cost. lag: seconds from `granted_at` until the ledger had a grant, p50 and p99."""

    statements_a_s: float
    persister_cpu: float
    lag: tuple[float, float]


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def transactions(stack: Stack) -> int:
    """Transactions of the database so far. Those who ask are flushed a second after the statement."""
    ((count,),) = stack.sql(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(count)


def phase(stack: Stack, api: httpx.Client, tag: str, rate: int) -> Phase:
    """Some seconds with so many grants a second, in batches."""
    stack.wait_flushed(60)
    time.sleep(2)
    before, cpu_before, started = transactions(stack), cpu(stack.pid("persist")), time.monotonic()
    for i in range(SECONDS * BATCHES_A_S):
        if rate:
            grants = [
                {"grant_id": f"{tag}-{i}-{j}", "user_id": f"user-{(i * 7919 + j) % 100_000}", "amount": 5}
                for j in range(rate // BATCHES_A_S)
            ]
            api.post(PATH, json=grants).raise_for_status()
            api.post(CALM_PATH, json={**grants[0], "grant_id": f"calm-{tag}-{i}"}).raise_for_status()
        time.sleep(max(0.0, started + (i + 1) / BATCHES_A_S - time.monotonic()))
    took = time.monotonic() - started
    cost = cpu(stack.pid("persist")) - cpu_before
    count = transactions(stack) - before
    lags = stack.sql(
        "SELECT extract(epoch FROM recorded_at - granted_at)::float FROM ledger WHERE grant_id LIKE %s", f"{tag}-%"
    )
    return Phase(count / took, cost / took, percentiles([lag for (lag,) in lags]))


def percentiles(values: list[float]) -> tuple[float, float]:
    """The median and p99; 0 of nothing."""
    cuts = quantiles(values, n=100) if len(values) > 1 else [0.0] * 99
    return cuts[49], cuts[98]


def drain(stack: Stack, load: Load) -> float:
    """Grants a second with which a persister writes what waits in the log."""
    stack.wait_flushed(60)
    stack.kill("persist")
    load(stack.port, "batch", PATH, BACKLOG // 500, 4)
    ((before,),) = stack.sql("SELECT sum(seq)::bigint FROM partitions")
    stack.start("persist")
    while stack.sql("SELECT sum(seq)::bigint FROM partitions") == [(before,)]:
        time.sleep(0.005)
    started = time.perf_counter()
    ((first,),) = stack.sql("SELECT sum(seq)::bigint FROM partitions")
    while stack.sql("SELECT sum(seq)::bigint FROM partitions") < [(before + BACKLOG,)]:
        time.sleep(0.005)
    return float((before + BACKLOG - first) / (time.perf_counter() - started))


def again(stack: Stack, key: str) -> None:
    """The persister with another key for webhooks; without one it delivers nothing."""
    stack.stop("persist")
    stack.extra[KEY] = key
    stack.start("persist")
    time.sleep(START_S)


def make(stack: Stack, url: str) -> None:
    """The webhooks: the first ones watch the written namespaces, one of each key; then boards; the rest idle ones."""
    clients = [stack.client(stack.new_key("admin:*")) for _ in range(KEYS)]
    for i in range(WEBHOOKS):
        body: dict[str, Any] = {"url": url + "calm", "namespaces": f"idle-{i % IDLE_SPACES}", "types": ["granted"]}
        if i < BUSY:
            body |= {"url": url + "busy", "namespaces": "hooked"}
        elif i < BUSY + CALM:
            body["namespaces"] = "calm"
        elif i < BUSY + CALM + BOARDS:
            body |= {"types": ["entered", "left", "rank_changed"], "board": {"window": "week", "limit": 10}}
        elif i % 3 == 0:
            body |= {"namespaces": f"idle-{i % 10}*", "types": ["granted", "drift_began", "drift_ended"]}
        clients[i % KEYS].put(f"/v1/webhooks/hook-{i}", json=body).raise_for_status()
    for client in clients:
        client.close()


def main(load: Load, tell: Tell, tell_cost: Tell) -> None:
    """Phases without webhooks, then the same with them."""
    port, lags, later = free_port(), dict[str, list[float]](), dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.extra |= SETTINGS
            stack.up()
            with stack.client() as api:
                for name in ("hooked", "calm", *(f"idle-{i}" for i in range(IDLE_SPACES))):
                    api.put(f"/v1/namespaces/{name}", json={}).raise_for_status()
                again(stack, "")
                busy = phase(stack, api, "a", RATE)
                again(stack, "")
                idle = phase(stack, api, "b", 0)
                make(stack, f"http://127.0.0.1:{port}/")
                again(stack, SETTINGS[KEY])
                with receiver(port, lags):
                    hooked_idle = phase(stack, api, "c", 0)
                    started = time.monotonic()
                    hooked_busy = phase(stack, api, "d", RATE)
                    took = time.monotonic() - started
                rates: dict[str, list[float]] = {"": [], SETTINGS[KEY]: []}
                for _ in range(ROUNDS):
                    for key, measured in rates.items():
                        stack.extra[KEY] = key
                        with receiver(port, later):
                            measured.append(drain(stack, load))
        finally:
            stack.down()
    p50, p99 = percentiles(lags["/calm"])
    print(f"{WEBHOOKS} webhooks: {BUSY} of a namespace with {RATE:,} grants a second, {CALM} of one with {BATCHES_A_S}")
    more = hooked_idle.statements_a_s - idle.statements_a_s
    verdict = "met" if more <= IDLE_STATEMENTS_A_S_MAX else "NOT MET"
    print(f"{'idle: statements a second':34} {more:10,.1f} at most {IDLE_STATEMENTS_A_S_MAX}: {verdict}")
    tell_cost("idle: CPU of the persister, %", 100 * hooked_idle.persister_cpu, 100 * idle.persister_cpu, "%", None)
    tell_cost("written: CPU of the persister, %", 100 * hooked_busy.persister_cpu, 100 * busy.persister_cpu, "%", None)
    tell_cost("written: transactions a second", hooked_busy.statements_a_s, busy.statements_a_s, "a second", None)
    for i, name in enumerate(("p50", "p99")):
        tell_cost(f"grant to ledger, {name}", 1000 * hooked_busy.lag[i], 1000 * busy.lag[i], "ms", None)
    count = sum(map(len, lags.values()))
    message_ms = 1000 * (hooked_busy.persister_cpu - busy.persister_cpu) * took / max(1, count)
    print(f"{'deliveries':34} {count / took:10,.0f} a second, {message_ms:.2f} ms of CPU each")
    print(f"{'calm namespace: grant to receiver':34} p50 {p50:.2f} s, p99 {p99:.2f} s, {len(lags['/calm']):,} messages")
    plain, hooked = rates.values()
    tell("persister draining a log", median(hooked), median(plain), "grants/s", RATIO_MIN)
    print(f"{'  each round, without and with':34} {[f'{a:,.0f} {b:,.0f}' for a, b in zip(plain, hooked, strict=True)]}")


if __name__ == "__main__":
    asyncio.run(receive(int(sys.argv[1])))
    Path(sys.argv[2]).write_text(json.dumps(Receipts.lags))

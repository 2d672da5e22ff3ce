"""What a change cost: this checkout and an older one (`make bench ARGS=beside=PATH`), whole stacks, in turns.

The median of the pairs' differences, with quartiles: what else runs on the machine meets both of a pair alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx

Load = Callable[[int, str, str, int, int], float]

#: Turns of each stack.
TURNS = 20
WATCHERS = 100
OVERHEAD_PERCENT_MAX = 5.0
ROOT = Path(__file__).parents[2]
#: name, kind of load, what is asked, requests of a turn (some 5 s of both), connections, whether the board is watched.
PARTS: tuple[tuple[str, str, str, int, int, bool], ...] = (
    ("single grants", "single", "/v1/namespaces/beside/grants", 6_000, 64, False),
    ("batches of 500", "batch", "/v1/namespaces/beside/grants", 40, 4, False),
    ("top 10", "top-10", "/v1/namespaces/beside/boards/all", 8_000, 64, False),
    ("pages", "pages", "/v1/namespaces/beside/boards/all", 4_000, 64, False),
    (f"single grants, {WATCHERS} watch", "single", "/v1/namespaces/beside/grants", 4_000, 64, True),
)


class Side:
    """One checkout's stack."""

    def __init__(self, figures: dict[str, object]) -> None:
        self.port = int(str(figures["port"]))
        self.key = str(figures["key"])
        self.pids: dict[str, int] = figures["pids"]  # type: ignore[assignment]

    def cpu_ns(self, part: str) -> int:
        """Nanoseconds that all threads of a part have run so far."""
        tasks = Path(f"/proc/{self.pids[part]}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)


@contextmanager
def side(checkout: Path) -> Iterator[Side]:
    """A stack of a checkout, by this interpreter."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-P", str(ROOT / "tests" / "benchmarks" / "hold.py")]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=checkout, env=environment, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        side = Side(json.loads(process.stdout.readline()))
        with httpx.Client(
            base_url=f"http://127.0.0.1:{side.port}", headers={"Authorization": f"Bearer {side.key}"}
        ) as c:
            c.put("/v1/namespaces/beside", json={"visibility": "public"}).raise_for_status()
        yield side
    finally:
        process.stdin.close()
        process.wait(60)


@contextmanager
def watched(side: Side) -> Iterator[None]:
    """Watchers of the board that grants move."""
    command = [sys.executable, "-m", "tests.benchmarks.watch", str(side.port), side.key, "beside", str(WATCHERS)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "watching\n"
        yield
    finally:
        process.stdin.close()
        process.wait(60)


def main(older: Path, load: Load, turns: int = TURNS, only: str = "") -> None:
    """A line per part, or for those whose name begins with `only`: CPU of a request in server and store, and time by
    the clock, each as now against then."""
    with ExitStack() as open_sides:
        sides = {"then": open_sides.enter_context(side(older)), "now": open_sides.enter_context(side(ROOT))}
        for one in sides.values():
            load(one.port, "batch", "/v1/namespaces/beside/grants", 200, 4)
        for name, kind, path, count, connections, is_watched in PARTS:
            if not name.startswith(only):
                continue
            with ExitStack() as open_watchers:
                if is_watched:
                    for one in sides.values():
                        open_watchers.enter_context(watched(one))
                compare(name, sides, lambda port: load(port, kind, path, count, connections), count, turns)  # noqa: B023


def compare(name: str, sides: dict[str, Side], run: Callable[[int], float], count: int, turns: int) -> None:
    """Runs one part on both in turns, and tells."""
    costs: dict[str, dict[str, list[float]]] = {who: {"server": [], "redis": [], "wall": []} for who in sides}
    for turn in range(-1, turns):
        for who in sorted(sides, reverse=bool(turn % 2)):
            chosen_side = sides[who]
            before = [chosen_side.cpu_ns(part) for part in ("serve", "redis")]
            seconds = run(chosen_side.port)
            after = [chosen_side.cpu_ns(part) for part in ("serve", "redis")]
            if turn < 0:  # what is met for the first time
                continue
            server, store = (b - a for a, b in zip(before, after, strict=True))
            for figure, value in (("server", server / 1_000), ("redis", store / 1_000), ("wall", seconds * 1e6)):
                costs[who][figure].append(value / count)
    for figure in ("server", "redis", "wall"):
        then, now = costs["then"][figure], costs["now"][figure]
        low, middle, high = quantiles([100 * (b / a - 1) for a, b in zip(then, now, strict=True)], n=4)
        verdict = "" if figure != "server" else f"  at most {OVERHEAD_PERCENT_MAX:.0f} %: "
        verdict += "" if figure != "server" else "met" if middle <= OVERHEAD_PERCENT_MAX else "NOT MET"
        print(
            f"{name:28} {figure:6} {median(then):9.1f} then {median(now):9.1f} now  µs a request; median of {turns} "
            f"pairs {middle:+5.1f} % ({low:+.1f}, {high:+.1f}){verdict}",
            flush=True,
        )

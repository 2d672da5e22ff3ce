"""What a grant and a read cost a server on one, three and six nodes of Redis, and what 64 partitions cost beside 16."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import Stack
from tests.support.redis_topologies import ValkeyCluster

#: Name, masters of a cluster (0: one Redis that is none), partitions.
SIDES = (("one node", 0, 16), ("one node, 64 partitions", 0, 64), ("3 nodes", 3, 64), ("6 nodes", 6, 64))
NAMESPACES = 24
GRANTS = READS = 4_000
ROUNDS = 3
#: Connections: a round of one node has as many grants as come meanwhile, and many nodes share them.
CONNECTIONS = (64, 256)
#: Seconds for which it is looked at what idle processes take.
IDLE_S = 10.0
#: What a grant may cost on several nodes, as a multiple of what it costs on one.
COST_MAX = 1.3

Load = Callable[[int, str, str, int, int], float]
Tell = Callable[[str, float, float, str, float | None], None]


def main(load: Load, tell_cost: Tell) -> None:
    """A line for each side: CPU of the server a grant; of the idle persister a second."""
    with ExitStack() as open_stacks, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        stacks = {name: _stack(open_stacks, Path(folder) / name, count, p) for name, count, p in SIDES}
        idle = {name: -_cpu_us(stack, "persist") for name, stack in stacks.items()}
        time.sleep(IDLE_S)
        for name, stack in stacks.items():
            idle[name] += _cpu_us(stack, "persist")
        for kind, path, count, connections in (
            *(("spread", str(NAMESPACES), GRANTS, number) for number in CONNECTIONS),
            ("board", "/v1/namespaces/n0/boards/all", READS, CONNECTIONS[0]),
        ):
            costs = _costs(stacks, load, kind, path, count, connections)
            _tell_sides(tell_cost, f"{kind}, {connections} connections", costs, "µs", COST_MAX)
        seconds = {name: [_verify_s(stack)] for name, stack in stacks.items()}
        _tell_sides(tell_cost, "verify", seconds, "s", None)
        _tell_sides(tell_cost, "idle persister", {name: [us / IDLE_S] for name, us in idle.items()}, "µs/s", None)


def _costs(
    stacks: dict[str, Stack], load: Load, kind: str, path: str, count: int, connections: int
) -> dict[str, list[float]]:
    """CPU of each side's server a request, in rounds that take turns."""
    costs: dict[str, list[float]] = {name: [] for name in stacks}
    for _ in range(ROUNDS):
        for name, stack in stacks.items():
            before = _cpu_us(stack, "serve")
            load(stack.port, kind, path, count, connections)
            costs[name].append((_cpu_us(stack, "serve") - before) / count)
            stack.wait_flushed(60, counted=False)
    return costs


def _tell_sides(tell_cost: Tell, what: str, costs: dict[str, list[float]], unit: str, most: float | None) -> None:
    medians = {name: sorted(values)[len(values) // 2] for name, values in costs.items()}
    for name, cost in medians.items():
        tell_cost(f"{what}: {name}", cost, medians[SIDES[0][0]], unit, most)


def _verify_s(stack: Stack) -> float:
    stack.wait_flushed(60)
    begin = time.monotonic()
    done = stack.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - begin


def _stack(open_stacks: ExitStack, folder: Path, masters: int, partitions: int) -> Stack:
    folder.mkdir(mode=0o755)
    redis = ValkeyCluster(folder / "cluster", masters=masters, replicas=False) if masters else None
    stack = Stack(folder, postgres_options={"fsync": "off"}, redis=redis)
    stack.extra["LEADERBOARD_PARTITIONS"] = str(partitions)
    open_stacks.callback(stack.down)
    stack.up()
    with stack.client() as client:
        for i in range(NAMESPACES):
            client.put(f"/v1/namespaces/n{i}", json={}).raise_for_status()
    return stack


def _cpu_us(stack: Stack, part: str) -> float:
    """Microseconds that all threads of a part have run so far."""
    tasks = Path(f"/proc/{stack.pid(part)}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1_000

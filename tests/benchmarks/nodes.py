"""What a grant costs a server on one, three and six nodes of Redis, and what 64 partitions cost beside 16."""

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
GRANTS = 4_000
ROUNDS = 3
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
        costs: dict[str, list[float]] = {name: [] for name in stacks}
        for name, stack in stacks.items():
            idle[name] += _cpu_us(stack, "persist")
        for _ in range(ROUNDS):
            for name, stack in stacks.items():
                before = _cpu_us(stack, "serve")
                load(stack.port, "spread", str(NAMESPACES), GRANTS, 64)
                costs[name].append((_cpu_us(stack, "serve") - before) / GRANTS)
                stack.wait_flushed(60, counted=False)
        plain, *_ = SIDES
        for name in stacks:
            ours, one = (sorted(costs[side])[ROUNDS // 2] for side in (name, plain[0]))
            tell_cost(f"a grant: {name}", ours, one, "µs", COST_MAX)
        for name in stacks:
            tell_cost(f"idle persister: {name}", idle[name] / IDLE_S, idle[plain[0]] / IDLE_S, "µs/s", None)


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

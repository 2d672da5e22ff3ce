"""What `?ack=` costs: those who ask for it, and those who do not, beside a replica on the same machine, in one run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.conftest import Stack
from tests.support.replicated_stack import replica_of

Load = Callable[[int, str, str, int, int], float]
Tell = Callable[[str, float, float, str, float | None], None]
PATH = "/v1/namespaces/bench-acks/grants"
COUNT = 4_000
#: Connections of those who are measured, and of those beside them.
CONNECTIONS, BESIDE = 32, 16


def main(stack: Stack, load: Load, tell_cost: Tell, rounds: int) -> None:
    """Milliseconds a thousand grants, one a request, against the same without `?ack=`."""
    with stack.client() as client:
        client.put("/v1/namespaces/bench-acks", json={}).raise_for_status()
    with replica_of(stack), ThreadPoolExecutor(1) as pool:
        alone = {level: list[float]() for level in ("", "?ack=replica", "?ack=audit")}
        beside = {level: list[float]() for level in ("", "?ack=replica")}
        for _ in range(rounds):
            stack.wait_flushed(60)
            for level, times in alone.items():
                times.append(load(stack.port, "single", PATH + level, COUNT, CONNECTIONS))
            for level, times in beside.items():
                others = pool.submit(load, stack.port, "single", PATH + level, COUNT, BESIDE)
                times.append(load(stack.port, "single", PATH, COUNT, CONNECTIONS))
                others.result()
    for level in ("?ack=replica", "?ack=audit"):
        tell_cost(level, _median(alone[level]), _median(alone[""]), "ms/1,000", None)
    tell_cost("no ack, beside ?ack=replica", _median(beside["?ack=replica"]), _median(beside[""]), "ms/1,000", None)


def _median(seconds: list[float]) -> float:
    """Milliseconds a thousand grants."""
    return sorted(seconds)[len(seconds) // 2] * 1e6 / COUNT

"""What `latest` costs in Redis where grants come in no order: the script's own time, as ratios to `sum`."""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Raw

from app.embedded import ValkeyProcess, free_port
from app.model.entry import PlannedEntry
from app.model.grant import Grant, plan
from app.model.namespace import Namespace
from tests.benchmarks.rules import BATCH, Bench

DAYS = 30

Tell = Callable[[str, float, float, str, float | None], None]


def grants(space: Namespace, count: int, users: int, tag: str) -> list[PlannedEntry]:
    """Grants of some users within 30 days, in random order, with a category and a source."""
    now = time.time_ns() // 1000
    return [
        plan(
            Grant(f"{tag}-{i}", f"user-{random.randrange(users)}", Raw(b"%d" % random.randrange(999)), "red", "race"),
            space,
            now - random.randrange(DAYS * 86_400_000_000),
        )
        for i in range(count)
    ]


def main(tell: Tell, batches: int = 20, rounds: int = 5) -> None:
    """One line a number of users: `latest`, `sum`, their ratio. Their batches take turns."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = ValkeyProcess(Path(folder), free_port())
        valkey.start()
        try:
            bench = Bench(valkey)
            for users in (20, 100_000):
                compare(bench, tell, users, batches, rounds)
        finally:
            valkey.stop()


def compare(bench: Bench, tell: Tell, users: int, batches: int, rounds: int) -> None:
    """The first round fills the boards, and is not counted."""
    spaces = [bench.space(aggregation=aggregation) for aggregation in ("latest", "sum")]
    times: list[list[float]] = [[], []]
    for r in range(rounds + 1):
        sums = [0.0, 0.0]
        for b in range(batches if r else max(batches, 5 * users // BATCH // 2)):
            for i in random.sample((0, 1), 2):
                sums[i] += bench.micros(grants(spaces[i], BATCH, users, f"r{r}-{b}"))
        if r:
            for i in (0, 1):
                times[i].append(sums[i] / batches)
    ours, plain = (sorted(one)[rounds // 2] for one in times)
    tell(f"latest in no order, {users:,} users", ours, plain, "µs", 1.5)
    print(f"{'':34} {bench.bytes_of_times(spaces[0]):10,.0f} bytes of times a user and board", flush=True)

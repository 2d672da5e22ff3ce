"""What streaks cost: a grant in Redis, bytes a user and day, and reads of users with many days."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Raw

from app.embedded import ValkeyProcess, free_port
from app.model.entry import PlannedEntry
from app.model.grant import Grant, plan
from app.model.namespace import Namespace
from app.read.board_bodies import BoardEntry
from app.read.includes import with_includes
from app.read.totals import totals_of
from app.store.boards import READS
from tests.benchmarks.rules import BATCH, Bench, P

USERS = 100
DAYS = 3_000
DAY_US = 86_400_000_000

Tell = Callable[[str, float, float, str, float | None], None]


class Direct:
    """Redis as a gatherer is asked, one call after the other; counts the time of the scripts and commands."""

    def __init__(self, store: Any) -> None:
        self._store = store
        for script in READS:
            store.script_load(script.source)

    async def call(self, call: Any, weight: int = 1) -> Any:
        """The reply."""
        return self._store.execute_command(*call)

    async def zones_of(self, users: Any) -> dict[str, str]:
        """Nobody has a zone of their own."""
        return {}

    def millis(self, make: Callable[[], Any], rounds: int = 5) -> float:
        """Milliseconds of Redis that a read takes, the median."""
        costs = []
        for _ in range(rounds):
            self._store.config_resetstat()
            asyncio.run(make())
            stats = self._store.info("commandstats")
            costs.append(sum(one["usec"] for name, one in stats.items() if not name.startswith("cmdstat_config")))
        return float(sorted(costs)[rounds // 2]) / 1000


def daily(space: Namespace, now: int, days: int) -> list[PlannedEntry]:
    """A grant of each user on each day before now."""
    users = [f"user-{i}" for i in range(USERS)]
    grants = [(day, user) for day in range(days) for user in users]
    return [
        plan(Grant(f"{user}-{day}", user, Raw(b"5"), "red", "race"), space, now - day * DAY_US) for day, user in grants
    ]


def main(tell: Tell, rounds: int = 40) -> None:
    """Reads of 100 users with 3,000 days each, their bytes, and grants with and without streaks, batches in turn."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = ValkeyProcess(Path(folder), free_port(), options={"appendfsync": "no"})
        valkey.start()
        try:
            bench = Bench(valkey)
            read(bench)
            for users, kind in ((100_000, "random users"), (500, "few users")):
                grants(bench, tell, users, kind, rounds)
        finally:
            valkey.stop()


def read(bench: Bench) -> None:
    """Time of Redis and bytes."""
    store = bench.store
    now = now_us()
    spaces = [bench.space(streaks=one, periods=("all",)) for one in (True, False)]
    for space in spaces:
        bench.micros(daily(space, now, DAYS))
    with_days, plain = (
        sum(
            store.memory_usage(name, samples=0)
            for kind in "ud"
            for name in store.scan_iter(match=f"lb:{{{P}}}:{kind}:{space.id}:*", count=10_000)
        )
        for space in spaces
    )
    print(
        f"{'bytes a user of 3,000 days':34} {(with_days - plain) / USERS:10,.0f}, "
        f"{(with_days - plain) / USERS / DAYS:.2f} a day"
    )
    direct, space = Direct(store), spaces[0]
    names = [f"user-{i}" for i in range(USERS)]
    rows = [BoardEntry(i, i, name, 5) for i, name in enumerate(names, 1)]

    def streaks() -> Any:
        return with_includes(direct, direct, space, rows, frozenset({"streak", "updated_at"}), now)  # type: ignore[arg-type]

    def totals() -> Any:
        return totals_of(direct, space, names, without_hidden=False)  # type: ignore[arg-type]

    assert asyncio.run(streaks())[0].streak["best"] == DAYS
    print(f"{'include=streak,updated_at':34} {direct.millis(streaks):10,.2f} ms of Redis, 100 users")
    print(f"{'totals':34} {direct.millis(totals):10,.2f} ms of Redis, 100 users", flush=True)


def grants(bench: Bench, tell: Tell, users: int, kind: str, rounds: int) -> None:
    """A grant of a namespace with streaks against one without."""
    spaces = [bench.space(streaks=one) for one in (True, False)]
    times: list[list[float]] = [[], []]
    for r in range(rounds):
        for i in random.sample((0, 1), 2):
            entries = [
                plan(
                    Grant(f"{r}-{n}", f"user-{random.randrange(users)}", Raw(b"5"), "red", "race"), spaces[i], now_us()
                )
                for n in range(BATCH)
            ]
            times[i].append(bench.micros(entries))
    ours, without = (sorted(one)[rounds // 2] for one in times)
    tell(f"streaks, {kind}", ours, without, "µs", None)


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000

"""What each rule costs a grant in Redis: the script's own time, as ratios to a plain grant of four boards."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from msgspec import UNSET, Raw

from app.embedded import ValkeyProcess, free_port
from app.model.cell_ops import correction_entry
from app.model.correction import CorrectionRequest, Edit, GrantState, apply_edit
from app.model.entry import PlannedEntry
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.store import apply, keys
from app.store.apply import APPLY, PartitionHead
from app.store.partitions import INIT_PARTITION

USERS = 100_000
BATCH = 500
P = 0

Tell = Callable[[str, float, float, str, float | None], None]


class Bench:
    """One partition on one Valkey that is written to by nothing else."""

    def __init__(self, valkey: ValkeyProcess) -> None:
        self.store: Any = redis.Redis.from_url(valkey.url)
        self.store.eval(INIT_PARTITION.source, 1, keys.meta(P), 1, "here", 0)
        self._sha = self.store.script_load(APPLY.source)
        self._seq = 0
        self._ids = 0

    def space(self, **rules: Any) -> Namespace:
        """A namespace of its own."""
        self._ids += 1
        self.store.hset(keys.rules(P), str(self._ids), "1")
        return Namespace(self._ids, f"n{self._ids}", P, 1, Rules(**rules))

    def grants(self, space: Namespace, count: int, tag: str, most: int = 0) -> list[PlannedEntry]:
        """Grants to random users, with a category and a source; of 5, or of up to so much."""
        now = time.time_ns() // 1000
        costs = []
        for i in range(count):
            user, amount = f"user-{random.randrange(USERS)}", random.randint(1, most) if most else 5
            grant = Grant(f"{tag}-{i}", user, Raw(str(amount).encode()), category="red", source="race")
            costs.append(plan(grant, space, now))
        return costs

    def bytes_of_times(self, space: Namespace) -> float:
        """Bytes that the times of the latest take, a user and board."""
        names = list(self.store.scan_iter(match=keys.grant_times(P, space.id, "*"), count=10_000))
        size = sum(self.store.memory_usage(name, samples=1000) for name in names)
        return float(size / sum(self.store.hlen(name) for name in names))

    def micros(self, entries: list[PlannedEntry]) -> float:
        """Microseconds of the script an entry; every entry must be applied."""
        calls = [
            list(apply.pack(P, entries[i : i + BATCH], PartitionHead(1, "1", 0, (0, 0, b""))))[2:]
            for i in range(0, len(entries), BATCH)
        ]
        self.store.config_resetstat()
        for call in calls:
            reply = self.store.execute_command("EVALSHA", self._sha, *call)
            assert reply[0] == b"ok"
            assert set(reply[1::5]) == {b"applied"}, set(reply[1::5])
        stats = self.store.info("commandstats")
        return float(stats["cmdstat_evalsha"]["usec"]) / len(entries)

    def bytes_of_sums(self, space: Namespace) -> float:
        """Bytes that the trees of sums take, a user and board."""
        names = list(self.store.scan_iter(match=keys.sum_tree(P, space.id, "*"), count=10_000))
        size = sum(self.store.memory_usage(name, samples=1000) for name in names)
        return float(size / sum(self.store.zcard(name.replace(b":bt:", b":b:")) for name in names))

    def corrected(self, entries: list[PlannedEntry], verb: str) -> Iterator[PlannedEntry]:
        """A correction of each grant, as the server plans it for a user with no other grants in the way."""
        for entry in entries:
            body, space = entry.body, entry.namespace
            state = GrantState(
                **{name: getattr(body, name) for name in ("grant_id", "user", "revision", "amount", "category")},
                **{name: getattr(body, name) for name in ("source", "source_id", "action", "session_id")},
                **{name: getattr(body, name) for name in ("granted_at", "windows")},
                voided=False,
                seq=1,
            )
            edit = Edit(amount=Raw(b"7") if verb == "edit" else UNSET)
            edit.reason = "recount"
            after = apply_edit(space, state, edit, body.granted_at)
            yield correction_entry(space, CorrectionRequest(body.grant_id, "edit", edit, "bench"), state, after, {})


def main(tell: Tell, grants: int = 30_000, rounds: int = 3) -> None:
    """One line a rule: its time, the plain grant's, their ratio."""
    goals = {"tie_break: earliest": 2.2, "a correction": 3.0, "statistics": 1.35}
    rules: dict[str, dict[str, Any]] = {
        "tie_break: earliest": {"tie_break": "earliest"},
        "tie_break: granted_at": {"tie_break": "granted_at"},
        "ranking: dense": {"ranking": "dense"},
        "category_boards": {"category_boards": True},
        "aggregation: best": {"aggregation": "best"},
        "statistics": {"statistics": True},
    }
    with tempfile.TemporaryDirectory() as folder:
        valkey = ValkeyProcess(Path(folder), free_port())
        valkey.start()
        try:
            bench = Bench(valkey)
            plain = bench.space(statistics=False)
            spaces = {name: bench.space(**{"statistics": False, **given}) for name, given in rules.items()}
            costs: dict[str, list[float]] = {name: [] for name in ("plain", "a correction", *rules)}
            for r in range(rounds):
                entries = bench.grants(plain, grants, f"r{r}")
                costs["plain"].append(bench.micros(entries))
                costs["a correction"].append(bench.micros(list(bench.corrected(entries, "edit"))))
                for name, space in spaces.items():
                    costs[name].append(bench.micros(bench.grants(space, grants, f"r{r}")))
            bounded_sums(bench, tell, grants, rounds)
        finally:
            valkey.stop()
    base = sorted(costs.pop("plain"))[rounds // 2]
    for name, times in costs.items():
        tell(name, sorted(times)[rounds // 2], base, "µs", goals.get(name))


def bounded_sums(bench: Bench, tell: Tell, grants: int, rounds: int) -> None:
    """What `bounded_sums` costs depends on how far the scores lie apart: one line a spread, in µs and in bytes."""
    for most in (10**3, 10**6, 10**9, 10**12):
        plain, with_sums = (bench.space(statistics=False, bounded_sums=one) for one in (False, True))
        times: tuple[list[float], list[float]] = ([], [])
        for r in range(rounds):
            for space, hit in zip((plain, with_sums), times, strict=True):
                hit.append(bench.micros(bench.grants(space, grants, f"r{r}", most)))
        base, cost = (sorted(one)[rounds // 2] for one in times)
        tell(f"bounded_sums, grants to {most:.0e}", cost, base, "µs", None)
        print(f"{'':34} {bench.bytes_of_sums(with_sums):10,.0f} bytes a user and board", flush=True)

"""What Redis holds of the log and of grant ids, what it may hold, and how long that lasts at the present rate.

The bounds are bytes over the whole deployment. Half of them is split evenly between the partitions; the other half goes
to the partitions that need more. So one busy partition may take more than half of all, and no other one goes without.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import NamedTuple

from .. import metrics
from ..drivers.redis import RedisConnection
from ..model.text import count_text
from ..settings import Settings
from .store_use import NodeMemory, PartitionUse, read_memory, read_uses

#: Seconds over which the present rate is taken: shorter ones would tell of each burst.
RATE_S = 60.0
#: Bytes of an entry of the log until it is measured: those of a grant without meta, and some more.
LOG_ENTRY_BYTES = 180.0
#: Bytes of a grant id until it is measured: Valkey takes 72, Redis 7 takes 109.
DEDUP_ID_BYTES = 110.0
#: Seconds without Postgres that the log should last: an outage that somebody must see and mend.
LOG_S_MIN = 3_600.0
#: Seconds for which ids should be remembered: longer than a grant may be from the future (accept_future, 300 s), or
#: every grant is looked up in Postgres before it counts.
DEDUP_S_MIN = 900.0
#: Fraction of maxmemory from which on /readyz warns; the log's tail goes then, too (lua/include/memory.lua).
MEMORY_FRACTION_MAX = 0.9
_MIB = 1 << 20
#: A partition that was not measured yet: it holds nothing, and has no seq.
UNKNOWN = PartitionUse(seq=-1)


@dataclass(frozen=True, kw_only=True)
class StoreBounds:
    """What may be held: bytes of the log, at most so many entries of a partition (None: as many as these bytes hold),
    bytes of grant ids, and seconds for which these are remembered where there is room."""

    log_bytes: int
    log_entries: int | None
    dedup_bytes: int
    dedup_s: float

    @classmethod
    def of(cls, settings: Settings) -> "StoreBounds":
        """The bounds that the settings tell."""
        return cls(
            log_bytes=settings.log_bytes_max,
            log_entries=settings.log_entries_max,
            dedup_bytes=settings.dedup_bytes_max,
            dedup_s=settings.dedup_s,
        )


class Duration(NamedTuple):
    """How long a partition's log, or its memory of ids, lasts at its rate in entries a second."""

    seconds: float
    partition: int
    rate: float


def split(whole: float, uses: Sequence[float]) -> list[float]:
    """The bounds of several parts of a whole, by what each part uses. Uses within them never add up to more than it."""
    own = whole / 2 / len(uses)
    over = [max(0.0, use - own) for use in uses]
    free = max(0.0, whole / 2 - sum(over))
    return [own + part + free for part in over]


class Capacity:
    """What a process knows of the capacity. `measure` learns it; before that the bounds are those of an empty store."""

    def __init__(self, bounds: StoreBounds, partitions: int, clock: Callable[[], float] = monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._uses = [UNKNOWN] * partitions
        self._nodes: list[NodeMemory] = []
        self._seqs: deque[tuple[float, list[int]]] = deque()
        self._rates = [0.0] * partitions
        self._compute()

    async def measure(self, redis: RedisConnection) -> None:
        """Asks Redis for what it holds. O(partitions); ConnectionError where nobody tells its nodes."""
        self.note(await read_uses(redis, range(len(self._uses))), await read_memory(redis))

    def note(self, uses: Sequence[PartitionUse | None], nodes: list[NodeMemory]) -> None:
        """Takes a measurement: that of each partition, None where its node is away, and that of each node."""
        self._uses = [use or old for use, old in zip(uses, self._uses, strict=True)]
        self._nodes = nodes
        now, seqs = self._clock(), [use.seq for use in self._uses]
        self._seqs.append((now, seqs))
        while len(self._seqs) > 2 and self._seqs[1][0] <= now - RATE_S:
            self._seqs.popleft()
        then, before = self._seqs[0]
        self._rates = [
            max(0, seq - old) / max(RATE_S, now - then) if old >= 0 else 0.0
            for seq, old in zip(seqs, before, strict=True)
        ]
        self._compute()
        self._set_metrics()

    def log_entries(self, p: int) -> int:
        """How many entries of a partition the ledger may lack. O(1)."""
        return self._log_entries[p]

    def log_length(self, p: int) -> int:
        """How many entries a partition's log may have beside those that the ledger lacks. O(1)."""
        return self._log_length[p]

    def dedup_ids(self, p: int) -> int:
        """How many ids end a generation of a partition: it keeps two. O(1)."""
        return self._dedup_ids[p]

    def log_duration(self) -> Duration | None:
        """The partition whose log would be full first if the ledger took no more entries; None where none come in."""
        rooms = [bound - use.lag for bound, use in zip(self._log_entries, self._uses, strict=True)]
        return self._shortest(rooms, inf)

    def dedup_duration(self) -> Duration | None:
        """The partition that remembers ids for the shortest time; None where none come in."""
        return self._shortest(self._dedup_ids, self._bounds.dedup_s)

    def lines(self) -> list[str]:
        """What /readyz tells of it: a line each for the log, the ids, and each node's memory."""
        log, dedup = self.log_duration(), self.dedup_duration()
        least = min(bound - use.lag for bound, use in zip(self._log_entries, self._uses, strict=True))
        return [
            f"the log takes {count_text(max(0, least), 'more entry', 'more entries')}"
            if log is None
            else _log_text(log),
            f"grant ids are remembered for {_time(self._bounds.dedup_s)}" if dedup is None else _dedup_text(dedup),
            *(_memory_text(node) for node in self._nodes),
        ]

    def warnings(self) -> list[str]:
        """What of it is too short: a line each."""
        log, dedup = self.log_duration(), self.dedup_duration()
        texts = []
        if log is not None and log.seconds < LOG_S_MIN:
            texts.append(f"{_log_text(log)} (LEADERBOARD_LOG_BYTES_MAX), and should last {_time(LOG_S_MIN)}")
        if dedup is not None and dedup.seconds < min(DEDUP_S_MIN, self._bounds.dedup_s):
            texts.append(f"{_dedup_text(dedup)} (LEADERBOARD_DEDUP_BYTES_MAX), and should be for {_time(DEDUP_S_MIN)}")
        texts += [
            f"{_memory_text(node)}: a full Redis refuses grants"
            for node in self._nodes
            if node.max and node.used >= MEMORY_FRACTION_MAX * node.max
        ]
        whole, room = self._bounds.log_bytes + self._bounds.dedup_bytes, sum(node.max for node in self._nodes)
        if room < whole and self._nodes and all(node.max for node in self._nodes):
            texts.append(
                f"LEADERBOARD_LOG_BYTES_MAX and LEADERBOARD_DEDUP_BYTES_MAX are {_size(whole)}, more than the "
                f"{_size(room)} of maxmemory"
            )
        return texts

    def _compute(self) -> None:
        bounds, uses = self._bounds, self._uses
        entry_bytes = [_size_of(use.log_bytes, use.log_entries, LOG_ENTRY_BYTES) for use in uses]
        id_bytes = [_size_of(use.dedup_bytes, use.dedup_ids, DEDUP_ID_BYTES) for use in uses]
        lags = split(bounds.log_bytes, [use.lag * size for use, size in zip(uses, entry_bytes, strict=True)])
        lengths = [float(use.log_bytes) for use in uses]
        # Entries that the ledger has give way where all logs together are too long.
        is_over = sum(lengths) > bounds.log_bytes
        tails = [bounds.log_bytes / 2 / len(uses)] * len(uses) if is_over else split(bounds.log_bytes, lengths)
        ids = split(bounds.dedup_bytes, [float(use.dedup_bytes) for use in uses])
        most = inf if bounds.log_entries is None else bounds.log_entries
        self._log_entries = [int(min(most, max(1, part / size))) for part, size in zip(lags, entry_bytes, strict=True)]
        self._log_length = [max(1, int(part / size)) for part, size in zip(tails, entry_bytes, strict=True)]
        self._dedup_ids = [max(1, int(part / 2 / size)) for part, size in zip(ids, id_bytes, strict=True)]

    def _shortest(self, rooms: Sequence[float], longest_s: float) -> Duration | None:
        durations = [
            Duration(min(longest_s, max(0, room) / rate), p, rate)
            for p, (room, rate) in enumerate(zip(rooms, self._rates, strict=True))
            if rate > 0
        ]
        return min(durations, default=None)

    def _set_metrics(self) -> None:
        for p, use in enumerate(self._uses):
            name = str(p)
            metrics.LOG_ENTRIES.labels(name).set(use.log_entries)
            metrics.LOG_BYTES.labels(name).set(use.log_bytes)
            metrics.LOG_LAG.labels(name).set(use.lag)
            metrics.LOG_LAG_MAX.labels(name).set(self._log_entries[p])
            metrics.LOG_RATE.labels(name).set(self._rates[p])
            metrics.DEDUP_IDS.labels(name).set(use.dedup_ids)
            metrics.DEDUP_BYTES.labels(name).set(use.dedup_bytes)
        for node in self._nodes:
            metrics.REDIS_MEMORY.labels(node.address).set(node.used)
            metrics.REDIS_MEMORY_MAX.labels(node.address).set(node.max)
        log, dedup = self.log_duration(), self.dedup_duration()
        metrics.LOG_LASTS.set(inf if log is None else log.seconds)
        metrics.DEDUP_LASTS.set(self._bounds.dedup_s if dedup is None else dedup.seconds)


def _size_of(size: int, count: int, unknown: float) -> float:
    """Bytes of one of `count`."""
    return size / count if size and count else unknown


def _log_text(log: Duration) -> str:
    return f"the log of partition {log.partition} lasts {_time(log.seconds)} at {_rate(log.rate)} entries/s"


def _dedup_text(dedup: Duration) -> str:
    return (
        f"grant ids of partition {dedup.partition} are remembered for {_time(dedup.seconds)} at {_rate(dedup.rate)} "
        "entries/s"
    )


def _memory_text(node: NodeMemory) -> str:
    if node.max:
        return f"Redis at {node.address} uses {_size(node.used)} of {_size(node.max)} (maxmemory)"
    return f"Redis at {node.address} uses {_size(node.used)}, without a maxmemory"


def _size(count: int) -> str:
    return f"{count / _MIB:,.1f} MiB" if count < 1024 * _MIB else f"{count / _MIB / 1024:,.1f} GiB"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _time(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"

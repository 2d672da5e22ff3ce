"""What a 2xx stands for: `fsync`, that Redis has the entry on its disk; `replica`, that a replica of Redis has it, too;
`audit`, that the ledger has it."""

import asyncio
from collections.abc import Hashable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, get_args

from ..drivers.backlog_shares import BacklogShares
from ..drivers.caller import CALLER
from ..metrics import ACK_SECONDS, ACKS_MISSED
from ..model.entry import PlannedEntry
from ..model.entry_kinds import CORRECTION, GRANT
from ..model.errors import Invalid, Problem, StoreUnavailable
from ..model.namespace import Namespace
from ..store.apply import Outcome
from ..store.ledger import EntryKey
from .committer import Committer
from .entry_wait import CountedEntry, EntryWait
from .ledger_dedup import contact_head
from .receipts import CorrectionReceipt
from .replica_wait import ReplicaWait

AckLevel = Literal["fsync", "replica", "audit"]
LEVELS: tuple[AckLevel, ...] = get_args(AckLevel)
#: Entries that wait for a replica or the ledger. What they keep in memory is their request: some KB an entry.
WAITING_ENTRIES_MAX = 50_000
NO_WAIT = nullcontext()  # of a request that waits for nothing more


@dataclass(frozen=True, kw_only=True)
class Acknowledgements:
    """What the waits of a process share. standard: what every answer stands for; wait_s: seconds that a request waits
    after its entries counted."""

    committer: Committer
    replicas: ReplicaWait
    ledger: EntryWait
    standard: str
    wait_s: float
    shares: BacklogShares = field(
        default_factory=lambda: BacklogShares(WAITING_ENTRIES_MAX, "grants that wait for an acknowledgement")
    )

    def begin(self, level: str | None) -> "AckWait | None":
        """The wait of a request that asks for a level; None: it asks for no more than every answer stands for. Invalid
        for a level that there is not, or not here."""
        if level is None or level == self.standard:
            return None
        if level == "fsync":
            raise Invalid(
                f"Redis is set to {self.standard} here (LEADERBOARD_REDIS_DURABILITY): ask for replica or audit",
                field="?ack",
            )
        for known in LEVELS:
            if level == known:
                return AckWait(self, known)
        raise Invalid(f"must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}", field="?ack")


class AckWait:
    """One request's wait: `open` before its entries are submitted, `note…` for those that counted, `wait`. Leaving the
    context gives its room back. Entries have the numbers that the request gives them."""

    def __init__(self, parts: Acknowledgements, level: AckLevel) -> None:
        self.level = level
        self._parts = parts
        self._lane: Hashable = None
        self._count = 0
        self._numbers: dict[EntryKey, list[int]] = {}
        self._entries: list[CountedEntry] = []
        self._of_epoch: dict[tuple[int, int], _EpochEntries] = {}

    def open(self, count: int) -> None:
        """Takes room for so many entries. RateLimited, Overloaded: then nothing is to be submitted."""
        self._lane = CALLER.get(), count > 1
        self._parts.shares.take(self._lane, count)
        self._count = count

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        if self._count:
            self._parts.shares.give(self._lane, self._count)

    async def epoch(self, p: int) -> int:
        """A partition's epoch before entries are submitted. StoreUnavailable, Recovering."""
        head = self._parts.committer.head(p) or await contact_head(self._parts.committer, p)
        return 0 if head is None else head.epoch

    def note_grants(self, numbers: Iterable[int], entries: Sequence[PlannedEntry], outcomes: Sequence[Outcome]) -> None:
        """Notes which entries of one partition counted, now or before. Called with the outcomes, before anything else
        is waited for: the epoch is that of the Redis which gave them."""
        head = self._parts.committer.head(entries[0].namespace.partition)
        for number, entry, outcome in zip(numbers, entries, outcomes, strict=True):
            if outcome.code in ("applied", "quarantined", "duplicate"):
                epoch = 0 if head is None else head.epoch
                key = entry.namespace.id, GRANT.name, entry.body.grant_id, entry.body.revision
                self._note(number, entry.namespace.partition, key, outcome, epoch=epoch)

    def note_correction(self, number: int, namespace: Namespace, receipt: CorrectionReceipt, epoch: int) -> None:
        """Notes a correction that counted, now or before. epoch: the partition's before the request."""
        key = namespace.id, CORRECTION.name, receipt.grant_id, receipt.revision
        self._note(number, namespace.partition, key, receipt, epoch=epoch)

    async def wait(self) -> dict[int, StoreUnavailable]:
        """Waits until all that was noted is acknowledged, or time is up. The result: by number, why an entry is not."""
        start_s = monotonic()
        until = start_s + self._parts.wait_s
        causes = await (self._wait_for_replicas(until) if self.level == "replica" else self._wait_for_ledger(until))
        ACK_SECONDS.labels(self.level).observe(monotonic() - start_s)
        ACKS_MISSED.labels(self.level).inc(len(causes))
        return {number: self._unmet(cause) for number, cause in causes.items()}

    def _note(self, number: int, p: int, key: EntryKey, counted: Outcome | CorrectionReceipt, *, epoch: int) -> None:
        place = (counted.epoch or 0, counted.seq or 0)
        if self.level == "audit":
            if counted.seq is not None:  # else the ledger has it already
                self._numbers.setdefault(key, []).append(number)
                self._entries.append(CountedEntry(p, place, key))
            return
        is_duplicate = (counted.status if isinstance(counted, CorrectionReceipt) else counted.code) == "duplicate"
        of_epoch = self._of_epoch.setdefault((p, epoch if is_duplicate else place[0]), _EpochEntries())
        of_epoch.seq = max(of_epoch.seq, place[1])
        of_epoch.numbers.append(number)

    async def _wait_for_replicas(self, until: float) -> dict[int, Problem]:
        waits = (self._parts.replicas.wait(p, (epoch, each.seq), until) for (p, epoch), each in self._of_epoch.items())
        ends = await asyncio.gather(*waits, return_exceptions=True)
        causes: dict[int, Problem] = {}
        for each, end in zip(self._of_epoch.values(), ends, strict=True):
            if isinstance(end, Problem):
                causes |= dict.fromkeys(each.numbers, end)
            elif end is not None:
                raise end
        return causes

    async def _wait_for_ledger(self, until: float) -> dict[int, Problem]:
        if not self._entries:
            return {}
        causes = await self._parts.ledger.wait(self._entries, until)
        return {number: cause for key, cause in causes.items() for number in self._numbers[key]}

    def _unmet(self, cause: Problem) -> StoreUnavailable:
        return StoreUnavailable(
            f"it counted and stands at {self._parts.standard}, not at {self.level}: {cause.detail}; the same request "
            "waits again"
        )


@dataclass(slots=True)
class _EpochEntries:
    """Entries of one partition that Redis answered for in one epoch: the last seq, and their numbers."""

    seq: int = 0
    numbers: list[int] = field(default_factory=list)

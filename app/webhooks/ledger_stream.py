"""Events of the ledger, from an offset of the webhook's own in each partition."""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from time import monotonic
from typing import NamedTuple

import asyncpg
import msgspec

from ..drivers.postgres import Fetch
from ..model.event import OF_LEDGER
from ..model.meta import read_meta
from ..model.visibility import is_erased
from ..model.webhook import WebhookSettings, is_covered, like_pattern
from ..model.webhook_message import Message, message_of
from ..store.event_rows import ledger_event
from ..store.namespace_cache import namespace_from_row
from .delivery_session import DelivererSession
from .stream import Head

#: Entries of a partition that one look goes over: with those of the other partitions a few ms.
ENTRIES_A_LOOK_MAX = 100
#: Partitions that one look goes over.
PARTITIONS_A_LOOK_MAX = 16
#: Entries that wait in memory for a receiver; what follows is looked for again.
WAITING_MAX = 100
#: Seconds between two notes of how far a webhook was looked for where nothing was of its concern.
NOTE_S = 10.0
_KINDS = {str(kind.__struct_config__.tag): name for name, kind in OF_LEDGER.items()}
#: What an event tells only if a webhook asks for it.
_OPTIONAL = ("reason", "actor")

LedgerPlace = tuple[int, int]


class Candidate(NamedTuple):
    """An entry of a webhook's types and namespaces."""

    partition: int
    epoch: int
    seq: int
    type: str
    recorded_at: datetime


class LedgerStream:
    """The entries of some kinds, in each partition in the order of the log.

    ends: how far the ledger of each partition is; the deliverer keeps it up to date.
    """

    name = "ledger"
    failing_state = "failing"

    def __init__(
        self,
        session: DelivererSession,
        number: int,
        settings: WebhookSettings,
        ends: Mapping[int, LedgerPlace],
        offsets: Mapping[int, LedgerPlace],
    ) -> None:
        self._session = session
        self._number = number
        self._settings = settings
        self._kinds = [_KINDS[name] for name in settings.types if name in _KINDS]
        self._names = {_KINDS[name]: name for name in settings.types if name in _KINDS}
        self._ends = ends
        self._offsets = {p: place for p, place in offsets.items() if p >= 0}
        self._unnoted: set[int] = set()
        self._noted_s = monotonic()
        self._turn = 0
        self._waiting: deque[Candidate] = deque()
        self._looked: dict[int, LedgerPlace] = {}

    async def head(self) -> Head | None:
        """See Stream. O(entries that are new), a part of them at a time."""
        while self._kinds and not self._waiting:
            self._pass_looked()
            behind = {p: end for p, end in self._ends.items() if self._offsets.get(p, (0, 0)) < end}
            if not behind:
                break
            some = self._next_partitions(sorted(behind))
            await self._look({p: behind[p] for p in some})
        await self._note()
        if not self._waiting:
            return None
        first = self._waiting[0]
        place = {"stream": self.name, "partition": first.partition, "epoch": first.epoch, "seq": first.seq}
        return Head(f"msg_{first.partition}-{first.epoch}-{first.seq}", first.type, place)

    def _next_partitions(self, behind: list[int]) -> list[int]:
        """Some partitions, in turn: those with much to tell do not keep others from being looked at."""
        first = bisect_left(behind, self._turn)
        some = [*behind[first:], *behind[:first]][:PARTITIONS_A_LOOK_MAX]
        self._turn = some[-1] + 1
        return some

    async def _look(self, ends: Mapping[int, LedgerPlace]) -> None:
        """Looks at the next entries of some partitions. ends: how far their ledgers were before."""
        places = [self._offsets.get(p, (0, 0)) for p in ends]
        rows = await self._session.fetch(
            "find_webhook_entries",
            list(ends),
            [epoch for epoch, _ in places],
            [seq for _, seq in places],
            self._kinds,
            like_pattern(self._settings.namespaces),
            ENTRIES_A_LOOK_MAX,
        )
        looked = {row["partition"]: (row["epoch"], row["seq"]) for row in rows if row["kind"] is None}
        candidates = [
            Candidate(row["partition"], row["epoch"], row["seq"], self._names[row["kind"]], row["recorded_at"])
            for row in rows
            if row["kind"] is not None
        ]
        by_partition = [list(some) for _, some in groupby(candidates, key=lambda one: one.partition)]
        ordered = merge(*by_partition, key=lambda one: one.recorded_at)
        self._waiting.extend(islice(ordered, WAITING_MAX))
        # An epoch may begin without an entry: then nothing lies between the offset and the end.
        self._looked = {**ends, **looked}
        for p in {one.partition for one in ordered}:
            last = next((one for one in reversed(self._waiting) if one.partition == p), None)
            self._looked[p] = self._offsets.get(p, (0, 0)) if last is None else (last.epoch, last.seq)

    def _pass_looked(self) -> None:
        """Nothing waits of what was looked at: the offsets go on to its end."""
        self._offsets |= self._looked
        self._unnoted |= self._looked.keys()
        self._looked = {}

    async def _note(self) -> None:
        if self._unnoted and monotonic() - self._noted_s >= NOTE_S:
            await self._put(self._session.fetch, sorted(self._unnoted))
            self._unnoted.clear()
            self._noted_s = monotonic()

    async def _put(self, fetch: Fetch, partitions: list[int]) -> None:
        places = [self._offsets[p] for p in partitions]
        columns = [epoch for epoch, _ in places], [seq for _, seq in places]
        await fetch("put_webhook_offsets", self._number, partitions, *columns)

    async def render(self, head: Head) -> Message | None:
        """See Stream. None for who was erased, and for a namespace that is none of the webhook's now."""
        place = head.place
        rows = await self._session.fetch("get_webhook_entry", place["partition"], place["epoch"], place["seq"])
        rows = [
            row
            for row in rows
            if is_covered(row["name"], self._settings.namespaces)
            and not row["is_erased"]
            and not (row["user"] and is_erased(row["user"]))
        ]
        return ledger_message(head.message_id, rows[0], self._settings) if rows else None

    async def settle(self, head: Head, fetch: Fetch) -> None:
        """See Stream."""
        self._waiting.popleft()
        p = head.place["partition"]
        self._offsets[p] = head.place["epoch"], head.place["seq"]
        await self._put(fetch, [p])


def ledger_message(message_id: str, row: asyncpg.Record, settings: WebhookSettings) -> Message:
    """The message of an entry, from its row."""
    namespace = namespace_from_row(row)
    event = ledger_event(namespace, row)
    kind = str(event.__struct_config__.tag)
    data = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not msgspec.UNSET}
    for name in _OPTIONAL:
        if name not in settings.include:
            data.pop(name, None)
    if "meta" in settings.include and kind in ("granted", "quarantined"):
        data["meta"] = read_meta(row["meta"])
    return message_of(message_id, kind, row["recorded_at"], {"namespace": namespace.name, **data})

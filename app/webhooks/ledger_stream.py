"""Events of the ledger, from an offset of the webhook's own in each partition."""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from heapq import merge
from itertools import islice
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
from .newest_entries import LedgerPlace, NewestEntries, NewestEntry, Search
from .stream import Head, StreamState

#: Entries of a partition that a webhook goes over in one read of its own, while they concern it.
ENTRIES_A_LOOK_MIN = 100
#: The same where nothing concerns it: then each read is larger than the one before. Some ms.
ENTRIES_A_LOOK_MAX = 3_200
#: How much larger.
GROWTH = 4
#: Partitions that one look goes over.
PARTITIONS_A_LOOK_MAX = 16
#: Entries that wait in memory for a receiver; what follows is looked for again.
WAITING_MAX = 100
_KINDS = {str(kind.__struct_config__.tag): name for name, kind in OF_LEDGER.items()}
#: What an event tells only if a webhook asks for it.
_OPTIONAL = ("reason", "actor")


class Candidate(NamedTuple):
    """An entry of a webhook's types and namespaces."""

    partition: int
    place: LedgerPlace
    type: str
    recorded_at: datetime


class LedgerStream:
    """The entries of some kinds, in each partition in the order of the log."""

    name = "ledger"
    failing_state = "failing"

    def __init__(
        self, fetch: Fetch, settings: WebhookSettings, newest: NewestEntries, offsets: Mapping[int, LedgerPlace]
    ) -> None:
        self._fetch = fetch
        self._settings = settings
        self._names = {_KINDS[name]: name for name in settings.types if name in _KINDS}
        self._search = Search(settings.namespaces, self._names.keys(), WAITING_MAX)
        self._newest = newest
        self._offsets = {p: place for p, place in offsets.items() if p >= 0}
        self._unnoted: set[int] = set()
        self._turn = 0
        self._read_size = ENTRIES_A_LOOK_MIN
        self._waiting: deque[Candidate] = deque()
        self._looked: dict[int, LedgerPlace] = {}

    async def head(self) -> Head | None:
        """See Stream. O(partitions with new entries) where nothing concerns it, without a store."""
        while not self._waiting:
            self._pass_looked()
            behind = sorted(p for p, end in self._newest.ends.items() if self._offsets.get(p, (0, 0)) < end)
            if not behind:
                return None
            await self._look(behind)
        first = self._waiting[0]
        epoch, seq = first.place
        place = {"stream": self.name, "partition": first.partition, "epoch": epoch, "seq": seq}
        return Head(f"msg_{first.partition}-{epoch}-{seq}", first.type, place)

    async def _look(self, behind: list[int]) -> None:
        """Looks at the next entries of some partitions, in turn: those with much to tell do not keep others from being
        looked at. Reads one partition by itself at most."""
        first = bisect_left(behind, self._turn)
        has_read = False
        matches: dict[int, list[NewestEntry]] = {}
        for p in [*behind[first:], *behind[:first]][:PARTITIONS_A_LOOK_MAX]:
            place = self._offsets.get(p, (0, 0))
            answer = self._newest.find(p, place, self._search) if self._names else ([], self._newest.ends[p])
            if answer is None:
                if has_read:
                    break
                has_read, answer = True, await self._read(p, place)
            matches[p], self._looked[p] = answer
            self._turn = p + 1
        candidates = [
            [Candidate(p, entry.place, self._names[entry.kind], entry.recorded_at) for entry in entries]
            for p, entries in matches.items()
        ]
        ordered = merge(*candidates, key=lambda one: one.recorded_at)
        self._waiting.extend(islice(ordered, WAITING_MAX))
        for p in {one.partition for one in ordered}:
            last = next((one for one in reversed(self._waiting) if one.partition == p), None)
            self._looked[p] = self._offsets.get(p, (0, 0)) if last is None else last.place

    async def _read(self, p: int, place: LedgerPlace) -> tuple[list[NewestEntry], LedgerPlace]:
        """The next entries of a partition that match, and how far they were looked for."""
        rows = await self._fetch(
            "find_webhook_entries",
            *(p, *place, list(self._names), like_pattern(self._settings.namespaces)),
            *(self._read_size, WAITING_MAX),
        )
        ends = [(row["epoch"], row["seq"]) for row in rows if row["kind"] is None]
        matches = [
            NewestEntry((row["epoch"], row["seq"]), row["kind"], row["recorded_at"]) for row in rows if row["kind"]
        ]
        self._read_size = ENTRIES_A_LOOK_MIN if matches else min(self._read_size * GROWTH, ENTRIES_A_LOOK_MAX)
        if len(matches) >= WAITING_MAX:
            return matches, matches[-1].place
        # An epoch may begin without an entry: then nothing lies between the place and the end.
        return matches, ends[0] if ends else self._newest.ends[p]

    def _pass_looked(self) -> None:
        """Nothing waits of what was looked at: the offsets go on to its end."""
        self._offsets |= self._looked
        self._unnoted |= self._looked.keys()
        self._looked = {}

    def take_unnoted(self) -> dict[int, LedgerPlace]:
        """The offsets that have moved without a message since the last call: whoever calls keeps them."""
        unnoted = {p: self._offsets[p] for p in sorted(self._unnoted)}
        self._unnoted.clear()
        return unnoted

    async def render(self, head: Head) -> Message | None:
        """See Stream. None for who was erased, and for a namespace that is none of the webhook's now."""
        place = head.place
        rows = await self._fetch("get_webhook_entry", place["partition"], place["epoch"], place["seq"])
        rows = [
            row
            for row in rows
            if is_covered(row["name"], self._settings.namespaces)
            and not row["is_erased"]
            and not (row["user"] and is_erased(row["user"]))
        ]
        return ledger_message(head.message_id, rows[0], self._settings) if rows else None

    def state_behind(self, head: Head, *, is_dropped: bool) -> StreamState:
        """See Stream."""
        return StreamState(head.place["partition"], head.place["epoch"], head.place["seq"])

    def pass_head(self, head: Head, *, is_dropped: bool) -> None:
        """See Stream."""
        self._waiting.popleft()
        self._offsets[head.place["partition"]] = head.place["epoch"], head.place["seq"]


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

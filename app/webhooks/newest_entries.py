"""The newest entries of the ledger, read once for all webhooks: one that nothing concerns asks Postgres nothing."""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime
from operator import attrgetter
from time import monotonic
from typing import NamedTuple

import structlog

from ..drivers.postgres import Fetch
from ..model.webhook import is_covered
from .delivery_session import LOST

log = structlog.get_logger()

#: Seconds between two looks at the ends of the ledger.
FOLLOW_S = 0.25
#: Entries of a partition that one read takes: some ms.
ENTRIES_A_READ_MAX = 2_000
#: Entries of all partitions that are kept: 10 MB. A webhook that is further behind reads by itself.
ENTRIES_MAX = 50_000
#: Entries of a partition before its end with which a new deliverer begins at most: of them webhooks have some to tell.
FIRST_ENTRIES_MAX = 10_000
#: Seconds before a partition whose read failed is read again.
REST_S = 2.0

LedgerPlace = tuple[int, int]


class NewestEntry(NamedTuple):
    """An entry, without what it says."""

    place: LedgerPlace
    kind: str
    recorded_at: datetime


class Stretch(NamedTuple):
    """Successive entries of a partition, by namespace. end: the place up to which they were read."""

    end: LedgerPlace
    size: int
    entries: Mapping[str, list[NewestEntry]]


class Search(NamedTuple):
    """What a webhook looks for, and how many at most. namespaces: a name or a pattern."""

    namespaces: str
    kinds: Collection[str]
    limit: int

    def matching(self, names: Collection[str]) -> list[str]:
        """Which of some namespaces it is about."""
        if "*" in self.namespaces:
            return [name for name in names if is_covered(name, self.namespaces)]
        return [self.namespaces] if self.namespaces in names else []


class NewestEntries:
    """Follows all partitions. ends: how far each was read."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.ends: dict[int, LedgerPlace] = {}
        self._starts: dict[int, LedgerPlace] = {}
        self._stretches: dict[int, deque[Stretch]] = {}
        self._ages: deque[int] = deque()
        self._size = 0
        self._rests_until_s: dict[int, float] = {}
        self._waiting: dict[asyncio.Future[None], str] = {}
        self._names: set[str] = set()

    async def run(self) -> None:
        """Follows, for ever. What Postgres does to a read is tried again."""
        while True:
            has_more = False
            try:
                has_more = await self.follow()
            except LOST as error:
                log.debug("the ledger's ends are not read", error=f"{type(error).__name__}: {error}")
            if not has_more:
                await asyncio.sleep(FOLLOW_S)

    async def wait(self, namespaces: str, seconds: float) -> None:
        """Waits until an entry of some namespaces is new, for some time at most."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[news] = namespaces
        try:
            async with asyncio.timeout(seconds):
                await news
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(news, None)

    def _wake(self) -> None:
        """Wakes who waits for the namespaces that have news."""
        names, self._names = self._names, set()
        for news, namespaces in list(self._waiting.items()):
            if Search(namespaces, (), 0).matching(names) and not news.done():
                news.set_result(None)

    async def follow(self) -> bool:
        """Reads what is new. Whether there is more. O(partitions + entries that are new). asyncpg's errors."""
        ends = {row["partition"]: (row["epoch"], row["seq"]) for row in await self._fetch("get_offsets")}
        if ends.keys() - self.ends.keys():
            await self._begin(ends)
        now_s = monotonic()
        moved = [p for p, end in ends.items() if end > self.ends[p] and self._rests_until_s.get(p, 0.0) <= now_s]
        answers = await asyncio.gather(*(self._read(p, ends[p]) for p in moved), return_exceptions=True)
        for p, answer in zip(moved, answers, strict=True):
            if isinstance(answer, LOST):
                self._rests_until_s[p] = monotonic() + REST_S
            elif isinstance(answer, BaseException):
                raise answer
        self._wake()
        return True in answers

    async def _begin(self, ends: Mapping[int, LedgerPlace]) -> None:
        """Begins where the webhook is that is furthest behind, or a little before the end."""
        rows = await self._fetch("get_oldest_webhook_offsets")
        oldest = {row["partition"]: (row["epoch"], row["seq"]) for row in rows}
        for p, (epoch, seq) in ends.items():
            if p not in self.ends:
                first = epoch, max(0, seq - FIRST_ENTRIES_MAX)
                self._starts[p] = self.ends[p] = min((epoch, seq), max(first, oldest.get(p, (epoch, seq))))
                self._stretches[p] = deque()

    async def _read(self, p: int, end: LedgerPlace) -> bool:
        """The next entries of a partition whose ledger reaches to `end`. Whether there are more."""
        rows = await self._fetch("get_newest_entries", p, *self.ends[p], ENTRIES_A_READ_MAX)
        entries: dict[str, list[NewestEntry]] = {}
        for row in rows:
            entry = NewestEntry((row["epoch"], row["seq"]), row["kind"], row["recorded_at"])
            entries.setdefault(row["namespace"], []).append(entry)
        self._names |= entries.keys()
        last = (rows[-1]["epoch"], rows[-1]["seq"]) if rows else end
        has_more = len(rows) == ENTRIES_A_READ_MAX
        # An epoch may begin without an entry: then nothing lies between the last one and the end.
        self.ends[p] = last if has_more else max(last, end)
        self._stretches[p].append(Stretch(self.ends[p], len(rows), entries))
        self._ages.append(p)
        self._size += len(rows)
        while self._size > ENTRIES_MAX:
            self._drop_oldest()
        return has_more

    def _drop_oldest(self) -> None:
        p = self._ages.popleft()
        oldest = self._stretches[p].popleft()
        self._starts[p] = oldest.end
        self._size -= oldest.size

    def find(self, p: int, place: LedgerPlace, search: Search) -> tuple[list[NewestEntry], LedgerPlace] | None:
        """The first entries of a partition behind a place that match, in order, and how far they were looked for. None:
        the place lies before what is kept. O(entries of the namespaces that match)."""
        if place < self._starts[p]:
            return None
        matches: list[NewestEntry] = []
        for stretch in self._stretches[p]:
            if stretch.end <= place:
                continue
            matches += sorted(
                (
                    entry
                    for name in search.matching(stretch.entries)
                    for entry in stretch.entries[name]
                    if entry.place > place and entry.kind in search.kinds
                ),
                key=attrgetter("place"),
            )
            if len(matches) >= search.limit:
                del matches[search.limit :]
                return matches, matches[-1].place
        return matches, self.ends[p]

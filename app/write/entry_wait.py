"""Waits until the ledger holds entries. All that wait in a process share its looks at the ledger."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from ..model.errors import Problem, StoreUnavailable, not_recorded
from ..store.ledger import EntryKey, Ledger

#: Seconds between two looks while the ledger goes on: a row stands there some 50 ms after its entry.
LOOK_PAUSE_S = 0.02
#: Factor by which the pause grows with each look that finds the ledger where it was.
PAUSE_GROWTH = 1.5
#: Seconds of the longest pause: a ledger that stands still may go on at any moment.
LOOK_PAUSE_S_MAX = 0.25
#: Entries that one look looks up: some 20 ms of Postgres. A request's own are never split.
LOOKED_UP_ENTRIES_MAX = 5_000


class CountedEntry(NamedTuple):
    """An entry that Redis counted. place: its epoch and seq."""

    partition: int
    place: tuple[int, int]
    key: EntryKey


class _Waiter:
    """The entries of one request. absent: the keys of those that are not in the ledger so far."""

    def __init__(self, entries: Sequence[CountedEntry]) -> None:
        self.absent = {entry.key for entry in entries}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last: dict[int, tuple[int, int]] = {}
        for p, place, _ in entries:
            self._last[p] = max(place, self._last.get(p, place))

    @property
    def partitions(self) -> Collection[int]:
        """Where the entries are."""
        return self._last.keys()

    def is_passed(self, offsets: Mapping[int, tuple[int, int]]) -> bool:
        """Whether a ledger has gone past all of them. It takes a partition's entries in order, so the last one
        decides. O(partitions)."""
        return all(offsets.get(p, (0, 0)) >= place for p, place in self._last.items())


class EntryWait:
    """The waits of a process. There is a task as long as somebody waits."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiters: dict[_Waiter, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._silence: Problem | None = None

    async def wait(self, entries: Sequence[CountedEntry], until: float) -> dict[EntryKey, StoreUnavailable]:
        """Returns once the ledger holds all of the entries or has gone past them, at `until` at the latest. until: as
        `monotonic` counts. The result: why the ledger does not hold some of them. O(log n) an entry, and O(partitions)
        a look of all that wait."""
        waiter = _Waiter(entries)
        self._waiters[waiter] = None
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(max(0.0, until - monotonic())):
                await waiter.done
        except TimeoutError:
            detail = self._silence.detail if self._silence else "the ledger does not hold it in time"
            return {key: StoreUnavailable(detail) for key in waiter.absent}
        finally:
            self._waiters.pop(waiter, None)
        return {key: not_recorded() for key in waiter.absent}

    async def _run(self) -> None:
        pause_s, before = LOOK_PAUSE_S, dict[int, tuple[int, int]]()
        try:
            while self._waiters:
                offsets = await self._look()
                pause_s = LOOK_PAUSE_S if offsets != before else min(pause_s * PAUSE_GROWTH, LOOK_PAUSE_S_MAX)
                before = offsets
                if self._waiters:
                    await asyncio.sleep(pause_s)
        finally:
            self._task = None
            for waiter in self._waiters:
                if not waiter.done.done():
                    waiter.done.set_exception(StoreUnavailable("the server could not ask Postgres"))

    async def _look(self) -> dict[int, tuple[int, int]]:
        """Ends the waits whose entries the ledger has gone past. Returns how far it is."""
        try:
            offsets = {p: (epoch, seq) for p, (epoch, seq, _) in (await self._ledger.offsets()).items()}
            due = self._due(offsets)
            partitions = {p for waiter in due for p in waiter.partitions}
            recorded = await self._ledger.find_recorded([key for waiter in due for key in waiter.absent], partitions)
        except Problem as problem:
            self._silence = problem
            return {}
        self._silence = None
        for waiter in due:
            waiter.absent -= recorded
            if not waiter.done.done():
                waiter.done.set_result(None)
            self._waiters.pop(waiter, None)
        return offsets

    def _due(self, offsets: Mapping[int, tuple[int, int]]) -> list[_Waiter]:
        """Those whose entries are looked up now, oldest first."""
        due: list[_Waiter] = []
        count = 0
        for waiter in self._waiters:
            if not waiter.done.done() and waiter.is_passed(offsets):
                if due and count + len(waiter.absent) > LOOKED_UP_ENTRIES_MAX:
                    break
                due.append(waiter)
                count += len(waiter.absent)
        return due

"""Finds since when users have their scores, by replaying their entries, for the tie break `earliest`.

Each board of a user is replayed by itself. As in lua/include/boards.lua, the seq of a score is that of the last entry
that changed it, or of the first entry.
"""

from heapq import heappop, heappush
from typing import Any, Protocol

from .aggregation import Aggregation


class ReplayRow(Protocol):
    """A row of the query, by its columns' names."""

    def __getitem__(self, column: str, /) -> Any: ...


class _Score(Protocol):
    """A user's score on one board during the replay."""

    def put(self, row: ReplayRow) -> None: ...

    def take(self, row: ReplayRow) -> None: ...

    def now(self) -> int | None: ...


class _Sum:
    """The sum of the grants. O(1) for an entry, and in memory."""

    def __init__(self) -> None:
        self._total = self._count = 0

    def put(self, row: ReplayRow) -> None:
        self._total, self._count = self._total + row["amount"], self._count + 1

    def take(self, row: ReplayRow) -> None:
        self._total, self._count = self._total - row["old_amount"], self._count - 1

    def now(self) -> int | None:
        return self._total if self._count else None


class _Best:
    """One of them, by the key of its aggregation. O(log n) an entry."""

    def __init__(self, aggregation: Aggregation) -> None:
        self._aggregation = aggregation
        self._live: dict[str, tuple[tuple[int, ...], str, int]] = {}
        self._heap: list[tuple[tuple[int, ...], str, int]] = []

    def put(self, row: ReplayRow) -> None:
        key = self._aggregation.replay_key(amount=row["amount"], granted_at=row["granted_at"], seq=row["first_seq"])
        self._live[row["grant_id"]] = entry = key, row["grant_id"], row["amount"]
        heappush(self._heap, entry)

    def take(self, row: ReplayRow) -> None:
        del self._live[row["grant_id"]]

    def now(self) -> int | None:
        while self._heap and self._live.get(self._heap[0][1]) != self._heap[0]:
            heappop(self._heap)
        return self._heap[0][2] if self._heap else None


class TieBreakReplay:
    """Replays some users' entries, the rows of `get_score_events`, one user after the other."""

    def __init__(self, aggregation: Aggregation, by_category: bool) -> None:
        self._aggregation = aggregation
        self._by_category = by_category
        self._user: int | None = None
        self._scores: dict[str, _Score] = {}
        self.since: dict[tuple[int, str], tuple[int | None, int]] = {}  # by user and board: the score, its seq

    def add(self, row: ReplayRow) -> None:
        """Adds a user's next entry. O(boards × log n)."""
        if row["number"] != self._user:
            self._user, self._scores = row["number"], {}
        was_there = row["old_windows"] is not None and not row["old_voided"]
        left = self._boards(row["old_windows"], row["old_category"]) if was_there else []
        come = [] if row["voided"] else self._boards(row["windows"], row["category"])
        for board in left:
            self._scores[board].take(row)
        for board in come:
            if board not in self._scores:
                self._scores[board] = _Sum() if self._aggregation.adds else _Best(self._aggregation)
            self._scores[board].put(row)
        for board in {*left, *come}:
            score = self._scores[board].now()
            if self.since.get((row["number"], board), (None, 0))[0] != score:
                self.since[row["number"], board] = score, row["seq"]

    def _boards(self, windows: list[str], category: str | None) -> list[str]:
        if category is None or not self._by_category:
            return windows
        return windows + [f"{window}:{category}" for window in windows]

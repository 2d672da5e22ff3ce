"""Since when a user has the score that they have: a replay of the log, where the earlier of equals stands first.

Each board of a user is replayed on its own, entry by entry, as lua/include/boards.lua dates it: by the last entry that
changed the score, or was the first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from ..model.windows import to_micros

Candidate = tuple[tuple[int, ...], str, int]  # what comes first counts, the grant, its value


@dataclass(slots=True)
class _Scored:
    """One user's grants on one board. O(log of them) an entry."""

    how: str
    total: int = 0
    live: dict[str, Candidate | None] = field(default_factory=dict)
    heap: list[Candidate] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)
    score: int | None = None
    since: int = 0

    def put(self, row: Mapping[str, Any]) -> None:
        grant, value = row["grant_id"], row["value"]
        self.total += value
        self.values[grant] = value
        if self.how == "sum":
            self.live[grant] = None
            return
        place = {"highest": (-value,), "lowest": (value,)}.get(self.how)
        candidate = (place or (-to_micros(row["granted_at"]), -row["first_seq"]), grant, value)
        self.live[grant] = candidate
        heappush(self.heap, candidate)

    def take(self, grant: str) -> None:
        if grant in self.live:
            del self.live[grant]
            self.total -= self.values.pop(grant)

    def settle(self, seq: int) -> None:
        now = self._now()
        if now != self.score:
            self.score, self.since = now, seq

    def _now(self) -> int | None:
        if not self.live:
            return None
        if self.how == "sum":
            return self.total
        while self.live.get(self.heap[0][1]) != self.heap[0]:
            heappop(self.heap)
        return self.heap[0][2]


def date(rows: Iterable[Mapping[str, Any]], how: str, by_category: bool) -> dict[tuple[int, str], int]:
    """By user's number and board: the seq of the entry that last changed the score there. rows: as the query
    `score_events` tells them. O(rows × boards of each × log)."""
    boards: dict[tuple[int, str], _Scored] = {}
    for row in rows:
        left = _boards(row["old_windows"], row["old_category"], by_category)
        come = [] if row["voided"] else _boards(row["windows"], row["category"], by_category)
        if row["is_stray"] and how != "sum":
            continue  # What counted twice, and what takes it back, moves neither the best nor the latest.
        for board in left:
            if (row["number"], board) in boards:
                boards[row["number"], board].take(row["grant_id"])
        for board in come:
            boards.setdefault((row["number"], board), _Scored(how)).put(row)
        for board in {*left, *come}:
            if (row["number"], board) in boards:
                boards[row["number"], board].settle(row["seq"])
    return {place: board.since for place, board in boards.items() if board.score is not None}


def _boards(windows: list[str] | None, category: str | None, by_category: bool) -> list[str]:
    found = list(windows or ())
    return found + [f"{window}:{category}" for window in found] if by_category and category is not None else found

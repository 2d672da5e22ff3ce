"""Streaks: runs of days, one after the other, on each of which a user has a live grant."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

_DAY = timedelta(days=1)


class Streak(NamedTuple):
    """current: the run that ends today or yesterday (0: none does); best: the longest; last_day: the newest day."""

    current: int
    best: int
    last_day: date | None


def streak_of(days: Iterable[date], today: date) -> Streak:
    """The streaks that some days make, seen from `today`; days to come do not count yet. O(n log n)."""
    best = run = current = 0
    last: date | None = None
    for day in sorted({day for day in days if day <= today}):
        run = run + 1 if last is not None and day - last == _DAY else 1
        best, last = max(best, run), day
    if last is not None and last >= today - _DAY:
        current = run
    return Streak(current, best, last)

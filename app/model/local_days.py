"""Local days: when they begin and end in a time zone.

A local day begins at the first moment at which clocks show its beginning or later, also where daylight saving begins or
ends. If clocks are turned back over the beginning, the day before does not return.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .micros import from_micros, to_micros

#: Results of `clock_reaches` that are cached: some 100 days in each of 600 zones, 10 MB.
_CLOCK_CACHE_MAX = 65_536
#: No clock is this far from UTC.
_FROM_UTC_MAX = timedelta(hours=30)
_NO_SHIFT = timedelta()
_ONE_DAY = timedelta(days=1)


@lru_cache(maxsize=_CLOCK_CACHE_MAX)
def clock_reaches(zone: str, shown: datetime) -> int:
    """The first moment at which clocks in `zone` show `shown` (a datetime without a zone) or later. Microseconds."""
    info = ZoneInfo(zone)
    # Most times are shown once: the guess holds and no search is needed.
    guess = to_micros(shown.replace(tzinfo=info).astimezone(UTC))
    if clock_at(info, guess) == shown and clock_at(info, guess - 1) < shown:
        return guess
    middle = shown.replace(tzinfo=UTC)
    before, after = to_micros(middle - _FROM_UTC_MAX), to_micros(middle + _FROM_UTC_MAX)
    while before < after:
        between = (before + after) // 2
        if clock_at(info, between) >= shown:
            after = between
        else:
            before = between + 1
    return before


def clock_at(zone: ZoneInfo, micros: int) -> datetime:
    """What clocks in a zone show at a moment: a datetime without a zone."""
    return from_micros(micros).astimezone(zone).replace(tzinfo=None, fold=0)


class LocalDays(NamedTuple):
    """The days of a zone. day_offset: how long after midnight, by the clock, a day begins."""

    zone: str
    day_offset: timedelta = _NO_SHIFT

    def begins(self, day: date) -> int:
        """The first moment of a day, in microseconds. A day that the zone skips begins when the next one does."""
        return clock_reaches(self.zone, datetime(day.year, day.month, day.day) + self.day_offset)

    def day_at(self, micros: int) -> date:
        """The day in which a moment lies."""
        day = (clock_at(ZoneInfo(self.zone), micros) - self.day_offset).date()
        # Clocks turned back over the beginning of a day show the day before again: the day that has begun goes on.
        while micros >= self.begins(day + _ONE_DAY):
            day += _ONE_DAY
        return day

    def begin_of(self, micros: int) -> int:
        """The first moment of the day in which a moment lies."""
        return self.begins(self.day_at(micros))


def hour_at(zone: str, micros: int) -> datetime:
    """The hour by the clock in which a moment lies, as its first minute. An hour that clocks show twice lasts two
    hours; one that they skip is empty."""
    hour = clock_at(ZoneInfo(zone), micros).replace(minute=0, second=0, microsecond=0)
    while micros >= clock_reaches(zone, hour + timedelta(hours=1)):
        hour += timedelta(hours=1)
    return hour

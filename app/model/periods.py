"""Periods: kinds of window that repeat. One class a period, and one line in `PERIODS`.

A period is made of local days, or of hours by the clock. It computes the first day of the window that contains a day,
the first day of the next window, and the windows' names.
"""

import re
from datetime import date, datetime, timedelta
from typing import Literal, Protocol

Period = Literal["all", "year", "quarter", "month", "week", "day", "hour"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_ONE_DAY = timedelta(days=1)


class DayPeriod(Protocol):
    """A period made of days. Each call is O(1)."""

    def first(self, day: date) -> date:
        """The first day of the window that contains a day."""

    def after(self, first: date) -> date:
        """The first day of the next window."""

    def name(self, first: date) -> str:
        """The name of a window, by its first day."""

    def parse(self, name: str) -> date | None:
        """The first day of the window of this name; None for any other text. ValueError for a day that does not
        exist."""


class _Year:
    _name = re.compile(r"(\d{4})", re.ASCII)

    def first(self, day: date) -> date:
        return date(day.year, 1, 1)

    def after(self, first: date) -> date:
        return date(first.year + 1, 1, 1)

    def name(self, first: date) -> str:
        return f"{first.year:04}"

    def parse(self, name: str) -> date | None:
        match = self._name.fullmatch(name)
        return match and date(int(match[1]), 1, 1)


class _Quarter:
    _name = re.compile(r"(\d{4})-Q([1-4])", re.ASCII)

    def first(self, day: date) -> date:
        return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)

    def after(self, first: date) -> date:
        # A quarter has 90 to 92 days, so 100 days later is in the next one.
        return self.first(first + timedelta(days=100))

    def name(self, first: date) -> str:
        return f"{first.year:04}-Q{(first.month + 2) // 3}"

    def parse(self, name: str) -> date | None:
        match = self._name.fullmatch(name)
        return match and date(int(match[1]), int(match[2]) * 3 - 2, 1)


class _Month:
    _name = re.compile(r"(\d{4})-(\d\d)", re.ASCII)

    def first(self, day: date) -> date:
        return day.replace(day=1)

    def after(self, first: date) -> date:
        return (first + timedelta(days=31)).replace(day=1)

    def name(self, first: date) -> str:
        return f"{first.year:04}-{first.month:02}"

    def parse(self, name: str) -> date | None:
        match = self._name.fullmatch(name)
        return match and date(int(match[1]), int(match[2]), 1)


class _IsoWeek:
    """Weeks from Monday on, with the numbers and years of ISO 8601."""

    _name = re.compile(r"(\d{4})-W(\d\d)", re.ASCII)

    def first(self, day: date) -> date:
        return day - timedelta(days=day.weekday())

    def after(self, first: date) -> date:
        return first + timedelta(days=7)

    def name(self, first: date) -> str:
        year, week, _ = first.isocalendar()
        return f"{year:04}-W{week:02}"

    def parse(self, name: str) -> date | None:
        match = self._name.fullmatch(name)
        return match and date.fromisocalendar(int(match[1]), int(match[2]), 1)


class _Week:
    """Weeks from any other day on, named by their first day: `W2026-11-22`."""

    _name = re.compile(r"W(\d{4})-(\d\d)-(\d\d)", re.ASCII)

    def __init__(self, starts: int) -> None:
        self._starts = starts

    def first(self, day: date) -> date:
        return day - timedelta(days=(day.weekday() - self._starts) % 7)

    def after(self, first: date) -> date:
        return first + timedelta(days=7)

    def name(self, first: date) -> str:
        return f"W{first.isoformat()}"

    def parse(self, name: str) -> date | None:
        match = self._name.fullmatch(name)
        day = match and date(int(match[1]), int(match[2]), int(match[3]))
        return day if day and day.weekday() == self._starts else None


class _Day:
    _name = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)

    def first(self, day: date) -> date:
        return day

    def after(self, first: date) -> date:
        return first + _ONE_DAY

    def name(self, first: date) -> str:
        return first.isoformat()

    def parse(self, name: str) -> date | None:
        match = self._name.fullmatch(name)
        return match and date(int(match[1]), int(match[2]), int(match[3]))


PERIODS: dict[Period, DayPeriod] = {
    "year": _Year(),
    "quarter": _Quarter(),
    "month": _Month(),
    "week": _IsoWeek(),
    "day": _Day(),
}


def day_periods(week_starts: Weekday) -> dict[Period, DayPeriod]:
    """The periods made of days, with weeks that begin on a weekday."""
    if week_starts == "monday":
        return PERIODS
    return {**PERIODS, "week": _Week(WEEKDAYS.index(week_starts))}


_HOUR = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d)", re.ASCII)


def hour_name(hour: datetime) -> str:
    """`2026-11-27T14`: the hour in which clocks show 14:00 to 14:59."""
    return f"{hour:%Y-%m-%dT%H}"


def parse_hour(name: str) -> datetime | None:
    """The hour of this name as its first minute; None for any other text. ValueError for one that does not exist."""
    match = _HOUR.fullmatch(name)
    return match and datetime(int(match[1]), int(match[2]), int(match[3]), int(match[4]))

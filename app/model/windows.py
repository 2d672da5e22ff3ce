"""Windows: the stretches of time a namespace keeps a board for, by the clock of its own zone.

Days begin as `local_days` says, and so do windows made of days. Hours follow the clock. Weeks are ISO weeks with ISO
years, unless the namespace lets them begin on another day.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from .local_days import LocalDays, clock_reaches, hour_at
from .micros import EARLIEST, LATEST, from_micros, to_micros
from .periods import PERIODS, WEEKDAYS, DayPeriod, Period, Weekday, day_periods, hour_name, parse_hour


class Season(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named stretch: `starts` ≤ instant < `ends`. Seasons may overlap."""

    name: str
    starts: Annotated[datetime, msgspec.Meta(tz=True)]
    ends: Annotated[datetime, msgspec.Meta(tz=True)]


#: Days whose windows are cached: eleven years. Beyond them the cache is cleared.
_DAYS_CACHE_MAX = 4096
_ONE_DAY = timedelta(days=1)
_ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time: `starts` ≤ instant < `ends`, in microseconds; both None for `all`."""

    name: str
    period: Period | Literal["season"]
    starts: int | None
    ends: int | None


ALL = Window("all", "all", None, None)


class Calendar:
    """The windows of a namespace. For a moment in the same day as the one before (or hour, with hourly boards) a
    look-up costs one comparison; for a cached day it costs a dictionary look-up."""

    def __init__(
        self,
        days: LocalDays,
        periods: tuple[Period, ...],
        seasons: tuple[Season, ...] = (),
        week_starts: Weekday = "monday",
    ) -> None:
        self.days = days
        self.periods = periods
        self._day_periods = day_periods(week_starts)
        self._has_hours = "hour" in periods
        self._seasons = tuple(
            Window(f"season:{season.name}", "season", to_micros(season.starts), to_micros(season.ends))
            for season in seasons
        )
        self._names_of_day: dict[date, tuple[str, ...]] = {}
        self._last: tuple[int, int, tuple[str, ...]] = (1, 0, ())

    def names_at(self, micros: int) -> tuple[str, ...]:
        """The names of the windows that contain a moment: `all`, those of the other periods in their order, seasons."""
        starts, ends, names = self._last
        if starts <= micros < ends:
            return names
        day = self.days.day_at(micros)
        names = self._names_of(day)
        starts, ends = self.days.begins(day), self.days.begins(day + _ONE_DAY)
        if self._has_hours:
            hour = self._hour(hour_at(self.days.zone, micros))
            assert hour.starts is not None
            assert hour.ends is not None
            names = tuple(hour.name if name == "hour" else name for name in names)
            starts, ends = max(starts, hour.starts), min(ends, hour.ends)
        for season in self._seasons:
            assert season.starts is not None
            assert season.ends is not None
            if season.starts <= micros < season.ends:
                names = (*names, season.name)
            for edge in (season.starts, season.ends):
                starts, ends = (max(starts, edge), ends) if edge <= micros else (starts, min(ends, edge))
        self._last = (starts, ends, names)
        return names

    def current(self, period: Period, micros: int) -> Window:
        """The window of a period at a moment."""
        match period:
            case "all":
                return ALL
            case "hour":
                return self._hour(hour_at(self.days.zone, micros))
        how = self._day_periods[period]
        return self._of_days(period, how, how.first(self.days.day_at(micros)))

    def find(self, name: str, micros: int) -> Window | None:
        """The window of this name, or the current window for a period's name; None if there is no such board."""
        if name == "all":
            return ALL
        if name.startswith("season:"):
            return next((season for season in self._seasons if season.name == name), None)
        if name in self.periods:
            return self.current(name, micros)
        try:
            return self._parse(name)
        except (ValueError, OverflowError):
            return None

    def running(self, micros: int) -> list[Window]:
        """The seasons that contain a moment."""
        names = self.names_at(micros)
        return [season for season in self._seasons if season.name in names]

    def resets(self, micros: int) -> dict[str, datetime | None]:
        """When the board of each period starts again, and when each running season ends; None: never."""
        windows = {period: self.current(period, micros) for period in self.periods}
        ends = {name: window.ends for name, window in windows.items()} | {w.name: w.ends for w in self.running(micros)}
        return {name: None if end is None else from_micros(end) for name, end in ends.items()}

    def _names_of(self, day: date) -> tuple[str, ...]:
        """The windows that contain a day; `all` and `hour` are placeholders."""
        names = self._names_of_day.get(day)
        if names is None:
            if len(self._names_of_day) >= _DAYS_CACHE_MAX:
                self._names_of_day.clear()
            how = self._day_periods
            names = tuple(how[one].name(how[one].first(day)) if one in how else one for one in self.periods)
            self._names_of_day[day] = names
        return names

    def _parse(self, name: str) -> Window | None:
        """ValueError, OverflowError for days that do not exist."""
        for period in self.periods:
            how = self._day_periods.get(period)
            first = how and how.parse(name)
            if how and first and how.first(first) == first:
                return self._of_days(period, how, first) if _is_possible(first) else None
        hour = parse_hour(name) if self._has_hours else None
        return self._hour(hour) if hour and _is_possible(hour) else None

    def _of_days(self, period: Period, how: DayPeriod, first: date) -> Window:
        return Window(how.name(first), period, self.days.begins(first), self.days.begins(how.after(first)))

    def _hour(self, hour: datetime) -> Window:
        starts, ends = (clock_reaches(self.days.zone, shown) for shown in (hour, hour + _ONE_HOUR))
        return Window(hour_name(hour), "hour", starts, ends)


def is_window_name(name: str) -> bool:
    """Whether some namespace could keep a board by this name: a period's, a season's or a window's. O(1)."""
    if name in ("all", "hour") or name in PERIODS or name.startswith("season:"):
        return True
    ways = (*PERIODS.values(), *(day_periods(day)["week"] for day in WEEKDAYS))
    try:
        return parse_hour(name) is not None or any(how.parse(name) is not None for how in ways)
    except ValueError:
        return False  # A month 13, a February 30.


def _is_possible(first: date) -> bool:
    """Whether a year is within bounds. A zone may differ from UTC by up to a day, so the first and the last year count
    too."""
    return EARLIEST.year - 1 <= first.year <= LATEST.year

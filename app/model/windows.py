"""Windows: the stretches of time a namespace keeps a board for, in its own time zone.

An instant is an integer of microseconds since 1970 UTC. A local day begins at the first instant that has its date on
the wall, whatever daylight saving does around midnight; weeks are ISO weeks, so their years are ISO years.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from time import time_ns
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

Period = Literal["all", "month", "week", "day"]


class Season(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named stretch: `starts` ≤ instant < `ends`. Seasons may overlap."""

    name: str
    starts: Annotated[datetime, msgspec.Meta(tz=True)]
    ends: Annotated[datetime, msgspec.Meta(tz=True)]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAME = re.compile(r"(\d{4})-(?:(\d\d)(?:-(\d\d))?|W(\d\d))", re.ASCII)
#: Days whose windows are remembered, eleven years of them; beyond, all are forgotten and worked out anew.
_DAYS_KEPT_MAX = 4096
#: Beginnings of days that are kept: some 100 days in each of 600 zones, 10 MB.
_DAY_STARTS_KEPT_MAX = 65_536

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2255, 1, 1, tzinfo=UTC)  # microseconds since 1970 stay below 2^53, where Lua's doubles are exact


def now_micros() -> int:
    """The clock of a real process: microseconds since 1970 UTC."""
    return time_ns() // 1_000


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch: `starts` ≤ instant < `ends`, in microseconds; both None for `all`."""

    name: str
    period: Period | Literal["season"]
    starts: int | None
    ends: int | None


ALL = Window("all", "all", None, None)


@lru_cache(maxsize=_DAY_STARTS_KEPT_MAX)
def day_starts(zone: str, day: date) -> int:
    """The first instant whose local date in `zone` is `day` or later."""
    info = ZoneInfo(zone)
    middle = datetime(day.year, day.month, day.day, tzinfo=UTC)
    before, after = to_micros(middle - timedelta(hours=30)), to_micros(middle + timedelta(hours=30))
    # Most days begin at a midnight that exists once: the guess holds and no search is needed.
    guess = to_micros(datetime(day.year, day.month, day.day, tzinfo=info).astimezone(UTC))
    if _local_date(info, guess) == day and _local_date(info, guess - 1) < day:
        return guess
    while before < after:
        between = (before + after) // 2
        if _local_date(info, between) >= day:
            after = between
        else:
            before = between + 1
    return before


def day_in(zone: str, micros: int) -> date:
    """The local day of an instant in a zone."""
    day = _local_date(ZoneInfo(zone), micros)
    # A clock turned back over midnight shows a date again: those instants stay in the day that had begun.
    while micros >= day_starts(zone, day + timedelta(days=1)):
        day += timedelta(days=1)
    return day


def day_begins(zone: str, micros: int) -> int:
    """Where the local day of an instant begins."""
    return day_starts(zone, day_in(zone, micros))


def _local_date(info: ZoneInfo, micros: int) -> date:
    return from_micros(micros).astimezone(info).date()


class Calendar:
    """The windows of one time zone and a set of periods. A repeated day costs a dictionary look-up."""

    def __init__(self, zone: str, periods: tuple[Period, ...], seasons: tuple[Season, ...] = ()) -> None:
        self.zone = zone
        self.periods = periods
        self._seasons = tuple(
            Window(f"season:{held.name}", "season", to_micros(held.starts), to_micros(held.ends)) for held in seasons
        )
        self._days: dict[date, tuple[str, ...]] = {}
        self._last: tuple[int, int, tuple[str, ...]] = (1, 0, ())

    def names_at(self, micros: int) -> tuple[str, ...]:
        """The names of the windows that an instant falls into: `all`, the other periods' in their order, seasons."""
        starts, ends, names = self._last
        if starts <= micros < ends:
            return names
        day = self.day_at(micros)
        held = self._days.get(day)
        if held is None:
            if len(self._days) >= _DAYS_KEPT_MAX:
                self._days.clear()
            held = self._days[day] = tuple(_name(period, day) for period in self.periods)
        starts, ends = day_starts(self.zone, day), day_starts(self.zone, day + timedelta(days=1))
        for season in self._seasons:
            assert season.starts is not None
            assert season.ends is not None
            if season.starts <= micros < season.ends:
                held = (*held, season.name)
            for edge in (season.starts, season.ends):
                starts, ends = (max(starts, edge), ends) if edge <= micros else (starts, min(ends, edge))
        self._last = (starts, ends, held)
        return held

    def day_at(self, micros: int) -> date:
        """The local day of an instant."""
        return day_in(self.zone, micros)

    def current(self, period: Period, micros: int) -> Window:
        """The window of a period at an instant."""
        return self._window(period, self.day_at(micros))

    def find(self, name: str, micros: int) -> Window | None:
        """The window of this name, or the current one of a period's name; None where there is no such board."""
        if name == "all":
            return ALL
        if name.startswith("season:"):
            return next((season for season in self._seasons if season.name == name), None)
        if name in self.periods:
            return self.current(name, micros)
        parsed = _parse(name)
        if parsed is None or parsed[0] not in self.periods:
            return None
        return self._window(*parsed)

    def running(self, micros: int) -> list[Window]:
        """The seasons that an instant falls into."""
        names = self.names_at(micros)
        return [season for season in self._seasons if season.name in names]

    def resets(self, micros: int) -> dict[str, datetime | None]:
        """When the board of each period, and of each season under way, begins anew or ends; None: never."""
        windows = {period: self.current(period, micros) for period in self.periods}
        ends = {name: window.ends for name, window in windows.items()} | {w.name: w.ends for w in self.running(micros)}
        return {name: None if end is None else from_micros(end) for name, end in ends.items()}

    def _window(self, period: Period, day: date) -> Window:
        if period == "all":
            return ALL
        first, after = _span(period, day)
        return Window(_name(period, day), period, day_starts(self.zone, first), day_starts(self.zone, after))


def _name(period: Period, day: date) -> str:
    match period:
        case "all":
            return "all"
        case "month":
            return f"{day.year:04}-{day.month:02}"
        case "week":
            year, week, _ = day.isocalendar()
            return f"{year:04}-W{week:02}"
        case "day":
            return day.isoformat()


def _span(period: Period, day: date) -> tuple[date, date]:
    match period:
        case "month":
            first = day.replace(day=1)
            return first, (first + timedelta(days=31)).replace(day=1)
        case "week":
            first = day - timedelta(days=day.weekday())
            return first, first + timedelta(days=7)
        case _:
            return day, day + timedelta(days=1)


def _parse(name: str) -> tuple[Period, date] | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, month, day, week = match.groups()
    try:
        if week is not None:
            found: tuple[Period, date] = "week", date.fromisocalendar(int(year), int(week), 1)
        elif day is None:
            found = "month", date(int(year), int(month), 1)
        else:
            found = "day", date(int(year), int(month), int(day))
    except ValueError:
        return None
    # A zone's wall is up to a day off UTC's: the first and the last moment that are taken lie in years beside these.
    return found if EARLIEST.year - 1 <= found[1].year <= LATEST.year else None

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.local_days import LocalDays, clock_at
from app.model.micros import from_micros, to_micros
from app.model.periods import PERIODS, WEEKDAYS, Period, Weekday
from app.model.windows import Calendar, Season

EVERY: tuple[Period, ...] = ("all", "year", "quarter", "month", "week", "day", "hour")
# Berlin changes at 2:00 and 3:00, Lord Howe by half an hour, St. John's (until 2011) and Havana around midnight;
# Apia left out a day.
ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "America/Havana", "Pacific/Apia"]
MINUTE = 60_000_000
HOUR = 60 * MINUTE


def at(text: str) -> int:
    return to_micros(datetime.fromisoformat(text))


def days(zone: str = "UTC", starts: str = "00:00") -> LocalDays:
    hours, minutes = map(int, starts.split(":"))
    return LocalDays(zone, timedelta(hours=hours, minutes=minutes))


@pytest.mark.parametrize(
    ("moment", "names"),
    [
        ("2024-02-29T23:59:59Z", ("2024", "2024-Q1", "2024-02", "2024-W09", "2024-02-29", "2024-02-29T23")),
        ("2024-12-31T23:59:59Z", ("2024", "2024-Q4", "2024-12", "2025-W01", "2024-12-31", "2024-12-31T23")),
        ("2025-01-01T00:00:00Z", ("2025", "2025-Q1", "2025-01", "2025-W01", "2025-01-01", "2025-01-01T00")),
        ("2025-04-01T00:00:00Z", ("2025", "2025-Q2", "2025-04", "2025-W14", "2025-04-01", "2025-04-01T00")),
        ("2025-09-30T12:00:00Z", ("2025", "2025-Q3", "2025-09", "2025-W40", "2025-09-30", "2025-09-30T12")),
    ],
)
def test_each_period_names_its_window(moment: str, names: tuple[str, ...]) -> None:
    assert Calendar(days(), EVERY).names_at(at(moment)) == ("all", *names)


def test_windows_stand_in_the_order_of_the_rules() -> None:
    names = Calendar(days(), ("all", "hour", "year", "day")).names_at(at("2025-04-01T05:00:00Z"))
    assert names == ("all", "2025-04-01T05", "2025", "2025-04-01")


@pytest.mark.parametrize(
    ("starts", "moment", "name"),
    [
        ("sunday", "2026-11-21T23:59:59Z", "W2026-11-15"),
        ("sunday", "2026-11-22T00:00:00Z", "W2026-11-22"),
        ("saturday", "2026-11-27T12:00:00Z", "W2026-11-21"),
        ("tuesday", "2027-01-01T12:00:00Z", "W2026-12-29"),
        ("monday", "2026-11-27T12:00:00Z", "2026-W48"),
    ],
)
def test_a_week_begins_on_the_day_that_was_chosen(starts: Weekday, moment: str, name: str) -> None:
    calendar = Calendar(days(), ("all", "week"), week_starts=starts)
    assert calendar.names_at(at(moment)) == ("all", name)
    week = calendar.current("week", at(moment))
    assert (week.name, calendar.find(name, 0)) == (name, week)
    assert week.starts is not None
    assert from_micros(week.starts).weekday() == WEEKDAYS.index(starts)


@pytest.mark.parametrize("name", ["2026-W48", "W2026-11-23", "W2026-13-01", "W2026-11-31"])
def test_a_week_of_another_beginning_is_no_window(name: str) -> None:
    assert Calendar(days(), EVERY, week_starts="sunday").find(name, 0) is None


@pytest.mark.parametrize(
    ("moment", "names"),
    [
        ("2026-01-01T03:59:59Z", ("2025", "2025-Q4", "2025-12", "2026-W01", "2025-12-31", "2026-01-01T03")),
        ("2026-01-01T04:00:00Z", ("2026", "2026-Q1", "2026-01", "2026-W01", "2026-01-01", "2026-01-01T04")),
        ("2026-01-05T03:59:59Z", ("2026", "2026-Q1", "2026-01", "2026-W01", "2026-01-04", "2026-01-05T03")),
        ("2026-01-05T04:00:00Z", ("2026", "2026-Q1", "2026-01", "2026-W02", "2026-01-05", "2026-01-05T04")),
    ],
)
def test_all_that_is_made_of_days_begins_with_them(moment: str, names: tuple[str, ...]) -> None:
    assert Calendar(days("UTC", "04:00"), EVERY).names_at(at(moment)) == ("all", *names)


@pytest.mark.parametrize(
    ("starts", "day", "begins", "hours"),
    [
        ("04:00", date(2025, 3, 29), "2025-03-29T03:00:00Z", 23),  # clocks go from 2:00 to 3:00 in the night after it
        ("04:00", date(2025, 3, 30), "2025-03-30T02:00:00Z", 24),
        ("04:00", date(2025, 10, 25), "2025-10-25T02:00:00Z", 25),
        ("02:30", date(2025, 3, 30), "2025-03-30T01:00:00Z", 23.5),  # a beginning that clocks leave out
        ("02:30", date(2025, 10, 26), "2025-10-26T00:30:00Z", 25),  # one that they show twice: the first counts
    ],
)
def test_days_that_begin_later_across_daylight_saving(starts: str, day: date, begins: str, hours: float) -> None:
    local = days("Europe/Berlin", starts)
    assert from_micros(local.begins(day)) == datetime.fromisoformat(begins)
    assert (local.begins(day + timedelta(days=1)) - local.begins(day)) / HOUR == hours


def test_an_hour_that_clocks_show_twice_is_one_of_two_hours() -> None:
    calendar = Calendar(days("Europe/Berlin"), EVERY)
    hour = calendar.find("2025-10-26T02", 0)
    assert hour is not None
    assert (hour.starts, hour.ends) == (at("2025-10-26T00:00:00Z"), at("2025-10-26T02:00:00Z"))
    assert calendar.names_at(at("2025-10-26T01:30:00Z"))[-1] == "2025-10-26T02"


def test_an_hour_that_clocks_leave_out_is_empty() -> None:
    calendar = Calendar(days("Europe/Berlin"), EVERY)
    hour = calendar.find("2025-03-30T02", 0)
    assert hour is not None
    assert hour.starts == hour.ends == at("2025-03-30T01:00:00Z")
    assert calendar.names_at(at("2025-03-30T01:00:00Z"))[-1] == "2025-03-30T03"


STARTS = st.sampled_from(["00:00", "00:30", "02:30", "04:00", "23:59"])


@given(
    st.integers(at("1950-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")),
    st.sampled_from(ZONES),
    STARTS,
    st.sampled_from(WEEKDAYS),
)
def test_a_moment_lies_within_the_bounds_of_each_of_its_windows(
    micros: int, zone: str, starts: str, week_starts: Weekday
) -> None:
    calendar = Calendar(days(zone, starts), EVERY, week_starts=week_starts)
    for period, name in zip(EVERY[1:], calendar.names_at(micros)[1:], strict=True):
        window = calendar.find(name, 0)
        assert window is not None
        assert window.starts is not None
        assert window.ends is not None
        assert (window.name, window.period) == (name, period)
        assert window.starts <= micros < window.ends
        assert calendar.current(period, micros) == window


@given(st.integers(at("1950-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")), st.sampled_from(ZONES), STARTS)
def test_windows_of_a_period_follow_each_other_without_a_gap(micros: int, zone: str, starts: str) -> None:
    calendar = Calendar(days(zone, starts), EVERY)
    for period in EVERY[1:]:
        ends = calendar.current(period, micros).ends
        assert ends is not None
        assert calendar.current(period, ends).starts == ends
        assert calendar.names_at(ends - 1)[EVERY.index(period)] == calendar.current(period, micros).name


def around(zone: str) -> st.SearchStrategy[int]:
    """Moments near a change of a zone's clocks."""
    info, one = ZoneInfo(zone), timedelta(days=1)
    first = datetime(2005, 1, 1, tzinfo=UTC)
    changes = [
        first + i * one
        for i in range(365 * 8)
        if (first + i * one).astimezone(info).utcoffset() != (first + (i + 1) * one).astimezone(info).utcoffset()
    ]
    return st.builds(
        lambda begin, micros: to_micros(begin) + micros, st.sampled_from(changes), st.integers(0, 26 * HOUR)
    )


@pytest.mark.parametrize("zone", ZONES[1:])
def test_around_a_change_of_clocks_an_hour_is_the_one_that_clocks_have_reached(zone: str) -> None:
    calendar = Calendar(LocalDays(zone), ("all", "hour"))

    @given(around(zone))
    def holds(micros: int) -> None:
        reached = max(clock_at(ZoneInfo(zone), micros - back * MINUTE) for back in range(200))
        assert calendar.names_at(micros)[1] == f"{reached:%Y-%m-%dT%H}"

    holds()


@pytest.mark.parametrize(
    "name",
    [
        "2025-Q0",
        "2025-Q5",
        "2025-02-30T01",
        "2025-02-28T24",
        "2025-02-28T1",
        "0000",
        "9999",
        "20255",
        "2025-13",
        "year ",
    ],
)
def test_no_calendar_has_a_window_of_such_a_name(name: str) -> None:
    assert Calendar(days(), EVERY).find(name, 0) is None


def test_a_season_begins_and_ends_within_an_hour() -> None:
    season = Season("s", datetime.fromisoformat("2026-01-01T10:15:00Z"), datetime.fromisoformat("2026-01-01T10:45:00Z"))
    calendar = Calendar(days(), ("all", "hour"), (season,))
    moments = [at(f"2026-01-01T10:{minute}:00Z") for minute in (14, 15, 44, 45)]
    results = [len(calendar.names_at(moment)) for moment in (*moments, *reversed(moments))]
    assert results == [2, 3, 3, 2, 2, 3, 3, 2]


def test_a_name_whose_day_begins_no_window_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A period's parse may take any day: the calendar compares it with the window that contains the day."""
    quarter = PERIODS["quarter"]
    monkeypatch.setattr(type(quarter), "parse", lambda _, name: date(2026, 2, 1) if name == "sloppy" else None)
    calendar = Calendar(days(), ("all", "quarter"))
    assert calendar.find("sloppy", at("2026-11-27T12:00:00Z")) is None
    monkeypatch.setattr(type(quarter), "parse", lambda _, name: date(2026, 1, 1) if name == "exact" else None)
    window = calendar.find("exact", at("2026-11-27T12:00:00Z"))
    assert window is not None
    assert window.name == "2026-Q1"

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.local_days import LocalDays
from app.model.micros import from_micros, to_micros
from app.model.periods import Period
from app.model.windows import Calendar

ALL: tuple[Period, ...] = ("all", "month", "week", "day")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Asia/Beirut",
]


def at(text: str) -> int:
    return to_micros(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("zone", "moment", "names"),
    [
        ("UTC", "2024-02-29T23:59:59.999999Z", ("all", "2024-02", "2024-W09", "2024-02-29")),
        ("UTC", "2024-03-01T00:00:00Z", ("all", "2024-03", "2024-W09", "2024-03-01")),
        ("UTC", "2021-01-03T12:00:00Z", ("all", "2021-01", "2020-W53", "2021-01-03")),
        ("UTC", "2024-12-30T00:00:00Z", ("all", "2024-12", "2025-W01", "2024-12-30")),
        ("Europe/Berlin", "2025-03-29T22:59:59Z", ("all", "2025-03", "2025-W13", "2025-03-29")),
        ("Europe/Berlin", "2025-03-29T23:00:00Z", ("all", "2025-03", "2025-W13", "2025-03-30")),
        ("Europe/Berlin", "2025-03-30T21:59:59Z", ("all", "2025-03", "2025-W13", "2025-03-30")),
        ("Europe/Berlin", "2025-03-30T22:00:00Z", ("all", "2025-03", "2025-W14", "2025-03-31")),
        ("Europe/Berlin", "2025-10-26T22:59:59Z", ("all", "2025-10", "2025-W43", "2025-10-26")),
        ("Europe/Berlin", "2025-10-26T23:00:00Z", ("all", "2025-10", "2025-W44", "2025-10-27")),
        ("Asia/Kathmandu", "2025-01-01T18:14:59Z", ("all", "2025-01", "2025-W01", "2025-01-01")),
        ("Asia/Kathmandu", "2025-01-01T18:15:00Z", ("all", "2025-01", "2025-W01", "2025-01-02")),
    ],
)
def test_an_instant_falls_into_its_local_windows(zone: str, moment: str, names: tuple[str, ...]) -> None:
    assert Calendar(LocalDays(zone), ALL).names_at(at(moment)) == names


def test_days_are_23_and_25_hours_long_across_daylight_saving() -> None:
    def hours(day: date) -> float:
        local = LocalDays("Europe/Berlin")
        return (local.begins(day + timedelta(days=1)) - local.begins(day)) / 3_600_000_000

    assert [hours(date(2025, 3, 30)), hours(date(2025, 10, 26)), hours(date(2025, 6, 1))] == [23, 25, 24]


def test_a_midnight_that_does_not_exist_begins_its_day_at_the_first_instant_after() -> None:
    assert from_micros(LocalDays("America/Sao_Paulo").begins(date(2018, 11, 4))) == datetime(2018, 11, 4, 3, tzinfo=UTC)


@given(st.integers(at("1950-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")), st.sampled_from(ZONES))
def test_an_instant_lies_within_the_bounds_of_each_of_its_windows(micros: int, zone: str) -> None:
    calendar = Calendar(LocalDays(zone), ALL)
    for name in calendar.names_at(micros)[1:]:
        window = calendar.find(name, 0)
        assert window is not None
        assert window.starts is not None
        assert window.ends is not None
        assert window.name == name
        assert window.starts <= micros < window.ends


@given(st.integers(at("1990-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")), st.sampled_from(ZONES))
def test_the_day_is_the_date_on_the_wall(micros: int, zone: str) -> None:
    shown = from_micros(micros).astimezone(ZoneInfo(zone)).date()
    assert Calendar(LocalDays(zone), ALL).names_at(micros)[3] == shown.isoformat()


@pytest.mark.parametrize(
    "name", ["2025-13", "2025-02-30", "2025-W54", "2025-W00", "x", "season:x", "day ", "2025-1", "٢٠٢٥-01"]
)
def test_there_is_no_window_of_a_name_that_no_calendar_has(name: str) -> None:
    assert Calendar(LocalDays("UTC"), ALL).find(name, 0) is None


def test_a_period_that_is_not_kept_has_no_windows() -> None:
    calendar = Calendar(LocalDays("UTC"), ("all", "month"))
    assert calendar.find("day", 0) is None
    assert calendar.find("1970-01-01", 0) is None
    assert calendar.names_at(0) == ("all", "1970-01")

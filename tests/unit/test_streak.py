import random
from collections.abc import Iterable
from datetime import MAXYEAR, MINYEAR, date, timedelta

import pytest

from app.model.streak import Days, Streak, days_of, streak_of

TODAY = date(2024, 3, 1)


@pytest.mark.parametrize(
    ("back", "current", "best", "last"),
    [
        ([], 0, 0, None),
        ([0], 1, 1, 0),
        ([1], 1, 1, 1),
        ([2], 0, 1, 2),
        ([0, 1, 2], 3, 3, 0),  # over a leap day
        ([1, 2, 5, 6, 7], 2, 3, 1),
        ([3, 4, 5, 0], 1, 3, 0),
        ([0, -1, -2], 1, 1, 0),  # days to come count when they come
        ([0, 0, 1], 2, 2, 0),
    ],
)
def test_runs_of_days(back: list[int], current: int, best: int, last: int | None) -> None:
    days = [TODAY - timedelta(days=n) for n in back]
    expected = None if last is None else TODAY - timedelta(days=last)
    assert streak_of(day_set(days), TODAY) == Streak(current, best, expected)


def day_set(days: Iterable[date]) -> Days:
    """As Redis holds them."""
    stretches: dict[int, int] = {}
    for day in days:
        number, bit = divmod(day.toordinal(), 512)
        stretches[number] = stretches.get(number, 0) | 1 << bit
    pairs = ((b"%d" % number, bits.to_bytes(64, "little").rstrip(b"\0")) for number, bits in stretches.items())
    return days_of([part for pair in pairs for part in pair])


def counted(days: Iterable[date], today: date) -> Streak:
    """Day by day."""
    best = run = current = 0
    last: date | None = None
    for day in sorted({day for day in days if day <= today}):
        run = run + 1 if last is not None and day - last == timedelta(days=1) else 1
        best, last = max(best, run), day
    if last is not None and last >= today - timedelta(days=1):
        current = run
    return Streak(current, best, last)


@pytest.mark.parametrize("seed", range(200))
def test_streaks_are_those_that_a_count_of_the_days_gives(seed: int) -> None:
    chance = random.Random(seed)
    spread, share = chance.choice((3, 40, 600, 3_000, 100_000)), chance.random()
    days = {TODAY - timedelta(days=n) for n in range(-5, spread) if chance.random() < share * min(1, 600 / spread)}
    bits = day_set(days)
    assert list(bits.dates()) == sorted(days)
    for back in (-9, -1, 0, 1, 2, 511, 512, spread + 9):
        today = TODAY - timedelta(days=back)
        assert streak_of(bits, today) == counted(days, today)


def test_the_first_and_the_last_day_there_are() -> None:
    days = [date(MINYEAR, 1, 1), date(MAXYEAR, 12, 31)]
    assert list(day_set(days).dates()) == days
    assert streak_of(day_set(days), days[1]) == Streak(1, 1, days[1])
    assert streak_of(day_set(days), days[0]) == Streak(1, 1, days[0])


@pytest.mark.parametrize("flat", [(b"x", b"1"), (b"-1", b"1"), (b"7133", b"1"), (b"1", b"1" * 65)])
def test_what_is_no_stretch_is_refused(flat: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"stretch|int"):
        days_of(flat)

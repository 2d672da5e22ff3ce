from datetime import date, timedelta

import pytest

from app.model.streak import Streak, streak_of

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
    wanted = None if last is None else TODAY - timedelta(days=last)
    assert streak_of(days, TODAY) == Streak(current, best, wanted)

"""Times at which a clock has something to get wrong."""

from datetime import datetime, timedelta
from random import Random

MICRO = timedelta(microseconds=1)
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe")
# Daylight saving begins and ends, an ISO year that is not the year, a leap day, a distant future.
SPOTS = [
    datetime.fromisoformat(text)
    for text in (
        *("2024-03-31T00:00:00Z", "2024-10-27T00:00:00Z", "2024-11-03T04:00:00Z", "2024-04-06T15:00:00Z"),
        *("2020-12-31T22:00:00Z", "2024-02-29T12:00:00Z", "2031-06-01T00:00:00Z"),
    )
]


def some_moment(rng: Random) -> datetime:
    """Near a spot, often on an edge of an hour or right before it."""
    at = rng.choice(SPOTS) + timedelta(minutes=15 * rng.randrange(-300, 300))
    return at + rng.choice((timedelta(), timedelta(), -MICRO, MICRO, timedelta(seconds=rng.randrange(3600))))

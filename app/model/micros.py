"""Moments as integers: microseconds since 1970 UTC."""

from datetime import UTC, datetime, timedelta
from time import time_ns

SECOND = 1_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

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

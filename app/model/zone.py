"""Time zones by their IANA names."""

from functools import cache
from zoneinfo import available_timezones

from .errors import Invalid

# Names that zoneinfo knows and that mean something else on each machine, or nothing.
_NO_ZONES = {"localtime", "Factory"}


def check_zone(value: str, field: str) -> None:
    """Invalid unless `value` is an IANA time zone."""
    if value not in _zones():
        raise Invalid("is not an IANA time zone", field=field)


@cache
def _zones() -> frozenset[str]:
    """Found once: zoneinfo walks through its folders each time."""
    return frozenset(available_timezones() - _NO_ZONES)

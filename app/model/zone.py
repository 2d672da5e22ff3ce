"""Time zones by their IANA names."""

from functools import cache
from zoneinfo import available_timezones

from .errors import Invalid

# Names that zoneinfo knows and that mean something else on each machine, or nothing.
_NO_ZONES = {"localtime", "Factory"}


def check_zone(value: str, field: str) -> None:
    """Invalid unless `value` is an IANA time zone."""
    if value not in _zones():
        raise Invalid("must be an IANA time zone such as Europe/Berlin", field=field)


def known_zone(value: str) -> str:
    """The zone, or UTC for one that this machine does not know: days of UTC are better than no ledger."""
    return value if value in _zones() else "UTC"


@cache
def _zones() -> frozenset[str]:
    """Found once: zoneinfo walks through its folders each time."""
    return frozenset(available_timezones() - _NO_ZONES)

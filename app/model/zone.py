"""Time zones by their IANA names."""

from functools import cache
from zoneinfo import available_timezones

from .errors import Invalid

# Names that zoneinfo accepts but whose meaning depends on the machine.
_NO_ZONES = {"localtime", "Factory"}


def check_zone(value: str, field: str) -> None:
    """Invalid unless `value` is an IANA time zone."""
    if value not in _zones():
        raise Invalid("must be an IANA time zone such as Europe/Berlin", field=field)


def known_zone(value: str) -> str:
    """The zone, or UTC if this machine does not know it: days in UTC are better than a ledger that stops."""
    return value if value in _zones() else "UTC"


@cache
def _zones() -> frozenset[str]:
    """Computed once, because zoneinfo searches its folders each time."""
    return frozenset(available_timezones() - _NO_ZONES)

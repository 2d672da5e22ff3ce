"""Says why a namespace has no board of a window: which boards it has, and how windows are named."""

from datetime import UTC, datetime

from .errors import BoardNotFound
from .micros import to_micros
from .namespace import Namespace
from .windows import is_window_name

#: Seasons that a message names; a namespace may have more.
_SEASON_NAMES_MAX = 10
#: The moment whose windows show how windows are named.
_EXAMPLE = to_micros(datetime(2026, 11, 27, 12, tzinfo=UTC))


def window_problem(namespace: Namespace, name: str, field: str) -> BoardNotFound:
    """The problem of a window without a board in the namespace. field: where the request names it."""
    windows = ", ".join([*namespace.rules.periods, *_seasons(namespace)])
    detail = f"{namespace.name!r} keeps no board {name!r}: it keeps {windows}"
    if not is_window_name(name):
        detail += "; a window is named by one of these" + _examples(namespace)
    return BoardNotFound(detail, field=field)


def _seasons(namespace: Namespace) -> list[str]:
    names = [f"season:{season.name}" for season in namespace.rules.seasons]
    more = len(names) - _SEASON_NAMES_MAX
    return names if more <= 0 else [*names[:_SEASON_NAMES_MAX], f"{more} more seasons"]


def _examples(namespace: Namespace) -> str:
    """Examples of window names for each period; empty if the namespace has only `all`."""
    periods = [period for period in namespace.rules.periods if period != "all"]
    names = [f"{namespace.calendar.current(period, _EXAMPLE).name} ({period})" for period in periods]
    return f", or like {', '.join(names)}" if names else ""

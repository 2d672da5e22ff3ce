"""Views that clients may watch, and their bounds. Equal views of one board are one view, also for different clients."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ..model.errors import Invalid
from ..model.text import ID_BYTES_MAX, check_text
from ..model.views import Around, BoardView, Top, Users

#: Entries of a view `top`: as many as a person looks through; each frame may carry all of them.
TOP_MAX = 100
#: Neighbours of a user on each side: a page of 51 in all.
RADIUS_MAX = 25
#: Users of a view `users`: a person's friends, each a look-up in each read.
USERS_MAX = 50

RowType = TypeVar("RowType")


class StatsView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stats"):
    """A board's statistics; no rows."""


LiveView = Top | Around | Users | StatsView


#: Where a view's members stand in a message, and in a query.
_IN_MESSAGE = {"limit": "$.view.limit", "user": "$.view.user", "radius": "$.view.radius", "users": "$.view.users"}
_IN_QUERY = {"limit": "?limit", "user": "?around", "radius": "?radius", "users": "?user"}


def check_view(view: LiveView, *, is_query: bool = False) -> LiveView:
    """A view in its normal form: users by name, each once. is_query: a query asks for it. Invalid, naming the field."""
    fields = _IN_QUERY if is_query else _IN_MESSAGE
    match view:
        case Top():
            _check_range(view.limit, low=1, high=TOP_MAX, field=fields["limit"])
        case Around():
            check_text(view.user, fields["user"], ID_BYTES_MAX)
            _check_range(view.radius, low=0, high=RADIUS_MAX, field=fields["radius"])
        case Users():
            if not 1 <= len(view.users) <= USERS_MAX:
                raise Invalid(f"must be a list of 1 to {USERS_MAX} members", field=fields["users"])
            for user in view.users:
                check_text(user, fields["users"], ID_BYTES_MAX)
            return Users(tuple(sorted(set(view.users))))
        case StatsView():
            pass
    return view


def read_view(view: LiveView, limit: int) -> BoardView | StatsView:
    """The view that is read for a watched one: each `top` is cut out of one read with the largest limit."""
    return Top(limit) if isinstance(view, Top) else view


def cut_rows(view: LiveView, rows: Sequence[RowType]) -> tuple[RowType, ...]:
    """The rows of a watched view, out of those that were read for it."""
    return tuple(rows[: view.limit] if isinstance(view, Top) else rows)


def _check_range(number: int, *, low: int, high: int, field: str) -> None:
    if not low <= number <= high:
        raise Invalid(f"must be an integer from {low} to {high}", field=field)

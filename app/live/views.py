"""What of a board is watched. Equal views of one board are one view, whoever watches."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

from ..model.text import ID_BYTES_MAX, check_text

RowType = TypeVar("RowType")


class TopView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="top"):
    """The first entries."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class AroundView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="around"):
    """A user and the neighbours above and below; no entries while the user is not on the board."""

    user: str
    radius: Annotated[int, msgspec.Meta(ge=0, le=25)] = 5


class UsersView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="users"):
    """Some users, those who are on the board."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=50)]


class StatsView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stats"):
    """What the board's scores come to; no entries."""


View = TopView | AroundView | UsersView | StatsView


def check_view(view: View) -> View:
    """A view in its normal form: users by name, each once. Invalid, naming the field."""
    match view:
        case TopView() | StatsView():
            pass
        case AroundView():
            check_text(view.user, "$.view.user", ID_BYTES_MAX)
        case UsersView():
            for user in view.users:
                check_text(user, "$.view.users", ID_BYTES_MAX)
            return UsersView(tuple(sorted(set(view.users))))
    return view


def read_arguments(view: View, limit: int) -> tuple[str | int, ...]:
    """The board read that serves a view; every `top` is cut out of one read at the largest limit."""
    match view:
        case TopView():
            return ("page", 0, limit)
        case AroundView():
            return ("around", view.user, view.radius)
        case UsersView():
            return ("users", *view.users)
        case StatsView():
            return ("stats",)


def cut_rows(view: View, rows: Sequence[RowType]) -> tuple[RowType, ...]:
    """A view's share of what its read found."""
    return tuple(rows[: view.limit] if isinstance(view, TopView) else rows)

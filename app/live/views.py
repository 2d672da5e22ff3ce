"""What of a board is watched. Equal views of one board are one view, whoever watches."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

from ..model.text import ID_BYTES_MAX, check_text

Row = TypeVar("Row")


class Top(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="top"):
    """The first entries."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class Around(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="around"):
    """A user and the neighbours above and below; no entries while the user is not on the board."""

    user: str
    radius: Annotated[int, msgspec.Meta(ge=0, le=25)] = 5


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="users"):
    """Some users, those who are on the board."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=50)]


class Stats(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stats"):
    """What the board's scores come to; no entries."""


View = Top | Around | Users | Stats


def check_view(view: View) -> View:
    """A view in its normal form: users by name, each once. Invalid, naming the field."""
    match view:
        case Top() | Stats():
            pass
        case Around():
            check_text(view.user, "$.view.user", ID_BYTES_MAX)
        case Users():
            for user in view.users:
                check_text(user, "$.view.users", ID_BYTES_MAX)
            return Users(tuple(sorted(set(view.users))))
    return view


def read_of(view: View, limit: int) -> tuple[str | int, ...]:
    """The board read that serves a view; every `top` is cut out of one read at the largest limit."""
    match view:
        case Top():
            return ("page", 0, limit)
        case Around():
            return ("around", view.user, view.radius)
        case Users():
            return ("users", *view.users)
        case Stats():
            return ("stats",)


def cut(view: View, rows: Sequence[Row]) -> tuple[Row, ...]:
    """A view's share of what its read found."""
    return tuple(rows[: view.limit] if isinstance(view, Top) else rows)

"""What of a board is watched."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Top(NamedTuple):
    """The first rows, up to 100."""

    limit: int = 10

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        return {"kind": "top", "limit": self.limit}


class Around(NamedTuple):
    """A user and the neighbours on each side, up to 25."""

    user_id: str
    radius: int = 5

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        return {"kind": "around", "user": self.user_id, "radius": self.radius}


class Friends(NamedTuple):
    """Some users, up to 50."""

    users: Sequence[str]

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        return {"kind": "users", "users": list(self.users)}


class Figures(NamedTuple):
    """The statistics of a board, and no rows."""

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        return {"kind": "stats"}


View = Top | Around | Friends | Figures

"""Questions about one board, for REST and for live boards alike.

Equal views of one board are the same question, also from different clients. Each view has the arguments of its script
in Redis; `app/store/archived_board.py` has its query of an archived board.
"""

from typing import ClassVar, NamedTuple

import msgspec

from .score import UNITS_MAX

Arguments = tuple[str | int | bytes | float, ...]


class KeyBounds(NamedTuple):
    """The lowest and the highest key in a view, both included. A key is a score as the sorted set orders it."""

    low: int
    high: int


class ScoreBounds(NamedTuple):
    """The lowest and the highest score within bounds, both included, in scaled units."""

    lowest: int = -UNITS_MAX
    highest: int = UNITS_MAX

    def keys(self, sign: int) -> KeyBounds:
        """The same bounds for keys. sign: the namespace's; below 0 the lowest score is the best."""
        return KeyBounds(self.lowest, self.highest) if sign > 0 else KeyBounds(-self.highest, -self.lowest)


ALL_SCORES = ScoreBounds()


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """A question about a board. script: the Lua file that answers it from Redis."""

    script: ClassVar[str] = "read_board"

    def arguments(self) -> Arguments:
        """What the script takes behind the arguments that all views share."""
        raise NotImplementedError


class Top(View, frozen=True, tag="top"):
    """The first entries."""

    limit: int = 10

    def arguments(self) -> Arguments:
        """A page at the top."""
        return "page", 0, self.limit


class Page(View, frozen=True, tag="page"):
    """`limit` entries after the first `offset`, of those whose key is within `bounds`."""

    offset: int
    limit: int
    bounds: KeyBounds | None = None

    def arguments(self) -> Arguments:
        """Offset, limit, and the bounds if there are any."""
        return "page", self.offset, self.limit, *(self.bounds or ())


class After(View, frozen=True, tag="after"):
    """`limit` entries after a key and member of the sorted set, even if that member is gone; of those whose key is
    within `bounds`."""

    key: int
    member: bytes
    limit: int
    bounds: KeyBounds | None = None

    def arguments(self) -> Arguments:
        """Key, member, limit, and the bounds if there are any."""
        return "after", self.key, self.member, self.limit, *(self.bounds or ())


class Around(View, frozen=True, tag="around"):
    """A user and `radius` neighbours above and below; no entry if the user is not on the board."""

    user: str
    radius: int = 5

    def arguments(self) -> Arguments:
        """User and radius."""
        return "around", self.user, self.radius


class Users(View, frozen=True, tag="users"):
    """Those of some users who are on the board, in its order."""

    users: tuple[str, ...]

    def arguments(self) -> Arguments:
        """The users."""
        return "users", *self.users


class Percentile(View, frozen=True, tag="percentile"):
    """The entry of nearest rank at a percentile. share: the percentile in ten-thousandths of a percent."""

    script = "read_board_sample"
    share: int

    def arguments(self) -> Arguments:
        """The share."""
        return "percentile", self.share


class Sample(View, frozen=True, tag="random"):
    """Entries drawn by chance, one for each number from 0 up to (not including) 1."""

    script = "read_board_sample"
    numbers: tuple[float, ...]

    def arguments(self) -> Arguments:
        """The numbers."""
        return "random", *self.numbers


class BandEdges(View, frozen=True, tag="bands"):
    """The first and the last entry of each band. shares: where each band ends, rising; 0 < share ≤ 1."""

    script = "read_board_sample"
    shares: tuple[float, ...]

    def arguments(self) -> Arguments:
        """The shares."""
        return "bands", *self.shares


BoardView = Top | Page | After | Around | Users | Percentile | Sample | BandEdges

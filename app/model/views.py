"""Questions about one board, for REST and for live boards alike.

Equal views of one board are the same question, also from different clients. Each view has the arguments of its script
in Redis; `app/store/archived_board.py` has its query of an archived board.
"""

from typing import ClassVar, NamedTuple

import msgspec

from .score import UNITS_MAX

Arguments = tuple[str | int | bytes | float, ...]


class KeyBounds(NamedTuple):
    """The lowest and the highest sort key in a view, both included: scores as the sorted set orders them."""

    low: int
    high: int


class ScoreBounds(NamedTuple):
    """The lowest and the highest score within bounds, both included, in scaled units."""

    lowest: int = -UNITS_MAX
    highest: int = UNITS_MAX

    def keys(self, sign: int) -> KeyBounds:
        """The same bounds for sort keys. sign: the namespace's; below 0 the lowest score is the best."""
        return KeyBounds(self.lowest, self.highest) if sign > 0 else KeyBounds(-self.highest, -self.lowest)


ALL_SCORES = ScoreBounds()


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """A question about a board. script: the Lua file that answers it from Redis."""

    script: ClassVar[str] = "read_board"

    def arguments(self) -> Arguments:
        """What the script takes behind the arguments that all views share."""
        raise NotImplementedError


class Top(View, frozen=True, tag="top"):
    """The first rows."""

    limit: int = 10

    def arguments(self) -> Arguments:
        """A page at the top."""
        return "page", 0, self.limit


class Page(View, frozen=True, tag="page"):
    """`limit` rows after the first `offset`, of those whose sort key is within `bounds`."""

    offset: int
    limit: int
    bounds: KeyBounds | None = None

    def arguments(self) -> Arguments:
        """Offset, limit, and the bounds if there are any."""
        return "page", self.offset, self.limit, *(self.bounds or ())


class After(View, frozen=True, tag="after"):
    """`limit` rows after a sort key and member of the sorted set, even if that member is gone; of those whose sort key
    is within `bounds`."""

    sort_key: int
    member: bytes
    limit: int
    bounds: KeyBounds | None = None

    def arguments(self) -> Arguments:
        """Sort key, member, limit, and the bounds if there are any."""
        return "after", self.sort_key, self.member, self.limit, *(self.bounds or ())


class Around(View, frozen=True, tag="around"):
    """A user and `radius` neighbours above and below; no row if the user is not on the board."""

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
    """The row of nearest rank at a percentile. millionths: the percentile, 1 percent being 10,000."""

    script = "read_board_sample"
    millionths: int

    def arguments(self) -> Arguments:
        """The millionths."""
        return "percentile", self.millionths


class Sample(View, frozen=True, tag="random"):
    """Entries drawn by chance, one for each number from 0 up to (not including) 1."""

    script = "read_board_sample"
    numbers: tuple[float, ...]

    def arguments(self) -> Arguments:
        """The numbers."""
        return "random", *self.numbers


class BandEdges(View, frozen=True, tag="bands"):
    """The first and the last row of each band. fractions: where each band ends, rising; 0 < fraction ≤ 1."""

    script = "read_board_sample"
    fractions: tuple[float, ...]

    def arguments(self) -> Arguments:
        """The fractions."""
        return "bands", *self.fractions


BoardView = Top | Page | After | Around | Users | Percentile | Sample | BandEdges

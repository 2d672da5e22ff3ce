"""Who must stand on boards and who must not: by what is wished for each in Postgres, which knows before Redis does."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from ..model.veil import ERASE, HIDE, UNHIDE
from .lane import Lane


class Place(Enum):
    """Where a user's scores are to be."""

    SHOWN = "on the boards"
    OFF = "off the boards"
    MOVING = "in one of both, board by board"
    GONE = "nowhere, or on the way there"


class Veil(NamedTuple):
    """What was wished for last of a user (None: it is settled), and whether that is open in the partition."""

    number: int
    name: str | None
    version: int | None
    wish: str | None
    open: bool
    erased: bool

    @property
    def place(self) -> Place:
        """As long as this is wished."""
        if self.erased or self.wish == ERASE:
            return Place.GONE
        if self.open and self.wish in (HIDE, UNHIDE):
            return Place.MOVING
        return Place.OFF if self.wish in (HIDE, None) else Place.SHOWN


Veils = dict[int, Veil]


async def read_veils(lane: Lane, p: int, numbers: Sequence[int] | None = None) -> Veils:
    """The veils in a partition: of some users, or of all who have one."""
    return {row[0]: Veil(*row) for row in await lane.rows("veils", p, numbers)}


def place_between(before: Veil | None, after: Veil | None) -> Place:
    """Where a user was to be at an instant between two readings."""
    places = {veil.place if veil else Place.SHOWN for veil in (before, after)}
    if Place.GONE in places:
        return Place.GONE
    return places.pop() if before == after else Place.MOVING

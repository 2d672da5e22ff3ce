"""Who must stand on boards and who must not: by what is wished for each in Postgres, which knows before Redis does."""

from collections.abc import Sequence
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from ..model.namespace import Namespace
from ..model.veil import ERASE, HIDE, UNHIDE
from .lane import Lane


class Place(Enum):
    """Where a user's scores are to be."""

    SHOWN = "on the boards"
    OFF = "off the boards"
    MOVING = "in one of both, board by board"
    GONE = "nowhere, or on the way there"


class Wish(NamedTuple):
    """What was wished for last of a user, in the whole deployment or in one namespace (None: it is settled), and
    whether that is open in the partition."""

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


class Veil(NamedTuple):
    """What is wished for a user in a namespace: by the deployment, by the namespace, or by both."""

    number: int
    wishes: tuple[Wish, ...]

    @property
    def place(self) -> Place:
        """The one that hides more holds."""
        places = {wish.place for wish in self.wishes}
        return next(place for place in (Place.GONE, Place.OFF, Place.MOVING, Place.SHOWN) if place in places)

    @property
    def name(self) -> str:
        """The user's, where a wish still knows it."""
        return next((wish.name for wish in self.wishes if wish.name is not None), "")

    @property
    def is_erasing(self) -> bool:
        """Whether an erasure is under way here."""
        return any(wish.open and wish.wish == ERASE for wish in self.wishes)


Veils = dict[int, Veil]


async def read_veils(lane: Lane, namespace: Namespace, numbers: Sequence[int] | None = None) -> Veils:
    """The veils in a namespace: of some users, or of all who have one."""
    rows = await lane.rows("veils", namespace.partition, numbers, namespace.id)
    grouped = groupby(rows, key=lambda row: int(row[0]))
    return {number: Veil(number, tuple(Wish(*row[1:]) for row in held)) for number, held in grouped}


def place_between(before: Veil | None, after: Veil | None) -> Place:
    """Where a user was to be at an instant between two readings."""
    places = {veil.place if veil else Place.SHOWN for veil in (before, after)}
    if Place.GONE in places:
        return Place.GONE
    return places.pop() if before == after else Place.MOVING

"""Who must stand on boards and who must not: by what is wished for each in Postgres, which knows before Redis does."""

from collections.abc import Sequence
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from ..model.namespace import Namespace
from ..model.visibility import ERASE, HIDE, UNHIDE
from .connections import StoreConnections


class Presence(Enum):
    """Where a user's scores are to be."""

    SHOWN = "on the boards"
    OFF = "off the boards"
    MOVING = "in one of both, board by board"
    GONE = "nowhere, or on the way there"


class DesiredState(NamedTuple):
    """What was wished for last of a user, in the whole deployment or in one namespace (None: it is settled), and
    whether that is open in the partition."""

    name: str | None
    version: int | None
    desired_state: str | None
    open: bool
    erased: bool

    @property
    def place(self) -> Presence:
        """As long as this is wished."""
        if self.erased or self.desired_state == ERASE:
            return Presence.GONE
        if self.open and self.desired_state in (HIDE, UNHIDE):
            return Presence.MOVING
        return Presence.OFF if self.desired_state in (HIDE, None) else Presence.SHOWN


class UserVisibility(NamedTuple):
    """What is wished for a user in a namespace: by the deployment, by the namespace, or by both."""

    number: int
    desired_states: tuple[DesiredState, ...]

    @property
    def place(self) -> Presence:
        """The one that hides more holds."""
        places = {desired_state.place for desired_state in self.desired_states}
        return next(
            place for place in (Presence.GONE, Presence.OFF, Presence.MOVING, Presence.SHOWN) if place in places
        )

    @property
    def name(self) -> str:
        """The user's, where a wish still knows it."""
        return next((desired_state.name for desired_state in self.desired_states if desired_state.name is not None), "")

    @property
    def is_erasing(self) -> bool:
        """Whether an erasure is under way here."""
        return any(desired_state.open and desired_state.desired_state == ERASE for desired_state in self.desired_states)


Visibilities = dict[int, UserVisibility]


async def read_visibilities(
    stores: StoreConnections, namespace: Namespace, numbers: Sequence[int] | None = None
) -> Visibilities:
    """The veils in a namespace: of some users, or of all who have one."""
    rows = await stores.rows("get_visibility_of_namespace", namespace.partition, numbers, namespace.id)
    grouped = groupby(rows, key=lambda row: int(row[0]))
    return {number: UserVisibility(number, tuple(DesiredState(*row[1:]) for row in held)) for number, held in grouped}


def presence_between(before: UserVisibility | None, after: UserVisibility | None) -> Presence:
    """Where a user was to be at an instant between two readings."""
    places = {visibility.place if visibility else Presence.SHOWN for visibility in (before, after)}
    if Presence.GONE in places:
        return Presence.GONE
    return places.pop() if before == after else Presence.MOVING

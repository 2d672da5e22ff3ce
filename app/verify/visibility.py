"""Which users boards must show: by their visibility intents in Postgres, which are recorded before Redis changes."""

from collections.abc import Sequence
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from ..model.namespace import Namespace
from ..model.visibility import ERASE, HIDE, UNHIDE
from .connections import StoreConnections


class Presence(Enum):
    """Where a user's scores must be."""

    SHOWN = "on the boards"
    OFF = "off the boards"
    MOVING = "in one of both, board by board"
    GONE = "nowhere, or on the way there"


class DesiredState(NamedTuple):
    """The last intent for a user, of the whole deployment or of one namespace (None: it is done). open: whether the
    partition has still to carry it out."""

    name: str | None
    version: int | None
    desired_state: str | None
    open: bool
    erased: bool

    @property
    def presence(self) -> Presence:
        """The presence that this intent requires."""
        if self.erased or self.desired_state == ERASE:
            return Presence.GONE
        if self.open and self.desired_state in (HIDE, UNHIDE):
            return Presence.MOVING
        return Presence.OFF if self.desired_state in (HIDE, None) else Presence.SHOWN


class UserVisibility(NamedTuple):
    """A user's intents in a namespace: of the deployment, of the namespace, or of both."""

    number: int
    desired_states: tuple[DesiredState, ...]

    @property
    def presence(self) -> Presence:
        """The presence that all intents together require: the one that hides most."""
        presences = {desired_state.presence for desired_state in self.desired_states}
        return next(
            presence
            for presence in (Presence.GONE, Presence.OFF, Presence.MOVING, Presence.SHOWN)
            if presence in presences
        )

    @property
    def name(self) -> str:
        """The user's name if an intent still has it, else empty."""
        return next((desired_state.name for desired_state in self.desired_states if desired_state.name is not None), "")

    @property
    def is_erasing(self) -> bool:
        """Whether an erasure of the user is under way in the partition."""
        return any(desired_state.open and desired_state.desired_state == ERASE for desired_state in self.desired_states)


Visibilities = dict[int, UserVisibility]


async def read_visibilities(
    stores: StoreConnections, namespace: Namespace, numbers: Sequence[int] | None = None
) -> Visibilities:
    """The visibilities in a namespace, by user number: of some users, or of all who have an intent."""
    rows = await stores.rows("get_visibility_of_namespace", namespace.partition, numbers, namespace.id)
    grouped = groupby(rows, key=lambda row: int(row[0]))
    return {number: UserVisibility(number, tuple(DesiredState(*row[1:]) for row in group)) for number, group in grouped}


def presence_between(before: UserVisibility | None, after: UserVisibility | None) -> Presence:
    """Where a user's scores must have been at an instant between two reads of the intents."""
    presences = {visibility.presence if visibility else Presence.SHOWN for visibility in (before, after)}
    if Presence.GONE in presences:
        return Presence.GONE
    return presences.pop() if before == after else Presence.MOVING

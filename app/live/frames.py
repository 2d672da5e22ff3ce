"""What the server sends to clients that watch boards, as types. `/asyncapi.json` is made of them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class FrameEntry(msgspec.Struct, frozen=True):
    """One row of a board. `position` orders the rows; `rank` follows the namespace's ranking."""

    position: int
    rank: int
    user_id: str
    score: int | float
    display_name: str | None
    avatar: str | None


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The whole view. `window` is the name of its window, which begins at `starts` and lasts until `ends`. `total`
    counts the users on the board. Only a view `stats` has `stats`; it has no entries."""

    window: str
    starts: Moment | None
    ends: Moment | None
    epoch: int
    version: int
    total: int
    entries: tuple[FrameEntry, ...]
    stats: dict[str, Any] | UnsetType = UNSET


class Delta(msgspec.Struct, frozen=True, tag="delta"):
    """What changed since the version `from`, which the client has: drop the users in `remove`, put in the entries in
    `upsert`, sort by `position`. `stats` are the whole new statistics."""

    window: str
    starts: Moment | None
    ends: Moment | None
    from_version: int = msgspec.field(name="from")
    version: int
    total: int
    upsert: list[FrameEntry]
    remove: list[str]
    stats: dict[str, Any] | UnsetType = UNSET


class UpToDate(msgspec.Struct, frozen=True, tag="uptodate"):
    """The state that the client has from before is the newest one."""

    window: str
    version: int


class SubscriptionError(msgspec.Struct, frozen=True, tag="error"):
    """What is wrong with one subscription, which ends or does not begin; the connection stays. `id` is null where an
    `auth` could not be checked: send it again. `code` is stable, `detail` is for people, `field` names the part of the
    message that is wrong."""

    id: int | None
    code: str
    detail: str
    field: str | UnsetType = UNSET


class StreamError(msgspec.Struct, frozen=True, tag="error"):
    """Why an event stream ends. `code` is stable, `detail` is for people, `field` names the part of the request that is
    wrong."""

    code: str
    detail: str
    field: str | UnsetType = UNSET


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The token was accepted."""


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """The answer to the client's `ping`."""


class ServerPing(msgspec.Struct, frozen=True, tag="ping"):
    """Sent after a silence. It needs no answer."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """The server shuts down: come back after `retry_ms` milliseconds, a little earlier or later than others."""

    retry_ms: int


BoardFrame = Snapshot | Delta | UpToDate
ServerFrame = BoardFrame | SubscriptionError | StreamError | Ready | Pong | ServerPing | Drain


def kind_of(frame: ServerFrame) -> str:
    """The `type` of a frame."""
    return str(frame.__struct_config__.tag)

"""The live protocol: what clients send, the frames they get, and close codes."""

from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from ..http.bodies import decode as decode_as
from ..http.bodies import encode_json, encode_msgpack
from ..model.errors import Problem
from .views import TopView, View

JSON = "leaderboard.v1"
MSGPACK = "leaderboard.v1.msgpack"


class CloseCode(IntEnum):
    """The connection's faults. 40xx: do not retry; 41xx: back off; 42xx: come back."""

    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4001
    OVER_LIMIT = 4013
    REVOKED = 4101
    NO_AUTH = 4102
    TOO_SLOW = 4108
    TOO_MANY = 4129
    DRAIN = 4200


Number = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Auth(msgspec.Struct, tag="auth", forbid_unknown_fields=True):
    """The first message of a connection that watches private boards."""

    token: Annotated[str, msgspec.Meta(max_length=4096)]


class Subscribe(msgspec.Struct, tag="subscribe", forbid_unknown_fields=True):
    """Watch a board; epoch and version where the client holds a state of it, and resume_window, the name of the window
    that it is of: `day` means another one by tomorrow."""

    id: Number
    namespace: Annotated[str, msgspec.Meta(max_length=64)]
    window: Annotated[str, msgspec.Meta(max_length=80)] = "all"
    category: None = None
    view: View = TopView()
    epoch: int | None = None
    version: int | None = None
    resume_window: Annotated[str, msgspec.Meta(max_length=80)] | None = None


class Unsubscribe(msgspec.Struct, tag="unsubscribe", forbid_unknown_fields=True):
    """Stop watching."""

    id: int


class Ping(msgspec.Struct, tag="ping"):
    """Answered by a pong."""


Message = Auth | Subscribe | Unsubscribe | Ping


class MessageHead(msgspec.Struct):
    """What tells whose fault a message that cannot be taken is."""

    type: Literal["auth", "subscribe", "unsubscribe", "ping"]
    id: Number | None = None


_json = msgspec.json.Decoder(Message), msgspec.json.Decoder(MessageHead)
_msgpack = msgspec.msgpack.Decoder(Message), msgspec.msgpack.Decoder(MessageHead)


class RefusedMessage(NamedTuple):
    """A message that names a subscription, which is all that suffers from what is wrong with it."""

    id: int
    problem: Problem


def decode(data: str | bytes) -> Message | RefusedMessage:
    """A client's message, text as JSON and bytes as MessagePack. BadRequest, Invalid: the connection's fault."""
    whole, head = _msgpack if isinstance(data, bytes) else _json
    data = data if isinstance(data, bytes) else data.encode()
    try:
        message: Message = decode_as(whole, data)
    except Problem as problem:
        found: MessageHead = decode_as(head, data)
        if found.type == "subscribe" and found.id is not None:
            return RefusedMessage(found.id, problem)
        raise
    return message


class FrameEntry(msgspec.Struct, frozen=True):
    """One row of a board in a frame."""

    position: int
    rank: int
    user_id: str
    score: int | float
    display_name: str | None = None
    avatar: str | None = None


class Stamp(NamedTuple):
    """What tells whether a view may have changed: its board's epoch, window and version, the version of the rules by
    which it was read, and how often names of those whom it shows have changed."""

    epoch: int
    window: str
    version: int
    rules: int
    names: int


class State(msgspec.Struct, frozen=True):
    """A view at one version; frames are made of one or two of them.

    rules: the version of the rules by which it was read; rules_from_seq: of the namespace. names: so many changes of
    its users' names it holds at least. named: whether somebody in it has a profile. stats: the figures of a view
    `stats`, which has no entries.
    """

    window: str
    starts: Any
    ends: Any
    epoch: int
    version: int
    total: int
    entries: tuple[FrameEntry, ...]
    rules: int = 0
    rules_from_seq: int | None = None
    names: int = 0
    named: bool = False
    stats: dict[str, Any] | None = None

    @property
    def stamp(self) -> "Stamp":
        """Equal stamps, equal states."""
        return Stamp(self.epoch, self.window, self.version, self.rules, self.names)

    def differs(self, held: "State") -> bool:
        """Whether a client that holds the other has something to hear of this one."""
        return (
            self.stamp[:3] != held.stamp[:3]
            or self.entries != held.entries
            or (self.total, self.starts, self.ends, self.stats) != (held.total, held.starts, held.ends, held.stats)
        )

    def follows(self, held: "State") -> bool:
        """Whether a change leads here from an older state; else it takes a snapshot. Names and rules change at one
        version."""
        return (self.epoch, self.window) == (held.epoch, held.window) and self.version >= held.version

    def is_held_by(self, resume: "Resume", asked: str) -> bool:
        """Whether a client holds this very state. Where it does not say of which window its state is, that must follow
        from the window it asked for; and its version must be one that only these rules have had."""
        return (
            (resume.epoch, resume.version) == (self.epoch, self.version)
            and (resume.window or asked) == self.window
            and self.rules_from_seq is not None
            and self.version > self.rules_from_seq
        )


class Resume(NamedTuple):
    """The state that a client holds from before, if any. window: None where it did not say."""

    epoch: int | None = None
    version: int | None = None
    window: str | None = None


def snapshot(state: State) -> dict[str, Any]:
    """The whole state; a subscriber's id goes in front."""
    return {
        "type": "snapshot",
        "window": state.window,
        "starts": state.starts,
        "ends": state.ends,
        "epoch": state.epoch,
        "version": state.version,
        "total": state.total,
        "entries": state.entries,
        **_stats(state),
    }


def delta(old: State, new: State) -> dict[str, Any]:
    """What leads from one state to the next."""
    held = {entry.user_id: entry for entry in old.entries}
    now = {entry.user_id for entry in new.entries}
    return {
        "type": "delta",
        "window": new.window,
        "starts": new.starts,
        "ends": new.ends,
        "from": old.version,
        "version": new.version,
        "total": new.total,
        "upsert": [entry for entry in new.entries if held.get(entry.user_id) != entry],
        "remove": [user for user in held if user not in now],
        **_stats(new),
    }


def _stats(state: State) -> dict[str, Any]:
    """Whole in each frame: a client takes the newest."""
    return {} if state.stats is None else {"stats": state.stats}


def uptodate(state: State) -> dict[str, Any]:
    """For a client that holds the state already."""
    return {"type": "uptodate", "window": state.window, "version": state.version}


def error(number: int | None, problem: Problem) -> dict[str, Any]:
    """A fault that leaves the connection open: a subscription's, or an `auth` that no store answered."""
    told = {"type": "error", "id": number, "code": problem.code, "detail": problem.detail}
    return told if problem.field is None else told | {"field": problem.field}


class Frame:
    """A frame without its subscription's id: encoded once in each format, whoever gets it."""

    __slots__ = ("_json", "_msgpack", "body")

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self._json: bytes | None = None
        self._msgpack: bytes | None = None

    def json(self, number: int) -> str:
        """The text frame for one subscription."""
        if self._json is None:
            self._json = encode_json(self.body)
        return (b'{"id":%d,' % number + self._json[1:]).decode()

    def msgpack(self, number: int) -> bytes:
        """The binary frame for one subscription: the map with one member more."""
        if self._msgpack is None:
            self._msgpack = encode_msgpack(self.body)
        return bytes([self._msgpack[0] + 1]) + encode_msgpack("id") + encode_msgpack(number) + self._msgpack[1:]

"""The live protocol: what clients send, and how the frames that they get are made and encoded."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from ..http.bodies import decode as decode_as
from ..http.bodies import encode_json, encode_msgpack
from ..model.errors import Forbidden, NamespaceNotFound, Problem, Unauthorized
from ..model.views import Top
from .frames import BoardFrame, Delta, FrameEntry, ServerFrame, Snapshot, SubscriptionError, UpToDate, kind_of
from .views import LiveView

JSON = "leaderboard.v1"
MSGPACK = "leaderboard.v1.msgpack"


# Problems of a subscription that depend on its namespace: it may not be watched, or does not exist.
_ABOUT_NAMESPACE = (Unauthorized, Forbidden, NamespaceNotFound)
Number = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Auth(msgspec.Struct, tag="auth", forbid_unknown_fields=True):
    """The first message of a connection that watches private boards."""

    token: Annotated[str, msgspec.Meta(max_length=4096)]


class Subscribe(msgspec.Struct, tag="subscribe", forbid_unknown_fields=True):
    """Watch a board. A client that has a state of it from before gives its epoch and version, and in resume_window the
    name of its window: `day` is another window by tomorrow."""

    id: Number
    namespace: Annotated[str, msgspec.Meta(max_length=64)]
    window: Annotated[str, msgspec.Meta(max_length=80)] = "all"
    category: str | None = None
    view: LiveView = Top()
    epoch: int | None = None
    version: int | None = None
    resume_window: Annotated[str, msgspec.Meta(max_length=80)] | None = None


class Unsubscribe(msgspec.Struct, tag="unsubscribe", forbid_unknown_fields=True):
    """Stop watching."""

    id: int


class Ping(msgspec.Struct, tag="ping", forbid_unknown_fields=True):
    """Answered by a pong."""


Message = Auth | Subscribe | Unsubscribe | Ping


class MessageHead(msgspec.Struct):
    """The fields of a message that tell whose fault it is: the connection's, or that of one subscription."""

    type: Literal["auth", "subscribe", "unsubscribe", "ping"]
    id: Number | None = None


_json = msgspec.json.Decoder(Message), msgspec.json.Decoder(MessageHead)
_msgpack = msgspec.msgpack.Decoder(Message), msgspec.msgpack.Decoder(MessageHead)


class RefusedMessage(NamedTuple):
    """A wrong message of one subscription: the connection and the other subscriptions go on."""

    id: int
    problem: Problem


def decode(data: str | bytes) -> Message | RefusedMessage:
    """A client's message, text as JSON and bytes as MessagePack. BadRequest, Invalid: the connection's fault."""
    whole, head = _msgpack if isinstance(data, bytes) else _json
    data = data if isinstance(data, bytes) else data.encode()
    try:
        message: Message = decode_as(whole, data)
    except Problem as problem:
        envelope: MessageHead = decode_as(head, data)
        if envelope.type == "subscribe" and envelope.id is not None:
            return RefusedMessage(envelope.id, problem)
        raise
    return message


class Stamp(NamedTuple):
    """A view changes only if its stamp does. epoch, window, version: those of its board; rules: the version of the
    rules; names: how often the names of its users have changed."""

    epoch: int
    window: str
    version: int
    rules: int
    names: int


class State(msgspec.Struct, frozen=True):
    """A view at one version; frames are made of one or two of them.

    rules: the version of the rules by which it was read; rules_from_seq: that of the namespace. names: how many changes
    of its users' names it contains at least. has_profiles: whether a user in it has a profile. is_archived: whether it
    is of an archive, of which two states may have one version. stats: those of a view `stats`, which has no rows.
    """

    window: str
    starts: datetime | None
    ends: datetime | None
    epoch: int
    version: int
    board_size: int
    entries: tuple[FrameEntry, ...]
    rules: int = 0
    rules_from_seq: int | None = None
    names: int = 0
    has_profiles: bool = False
    is_archived: bool = False
    stats: dict[str, Any] | None = None

    @property
    def event_id(self) -> str:
        """The id of an event with this state; `Resume.of_event_id` reads it."""
        return f"{self.epoch}-{self.version}-{self.window}"

    @property
    def stamp(self) -> "Stamp":
        """Equal stamps, equal states."""
        return Stamp(self.epoch, self.window, self.version, self.rules, self.names)

    def differs(self, other: "State") -> bool:
        """Whether a client that has the other state needs a frame of this one."""
        return (
            self.stamp[:3] != other.stamp[:3]
            or self.entries != other.entries
            or (self.board_size, self.starts, self.ends, self.stats)
            != (other.board_size, other.starts, other.ends, other.stats)
        )

    def follows(self, older: "State") -> bool:
        """Whether a delta leads here from an older state; else the client needs a snapshot. Names and rules may change
        at one version."""
        return (self.epoch, self.window) == (older.epoch, older.window) and self.version >= older.version

    def is_same_as(self, resume: "Resume", window_name: str) -> bool:
        """Whether a client has this state from before. If the client does not name its window, the window that it
        subscribes to counts: `day` is another one by tomorrow. The version must be one that only these rules had, and
        the board in Redis: the rows of an archive change before its version does."""
        return (
            not self.is_archived
            and (resume.epoch, resume.version) == (self.epoch, self.version)
            and (resume.window or window_name) == self.window
            and self.rules_from_seq is not None
            and self.version > self.rules_from_seq
        )


#: An event's id: epoch, version and window of the state that a client has after it.
EVENT_ID = re.compile(r"(\d{1,18})-(\d{1,18})-(.{1,80})", re.ASCII)


class Resume(NamedTuple):
    """The state that a client has from before, if any. window: None if it did not name one."""

    epoch: int | None = None
    version: int | None = None
    window: str | None = None

    @classmethod
    def of_event_id(cls, event_id: str) -> "Resume":
        """The state that an event's id names; none if it is no such id."""
        parts = EVENT_ID.fullmatch(event_id)
        return cls() if parts is None else cls(int(parts[1]), int(parts[2]), parts[3])


def snapshot(state: State) -> Snapshot:
    """The frame of a whole state. The subscription's id comes with the encoding."""
    return Snapshot(
        window=state.window,
        starts=state.starts,
        ends=state.ends,
        epoch=state.epoch,
        version=state.version,
        total=state.board_size,
        entries=state.entries,
        stats=UNSET if state.stats is None else state.stats,
    )


def delta(old: State, new: State) -> Delta:
    """The frame that leads from one state to the next. Each one of statistics has all of them."""
    before = {entry.user_id: entry for entry in old.entries}
    users = {entry.user_id for entry in new.entries}
    return Delta(
        window=new.window,
        starts=new.starts,
        ends=new.ends,
        from_version=old.version,
        version=new.version,
        total=new.board_size,
        upsert=[entry for entry in new.entries if before.get(entry.user_id) != entry],
        remove=[user for user in before if user not in users],
        stats=UNSET if new.stats is None else new.stats,
    )


def uptodate(state: State) -> UpToDate:
    """The frame for a client that has the state already."""
    return UpToDate(state.window, state.version)


def error(number: int | None, problem: Problem) -> SubscriptionError:
    """The frame of an error that leaves the connection open: of a subscription, or of `auth` while a store is away."""
    field = problem.field
    if field is None and number is not None and isinstance(problem, _ABOUT_NAMESPACE):
        field = "$.namespace"
    return SubscriptionError(number, problem.code, problem.detail, UNSET if field is None else field)


#: Ids of subscriptions for which a frame keeps its bytes. Most clients use the same few.
_IDS_MAX = 16
#: The first byte of a WebSocket's whole message, by whether it is packed: text or binary.
_OPCODE = {False: 0x81, True: 0x82}


class Frame:
    """A frame for all subscriptions of a view: encoded once in each format, without their ids. event_id: of the state
    that a client has after it."""

    __slots__ = ("_encoded", "_events", "_wire", "body", "event_id")

    def __init__(self, body: BoardFrame, event_id: str = "") -> None:
        self.body = body
        self.event_id = event_id
        self._encoded: dict[bool, bytes] = {}
        self._events: dict[bool, bytes] = {}
        self._wire: dict[tuple[int, bool], bytes] = {}

    def wire(self, number: int, packed: bool) -> bytes:
        """The bytes that go out to one subscription, the WebSocket's head included; packed: as MessagePack.
        Subscriptions of the same id share them. O(1) after the first."""
        wire = self._wire.get((number, packed))
        if wire is None:
            wire = websocket_bytes(self._with_id(number, packed), packed)
            if len(self._wire) < _IDS_MAX:
                self._wire[number, packed] = wire
        return wire

    def event(self, is_chunked: bool) -> bytes:
        """The bytes that go out to an event stream; is_chunked: with the frame of a chunk. All streams of a view share
        them. O(1) after the first."""
        event = self._events.get(is_chunked)
        if event is None:
            event = b"id: %b\n" % self.event_id.encode() + event_text(kind_of(self.body), self._plain(packed=False))
            event = self._events[is_chunked] = chunk(event) if is_chunked else event
        return event

    def _plain(self, packed: bool) -> bytes:
        """Without an id."""
        encoded = self._encoded.get(packed)
        if encoded is None:
            encoded = self._encoded[packed] = encode_msgpack(self.body) if packed else encode_json(self.body)
        return encoded

    def _with_id(self, number: int, packed: bool) -> bytes:
        encoded = self._plain(packed)
        if packed:  # The map with one more member.
            return bytes([encoded[0] + 1]) + encode_msgpack("id") + encode_msgpack(number) + encoded[1:]
        return b'{"id":%d,' % number + encoded[1:]


def message_bytes(body: ServerFrame, packed: bool) -> bytes:
    """A message for one connection, as it goes out."""
    return websocket_bytes(encode_msgpack(body) if packed else encode_json(body), packed)


def websocket_bytes(data: bytes, packed: bool) -> bytes:
    """A server's message as one WebSocket frame (RFC 6455, 5.2): not masked, not compressed."""
    size = len(data)
    if size < 126:
        return bytes((_OPCODE[packed], size)) + data
    if size < 65_536:
        return bytes((_OPCODE[packed], 126)) + size.to_bytes(2, "big") + data
    return bytes((_OPCODE[packed], 127)) + size.to_bytes(8, "big") + data


def event_text(kind: str, data: bytes) -> bytes:
    """A server-sent event. data: JSON, which has no line's end."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def event_bytes(body: ServerFrame, is_chunked: bool, head: bytes = b"") -> bytes:
    """A message for one event stream, as it goes out. head: its first lines."""
    event = head + event_text(kind_of(body), encode_json(body))
    return chunk(event) if is_chunked else event


def chunk(data: bytes) -> bytes:
    """Bytes as one chunk of HTTP/1.1 (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)

"""/asyncapi.json: what goes over live connections, as AsyncAPI 3. Its schemas are made of the types that decode and
encode."""

from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from .description.answers import STATISTICS
from .description.schema import Schema, ref
from .http.bodies import JSON, MSGPACK, encode_json
from .live import protocol
from .live.close_codes import CLOSE_ADVICE
from .live.connection_sweep import SILENCE_S
from .live.event_stream_handler import QUERY
from .live.frames import (
    Delta,
    Drain,
    Pong,
    Ready,
    ServerPing,
    Snapshot,
    StreamError,
    SubscriptionError,
    UpToDate,
)
from .live.protocol import Auth, Message, Ping, Subscribe, Unsubscribe
from .live.views import RADIUS_MAX, TOP_MAX, USERS_MAX
from .live.websocket import MESSAGE_BYTES_MAX, SUBSCRIPTIONS_MAX
from .live.websocket_protocol import FRAGMENTS_MAX, FRAMES_A_S_MAX, FRAMES_BURST_MAX
from .model.text import ID_BYTES_MAX, LABEL_CHARS_MAX
from .openapi import ABOUT, BEARER
from .read.conditional import tagged_answer
from .routes import ROUTES

#: What clients send over a WebSocket, and what each of it is answered by.
_REPLIES: dict[type, tuple[type, ...]] = {
    Auth: (Ready, SubscriptionError),
    Subscribe: (Snapshot, UpToDate, SubscriptionError),
    Unsubscribe: (),
    Ping: (Pong,),
}
#: What the server sends by itself: to a WebSocket, and as events.
_SENT_TO_SOCKETS: dict[str, tuple[type, ...]] = {
    "update": (Snapshot, Delta, SubscriptionError),
    "keepAlive": (ServerPing,),
    "drain": (Drain,),
}
_SENT_AS_EVENTS: dict[str, tuple[type, ...]] = {
    "update": (Snapshot, UpToDate, Delta, StreamError),
    "keepAlive": (ServerPing,),
    "drain": (Drain,),
}
#: Frames of one subscription; over a WebSocket they have its id.
_OF_SUBSCRIPTIONS = (Snapshot, Delta, UpToDate)
_USER: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": ID_BYTES_MAX,
    "description": f"1 to {ID_BYTES_MAX} bytes of UTF-8 without control characters.",
}
_CATEGORY: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": LABEL_CHARS_MAX,
    "description": "Without control characters.",
}
_HOST = {
    "host": "{host}",
    "variables": {"host": {"default": "localhost:8000", "description": "Where the server listens, with its port."}},
}
_LIVE = f"""\
Send `auth` first, with an API key or a client token; public namespaces are watched without. A header or a query is not
read. Then send `subscribe` for each view, at most {SUBSCRIPTIONS_MAX}. Apply each `delta` to the state that you have.

A message has at most {MESSAGE_BYTES_MAX} bytes, in {FRAGMENTS_MAX} fragments. A client sends {FRAMES_A_S_MAX} frames a
second, {FRAMES_BURST_MAX} at once, pings and pongs included. After {SILENCE_S:g} s of silence the server sends `ping`.

A handshake is refused by 403 if its `Origin` is not one of the deployment's. The server closes with these codes, beside
those of RFC 6455 for what is no WebSocket message (1002, 1007, 1009):

| code | meaning | what to do |
| --- | --- | --- |
"""
_PACKED = """\
The same as `leaderboard.v1`, each message as a MessagePack map in a binary frame. Schemas show the JSON form: `starts`
and `ends` are timestamps of MessagePack here, and a `sum` that no number of MessagePack holds exactly is a string.

"""
_EVENTS = """\
One board as Server-Sent Events: the frames of a WebSocket without `id`. The event's name is the `type`. An API key or a
client token goes into `Authorization`; a public namespace needs none. With `Last-Event-ID` the first event is
`uptodate` if nothing can have changed since that state, else a snapshot. A refusal is a problem in JSON, as
`/openapi.json` has it; after the beginning it is an `error`, with which the stream ends. The stream ends after `drain`,
too. A client that reads too slowly is cut off.
"""


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    table = "".join(f"| {code:d} | {advice.meaning} | {advice.remedy} |\n" for code, advice in CLOSE_ADVICE.items())
    channels = {
        "live": _socket_channel(protocol.JSON, description=_LIVE + table, media=JSON),
        "livePacked": _socket_channel(protocol.MSGPACK, description=_PACKED + _LIVE + table, media=MSGPACK),
        "events": _event_channel(),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Leaderboard, live", "version": "1", "description": ABOUT},
        "defaultContentType": JSON,
        "servers": {
            "sockets": {**_HOST, "protocol": "ws", "description": "`wss` where a proxy in front speaks TLS."},
            "streams": {**_HOST, "protocol": "http", "description": "`https` where a proxy in front speaks TLS."},
        },
        "channels": channels,
        "operations": {**_socket_operations("live"), **_socket_operations("livePacked"), **_event_operations()},
        "components": {
            "schemas": _components(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": BEARER}},
        },
    }


def _socket_channel(subprotocol: str, *, description: str, media: str) -> dict[str, Any]:
    kinds = dict.fromkeys([*_REPLIES, *(kind for kinds in _SENT_TO_SOCKETS.values() for kind in kinds)])
    kinds |= dict.fromkeys(kind for kinds in _REPLIES.values() for kind in kinds)
    fields = {"Sec-WebSocket-Protocol": {"const": subprotocol}, "Origin": {"type": "string"}}
    return {
        "address": "/v1/live",
        "title": f"WebSocket, subprotocol {subprotocol}",
        "description": description,
        "servers": [{"$ref": "#/servers/sockets"}],
        "messages": {kind.__name__: _message(kind, media) | {"payload": _payload(kind)} for kind in kinds},
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": fields},
                "bindingVersion": "0.1.0",
            }
        },
        "x-close-codes": [{"code": int(code), **advice._asdict()} for code, advice in CLOSE_ADVICE.items()],
    }


def _event_channel() -> dict[str, Any]:
    [route] = (route for route in ROUTES if route.is_stream)
    kinds = dict.fromkeys(kind for kinds in _SENT_AS_EVENTS.values() for kind in kinds)
    events = {
        kind.__name__: _message(kind, JSON) | {"headers": _event_head(kind), "payload": ref(kind)} for kind in kinds
    }
    fields = {"Authorization": {"type": "string"}, "Last-Event-ID": _EVENT_ID}
    return {
        "address": route.path,
        "title": "Server-Sent Events",
        "description": _EVENTS,
        "servers": [{"$ref": "#/servers/streams"}],
        "parameters": {
            "namespace": {"description": "The name of a namespace."},
            "window": {"description": "A window as a board read names it.", "examples": ["all", "week", "2025-11"]},
        },
        "messages": {
            "Watch": {
                "name": "watch",
                "summary": "The request, which has no body.",
                "bindings": {"http": {"headers": {"type": "object", "properties": fields}, "bindingVersion": "0.3.0"}},
            },
            **events,
        },
    }


#: The place that an event's id names.
_EVENT_ID: Schema = {"type": "string", "pattern": f"^{protocol.EVENT_ID.pattern}$"}


def _event_head(kind: type) -> Schema:
    """The lines of an event before its `data`."""
    fields: dict[str, Schema] = {"event": {"const": _tag(kind)}}
    if kind in _OF_SUBSCRIPTIONS:
        fields["id"] = _EVENT_ID
    elif kind is Drain:
        fields["retry"] = {"type": "integer", "description": "Milliseconds."}
    return {"type": "object", "required": [*fields], "properties": fields, "additionalProperties": False}


def _message(kind: type, media: str) -> dict[str, Any]:
    return {"name": _tag(kind), "title": kind.__name__, "summary": _about(kind), "contentType": media}


def _payload(kind: type) -> Schema:
    """The schema of what goes over a WebSocket."""
    return ref(f"Subscription{kind.__name__}" if kind in _OF_SUBSCRIPTIONS else kind)


def _socket_operations(channel: str) -> dict[str, Any]:
    """By the server: it receives what clients send."""
    operations: dict[str, Any] = {}
    for kind, replies in _REPLIES.items():
        operation = {**_operation("receive", channel, [kind.__name__]), "summary": _about(kind)}
        if replies:
            operation["reply"] = _messages_of(channel, [reply.__name__ for reply in replies])
        operations[f"{channel}.{_tag(kind)}"] = operation
    for name, kinds in _SENT_TO_SOCKETS.items():
        operations[f"{channel}.{name}"] = _operation("send", channel, [kind.__name__ for kind in kinds])
    return operations


def _event_operations() -> dict[str, Any]:
    watch = _operation("receive", "events", ["Watch"]) | {
        "summary": "Watch a board.",
        "security": [{"$ref": "#/components/securitySchemes/key"}],
        "bindings": {"http": {"method": "GET", "query": _event_query(), "bindingVersion": "0.3.0"}},
        "reply": _messages_of("events", [kind.__name__ for kind in (Snapshot, UpToDate, StreamError)]),
    }
    sent = {
        f"events.{name}": _operation("send", "events", [kind.__name__ for kind in kinds])
        for name, kinds in _SENT_AS_EVENTS.items()
    }
    return {"events.watch": watch, **sent}


def _event_query() -> Schema:
    """The query of an event stream; one of `limit`, `around`, `user` and `stats` chooses the view."""
    schemas: dict[str, Schema] = {
        "limit": {"type": "integer", "minimum": 1, "maximum": TOP_MAX, "default": 10},
        "around": _USER,
        "radius": {"type": "integer", "minimum": 0, "maximum": RADIUS_MAX, "default": 5},
        "user": {"type": "array", "items": _USER, "minItems": 1, "maxItems": USERS_MAX},
        "stats": {"enum": ["true", ""]},
        "category": _CATEGORY,
    }
    return {
        "type": "object",
        "description": "One of `limit`, `around`, `user` and `stats` chooses the view; `radius` goes with `around`.",
        "properties": {name: schemas[name] for name in QUERY},
        "additionalProperties": False,
    }


def _operation(action: str, channel: str, names: list[str]) -> dict[str, Any]:
    return {"action": action, **_messages_of(channel, names)}


def _messages_of(channel: str, names: list[str]) -> dict[str, Any]:
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _components() -> dict[str, Schema]:
    """Every schema that has a name. Bounds that a type does not have are those of `check_view`."""
    kinds = [Message, Snapshot, Delta, UpToDate, SubscriptionError, StreamError, Ready, Pong, ServerPing, Drain]
    template = ref("{name}")["$ref"]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=template)
    for schema in schemas.values():
        schema["description"] = " ".join(schema["description"].split())
    subscribe = schemas["Subscribe"]["properties"]
    del subscribe["view"]["discriminator"]  # OpenAPI's form of it; each view tells its kind by `enum`.
    subscribe["category"] = {"anyOf": [_CATEGORY, {"type": "null"}], "default": None}
    schemas["Top"]["properties"]["limit"] |= {"minimum": 1, "maximum": TOP_MAX}
    schemas["Around"]["properties"]["radius"] |= {"minimum": 0, "maximum": RADIUS_MAX}
    schemas["Around"]["properties"]["user"] = _USER
    schemas["Users"]["properties"]["users"] |= {"items": _USER, "minItems": 1, "maxItems": USERS_MAX}
    for name in (Snapshot.__name__, Delta.__name__):
        schemas[name]["properties"]["stats"] = ref("Statistics")
    number = {"id": {**subscribe["id"], "description": "The id of the subscription."}}
    for kind in _OF_SUBSCRIPTIONS:
        frame = schemas[kind.__name__]
        name = f"Subscription{kind.__name__}"
        required = ["id", *frame["required"]]
        schemas[name] = {**frame, "title": name, "properties": {**number, **frame["properties"]}, "required": required}
    return {**schemas, "Statistics": STATISTICS}


def _tag(kind: type) -> str:
    """The `type` of a message."""
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def _about(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


@cache
def _encoded() -> bytes:
    return encode_json(document())


async def serve(request: Request) -> Response:
    """`GET /asyncapi.json`."""
    return tagged_answer(request, None, _encoded(), JSON)

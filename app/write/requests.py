"""What a request to POST grants says beside its grants: its parameters, and how its body falls apart."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Scope

from ..model.errors import Invalid, TooLarge
from ..wire import JSON, MSGPACK, NDJSON, decode

ARRAY_MAX = 1_000
LINES_MAX = 10_000

_members = {JSON: msgspec.json.Decoder(list[msgspec.Raw]), MSGPACK: msgspec.msgpack.Decoder(list[msgspec.Raw])}


class Asked(NamedTuple):
    """The parameters. atomic: all or none; rank: receipts tell places; backfill: however old the grants are."""

    atomic: bool = False
    rank: bool = False
    backfill: bool = False


NOTHING = Asked()


def asked(scope: Scope) -> Asked:
    """A request's parameters. Invalid."""
    if not scope["query_string"]:
        return NOTHING
    query: str = scope["query_string"].decode("latin-1")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in given.items():
        if name not in Asked._fields:
            raise Invalid("there is no such parameter here", field=f"?{name}")
        if value not in ("true", "false"):
            raise Invalid("must be true or false", field=f"?{name}")
    return Asked(**{name: value == "true" for name, value in given.items()})


def is_array(body: bytes, media: str) -> bool:
    """Whether a body holds a batch."""
    if media == JSON:
        return (body[:1] if body[:1] > b" " else body.lstrip()[:1]) == b"["
    return bool(body[:1]) and (body[0] >> 4 == 9 or body[0] in (0xDC, 0xDD))


def split(body: bytes, media: str) -> list[Any]:
    """A batch's members, undecoded. BadRequest, TooLarge, Invalid."""
    if media == NDJSON:
        members: list[Any] = [line for line in body.split(b"\n") if line.strip()]
        most = LINES_MAX
    else:
        members, most = decode(_members[media], body), ARRAY_MAX
    if len(members) > most:
        raise TooLarge(f"at most {most} grants are taken at once")
    if not members:
        raise Invalid("holds no grant", field="$")
    return members

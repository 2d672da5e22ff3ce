"""Reads the parameters of a request to POST grants, and splits its body into grants."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Scope

from ..http.bodies import JSON, MSGPACK, NDJSON, check_names, decode, header
from ..model.errors import Invalid, TooLarge

#: Grants of an array.
ARRAY_MAX = 1_000
#: Grants of a body with one in each line.
LINES_MAX = 10_000
#: Lines of such a body, empty ones included: so many grants, each with an empty line after it.
_ALL_LINES_MAX = 2 * LINES_MAX + 1
#: Bytes of one grant: all of its fields at their longest with every character escaped are 20 KB.
GRANT_BYTES_MAX = 32 * 1024
#: Bytes of a body that are scanned without a pause: 2 ms of the event loop.
_PIECE_BYTES_MAX = 2 * 1024 * 1024
#: Bytes of grants that are decoded without a pause: 1 ms of the event loop.
_DECODED_BYTES_MAX = 128 * 1024
#: Grants that are decoded without a pause, also if they are small: 1 ms of the event loop.
_DECODED_MAX = 256

# A list would be decoded whole before it is counted. With this type the first member too many ends the decoding.
_Members = msgspec.defstruct(
    "_Members",
    [(f"m{i}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for i in range(ARRAY_MAX)],
    array_like=True,
    forbid_unknown_fields=True,
)
_members = {JSON: msgspec.json.Decoder(_Members), MSGPACK: msgspec.msgpack.Decoder(_Members)}


class RequestOptions(NamedTuple):
    """The parameters. atomic: all or none; rank: receipts have ranks; backfill: grants may be of any age; dry_run: what
    would become of them is told, and nothing is written; ack: the acknowledgement that is asked for, as it was sent."""

    atomic: bool = False
    rank: bool = False
    backfill: bool = False
    dry_run: bool = False
    ack: str | None = None


NOTHING = RequestOptions()
_NAMES = frozenset(RequestOptions._fields)


def read_options(scope: Scope, *, in_namespace: bool) -> RequestOptions:
    """A request's parameters. Invalid; also for an Idempotency-Key, because its sender would rely on it."""
    if header(scope, b"idempotency-key"):
        raise Invalid("a grant is safe to repeat by its own grant_id: send no such key", field="Idempotency-Key")
    if not scope["query_string"]:
        return NOTHING
    query: str = scope["query_string"].decode("latin-1")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if not given.keys() <= _NAMES:
        check_names(given, *(name for name in RequestOptions._fields if name != "atomic" or not in_namespace))
    ack = given.pop("ack", None)
    for name, value in given.items():
        if value not in ("true", "false"):
            raise Invalid("must be true or false", field=f"?{name}")
    return RequestOptions(**{name: value == "true" for name, value in given.items()}, ack=ack)


def is_array(body: bytes, media: str) -> bool:
    """Whether a body holds a batch."""
    if media == JSON:
        return (body[:1] if body[:1] > b" " else body.lstrip()[:1]) == b"["
    return bool(body[:1]) and (body[0] >> 4 == 9 or body[0] in (0xDC, 0xDD))


async def split_batch(body: bytes, media: str) -> list[Any]:
    """A batch's members, undecoded, with pauses for other tasks. BadRequest, TooLarge, Invalid.

    Lines are counted before they are split: 40 MB of line feeds must not become 40 million lines.
    """
    if media == NDJSON:
        members = await _lines(body)
        most = LINES_MAX
    else:
        members, most = _array(body, media), ARRAY_MAX
    if len(members) > most:
        raise _too_many(most)
    if not members:
        raise Invalid("holds no grant", field="$")
    return members


def size_of(member: Any) -> int:
    """Bytes of an undecoded grant."""
    return memoryview(member).nbytes


def check_size(size: int) -> None:
    """TooLarge for more bytes than any grant has; these are not decoded."""
    if size > GRANT_BYTES_MAX:
        raise TooLarge(f"a grant takes at most {GRANT_BYTES_MAX} bytes", field="$")


class YieldClock:
    """Decides when a loop over members pauses for other tasks."""

    def __init__(self) -> None:
        self._bytes = self._count = 0

    def is_over(self, size: int) -> bool:
        """Whether it is time for a pause. size: bytes of the next member."""
        self._bytes += size
        self._count += 1
        if self._bytes < _DECODED_BYTES_MAX and self._count < _DECODED_MAX:
            return False
        self._bytes = self._count = 0
        return True


async def _lines(body: bytes) -> list[Any]:
    count, members = 0, []
    for begin, end in _pieces(len(body)):
        count += body.count(b"\n", begin, end)
        if count > _ALL_LINES_MAX:
            raise _too_many(LINES_MAX)
        await asyncio.sleep(0)
    begin = 0
    while begin < len(body):
        end = body.rfind(b"\n", begin, begin + _PIECE_BYTES_MAX) + 1
        if not end:
            end = body.find(b"\n", begin) + 1 or len(body)  # A line longer than a piece.
        members += [line for line in body[begin:end].split(b"\n") if line and not line.isspace()]
        begin = end
        await asyncio.sleep(0)
    return members


def _pieces(size: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, size, _PIECE_BYTES_MAX):
        yield begin, min(begin + _PIECE_BYTES_MAX, size)


def _array(body: bytes, media: str) -> list[Any]:
    try:
        members = decode(_members[media], body)
    except Invalid:
        # Members of any kind are allowed, so the array was refused for its length.
        raise _too_many(ARRAY_MAX) from None
    return [member for member in msgspec.structs.astuple(members) if member is not msgspec.UNSET]


def _too_many(most: int) -> TooLarge:
    more = f"; send up to {LINES_MAX} with one a line ({NDJSON})" if most < LINES_MAX else ""
    return TooLarge(f"at most {most} grants are taken at once{more}")

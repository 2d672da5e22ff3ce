"""Times as clients send them: RFC 3339 with a zone. Digits past the sixth are cut, never rounded.

A decoder of a whole body would round them, and would put a grant of 23:59:59.9999999 into the next day. So a time is
taken as the bytes that were sent, and is read here.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from .errors import Invalid
from .micros import EARLIEST, LATEST, from_micros

SentMoment = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "string", "format": "date-time"})]

_EXCESS = re.compile(rb"(\.\d{6})\d+", re.ASCII)
#: Bytes of quotes around 2026-11-27T09:00:00.123456Z: a seventh digit, which would be rounded, makes it longer.
_SHORT_BYTES_MAX = 29
_json = msgspec.json.Decoder(datetime).decode
_json_text = msgspec.json.Decoder(str).decode
_msgpack_text = msgspec.msgpack.Decoder(str).decode


def read_moment(raw: msgspec.Raw, field: str) -> datetime | None:
    """The time that JSON or MessagePack carries; None for null. MessagePack may carry a timestamp, too. Invalid."""
    token = bytes(raw)
    if token in (b"null", b"\xc0"):
        return None
    try:
        if token[:1] == b'"' and len(token) > 1:
            moment = _json(token) if len(token) <= _SHORT_BYTES_MAX else _read(_json_text(token).encode())
        elif token[:1] in (b"\xd6", b"\xd7", b"\xc7"):
            moment = _timestamp(token)
        else:
            moment = _read(_msgpack_text(token).encode())
    except (msgspec.DecodeError, ValueError, OverflowError):
        raise _not_a_time(field) from None
    return _checked(moment, field)


def parse_moment(text: str, field: str) -> datetime:
    """The time in a query, where a `+` may have come as a space. Invalid."""
    day, clock = text[:11], text[11:]
    try:
        return _checked(_read((day + clock.replace(" ", "+")).encode()), field)
    except (msgspec.DecodeError, ValueError):
        raise _not_a_time(field) from None


def _read(text: bytes) -> datetime:
    return _json(b'"%b"' % _EXCESS.sub(rb"\1", text, count=1))


def _timestamp(token: bytes) -> datetime:
    """Reads MessagePack's timestamps of 4, 8 and 12 bytes: seconds, and nanoseconds that are cut to microseconds."""
    head, body = (token[:3], token[3:]) if token[0] == 0xC7 else (token[:2], token[2:])
    if head == b"\xd6\xff" and len(body) == 4:
        seconds, nanos = int.from_bytes(body, "big"), 0
    elif head == b"\xd7\xff" and len(body) == 8:
        both = int.from_bytes(body, "big")
        seconds, nanos = both & (2**34 - 1), both >> 34
    elif head == b"\xc7\x0c\xff" and len(body) == 12:
        nanos, seconds = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big", signed=True)
    else:
        raise ValueError
    if nanos >= 10**9:
        raise ValueError
    return from_micros(seconds * 1_000_000 + nanos // 1_000)


def _checked(moment: datetime, field: str) -> datetime:
    if moment.tzinfo is None:
        raise _not_a_time(field)
    if not EARLIEST <= moment < LATEST:
        raise Invalid("must lie between the years 1900 and 2254", field=field)
    return moment


def _not_a_time(field: str) -> Invalid:
    return Invalid("must be an RFC 3339 time with its zone, such as 2026-11-27T09:00:00Z", field=field)


def format_span(span: timedelta | None) -> str | None:
    """A span in ISO 8601: whole days, and the rest in its largest whole unit: P35D, PT5M, P1DT90S, PT0.000001S."""
    if span is None:
        return None
    days, micros = span.days, (span - timedelta(days=span.days)) // timedelta(microseconds=1)
    for size, unit in ((3600, "H"), (60, "M")):
        if micros % (size * 1_000_000) == 0:
            rest = f"{micros // (size * 1_000_000)}{unit}"
            break
    else:
        rest = f"{micros // 1_000_000}.{micros % 1_000_000:06}".rstrip("0").rstrip(".") + "S"
    if micros == 0:
        return f"P{days}D" if days else "PT0S"
    return f"P{days}DT{rest}" if days else f"PT{rest}"

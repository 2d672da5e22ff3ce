"""A grant's `meta`: any JSON object that both JSON and MessagePack can express."""

import re
from math import isfinite
from typing import Any

import msgspec

from .errors import Invalid

#: Bytes of JSON: it travels in the log, and the ledger has it once for each grant.
META_BYTES_MAX = 2048
#: Levels of arrays and objects, because a decoder's stack is limited.
META_DEPTH_MAX = 32

_INTEGERS = range(-(2**63), 2**64)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_canonical = msgspec.json.Encoder(order="deterministic").encode
_read = msgspec.json.Decoder().decode


def meta_text(meta: dict[str, Any]) -> bytes:
    """Canonical JSON with sorted members, so that the digest does not depend on their order. Invalid."""
    _check(meta, META_DEPTH_MAX)
    text = _canonical(meta)
    if len(text) > META_BYTES_MAX:
        raise Invalid(f"must be at most {META_BYTES_MAX} bytes of JSON", field="$.meta")
    if b"\\u0000" in text and _NUL.search(text):
        raise Invalid("must not contain NUL", field="$.meta")
    return text


def read_meta(text: str | None) -> Any:
    """A meta out of the ledger's text; None if there is none."""
    return None if text is None else _plain_numbers(_read(text))


def _plain_numbers(value: Any) -> Any:
    """Turns integers beyond 64 bits back into doubles: Postgres writes 1e300 with all its digits."""
    if isinstance(value, dict):
        return {key: _plain_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(inner) for inner in value]
    return float(value) if isinstance(value, int) and value not in _INTEGERS else value


def _check(value: Any, depth: int) -> None:
    """Invalid for values that one of the two formats cannot express, and for too deep nesting."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise Invalid("must have strings as keys", field="$.meta")
        value = list(value.values())
    if isinstance(value, list):
        if depth == 0:
            raise Invalid(f"must not nest deeper than {META_DEPTH_MAX} levels", field="$.meta")
        for inner in value:
            _check(inner, depth - 1)
    elif isinstance(value, int) and value not in _INTEGERS:
        raise Invalid("an integer must lie within 64 bits; send a longer one as a string", field="$.meta")
    elif not (value is None or isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value))):
        raise Invalid("must hold nothing but JSON", field="$.meta")

"""Why rows are refused: counted by kind, and told with the value that is wrong."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from .import_client import MemberError

#: Kinds of refusals that are counted one by one.
KINDS_MAX = 50
#: Characters of a value that a reason shows.
_VALUE_CHARS_MAX = 40
#: What differs between two reasons of one kind: values in quotes, and numbers.
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Refusals(msgspec.Struct):
    """Rows refused with one code for one kind of reason: how many, and the first."""

    count: int
    line: int
    reason: str


def count_refusal(reasons: dict[str, Refusals], code: str, line: int, reason: str) -> None:
    """Counts a refused row beside those of its kind: reasons that differ by a value alone are of one kind. At most
    `KINDS_MAX` kinds, and one more for each code."""
    kind = f"{code}\n{_VALUE.sub('…', reason)}"
    if kind not in reasons and len(reasons) >= KINDS_MAX:
        kind = f"{code}\n"
    if kind in reasons:
        reasons[kind].count += 1
    else:
        reasons[kind] = Refusals(1, line, reason)


def reason_lines(reasons: Mapping[str, Refusals]) -> list[str]:
    """A line for each kind, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda item: -item[1].count)
    return [
        f"{kind.partition(chr(10))[0]}: {one.count:,}, first in line {one.line}: {one.reason}" for kind, one in ordered
    ]


def reason_of(error: MemberError, body: bytes) -> str:
    """The server's reason, with the value that was sent in its field: `amount '12,5': must be a number`."""
    name = (error.field or "").removeprefix("$.")
    value = _fields(body).get(name)
    if value is None or bytes(value)[:1] in b"[{":
        return error.reason
    sent: Any = msgspec.json.decode(value)
    text = sent if isinstance(sent, str) else bytes(value).decode()
    if not text:
        return error.reason
    shown = text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"
    return f"{name} {shown!r}: {error.detail}"

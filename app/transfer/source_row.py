"""One row of what is imported, as it was read, before it is a grant."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

#: What the importer adds to a row that it writes to the file of refused rows, and takes off when it reads that again.
REFUSED_FIELDS = ("refused_line", "refused_code", "refused_reason", "refused_grant_id", "refused_text")

#: A number as MongoDB's Extended JSON may write it.
_EXTENDED_NUMBER = re.compile(rb'\{\s*"\$number(?:Int|Long|Double|Decimal)"\s*:\s*("[^"\\]*")\s*\}')
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class SourceRow(NamedTuple):
    """A row. line: where it begins in the source, from 1; in a query's answer the number of the row. fields: its
    values, JSON as it stood there, or text; None if it cannot be read. text: the row itself, for its digest and for the
    file of refused rows. fault: why it cannot be read; columns: then those of a CSV, in their order."""

    line: int
    fields: dict[str, msgspec.Raw] | dict[str, str] | None
    text: bytes
    fault: str = ""
    columns: tuple[str, ...] = ()


def value_at(fields: Mapping[str, msgspec.Raw | str], column: str) -> msgspec.Raw | str | None:
    """The value of a column; of `a.b`, where no column is called so, what the object `a` has at `b`. None: no value."""
    value = fields.get(column)
    head, _, rest = column.partition(".")
    if value is not None or not rest:
        return value if value is None or isinstance(value, str) else _plain_number(value)
    outer = fields.get(head)
    if outer is None or isinstance(outer, str) or bytes(outer)[:1] != b"{":
        return None
    return value_at(_members(outer), rest)


def _plain_number(value: msgspec.Raw) -> msgspec.Raw:
    """`{"$numberLong": "5"}` as `"5"`, any other value as it is: one field may have several kinds of numbers."""
    text = bytes(value)
    number = _EXTENDED_NUMBER.fullmatch(text) if text[:1] == b"{" else None
    return value if number is None else msgspec.Raw(number[1])


class RowRefused(Exception):
    """A row that is not imported. code: stable, of the server's problems, or `unreadable`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class SourceFault(Exception):
    """The source as a whole cannot be read: one sentence."""

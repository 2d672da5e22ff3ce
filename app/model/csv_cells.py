"""Tables as CSV (RFC 4180), whose cells no spreadsheet takes for formulas.

A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` before it, and so does one that has
such a beginning behind a `'` already: `plain_text` undoes exactly what `safe_text` did. Numbers are not touched.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

CSV = "text/csv"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SAFE = re.compile(r"'+[=+\-@\t\r]")
_encode_json = msgspec.json.Encoder().encode


def safe_text(text: str) -> str:
    """A text as the cell of a table."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain_text(cell: str) -> str:
    """The text of a cell."""
    return cell[1:] if _SAFE.match(cell) else cell


def cell_of(value: Any, *, is_raw: bool = False) -> str:
    """A value as a cell: nothing for None, plain decimals, times with `Z`, JSON for objects and lists. is_raw: texts
    stay as they are."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if is_raw else safe_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # `repr` is exact and writes small numbers with an exponent, which not every reader of tables knows.
        return f"{Decimal(repr(value)):f}"
    if isinstance(value, datetime):
        return _encode_json(value).decode().strip('"')
    return _encode_json(value).decode()


def csv_lines(rows: Iterable[Sequence[Any]], *, is_raw: bool = False) -> bytes:
    """Rows as lines of CSV in UTF-8."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([cell_of(value, is_raw=is_raw) for value in row] for row in rows)
    return file.getvalue().encode()

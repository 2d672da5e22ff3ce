"""Rows of a query on somebody's Postgres, read through a cursor of the server."""

from collections.abc import Iterator
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

import msgspec
import psycopg

from .source_file import SourceIdentity
from .source_row import SourceFault, SourceRow

#: Rows that are read from the cursor at once.
ROWS_AT_ONCE = 2_000
_json = msgspec.json.Encoder().encode


def query_identity(query: str) -> SourceIdentity:
    """What tells one query from another: its text."""
    return SourceIdentity("a query", 0, 0, blake2b(query.encode(), digest_size=16).hexdigest())


def query_rows(url: str, query: str) -> Iterator[SourceRow]:
    """The rows, in the order of the query, which a resumed import relies on: it should end with ORDER BY. They are read
    in one transaction that only reads. SourceFault."""
    number = 0
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.read_only = True
            with connection.cursor(name="leaderboard_import") as cursor:
                cursor.itersize = ROWS_AT_ONCE
                cursor.execute(query.encode())
                names: list[str] = []
                for values in cursor:
                    names = names or [column.name for column in cursor.description or ()]
                    number += 1
                    cells = [_text(value) for value in values]
                    fields = {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
                    yield SourceRow(number, fields, "\x1f".join(cell or "" for cell in cells).encode())
    except psycopg.Error as error:
        raise SourceFault(f"--sql: {str(error).strip().splitlines()[0]}") from None


def _text(value: Any) -> str | None:
    """A value as a CSV would have it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict | list):
        return _json(value).decode()
    return str(value)

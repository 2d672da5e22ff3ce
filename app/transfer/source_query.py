"""Rows of a query on somebody's Postgres, read through a cursor of the server."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

import msgspec
import psycopg
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

from .source_file import SourceIdentity
from .source_formats import ROW_BYTES_MAX
from .source_row import SourceFault, SourceRow

#: Rows that are read from the cursor at once.
ROWS_AT_ONCE = 2_000
_json = msgspec.json.Encoder().encode


class _DateLoader(DateLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


class _TimestampLoader(TimestampLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


class _TimestamptzLoader(TimestamptzLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


_LOADERS: dict[str, type[DateLoader | TimestampLoader | TimestamptzLoader]] = {
    "date": _DateLoader,
    "timestamp": _TimestampLoader,
    "timestamptz": _TimestamptzLoader,
}


def _or_text(load: Callable[[Buffer], Any], data: Buffer) -> Any:
    """A time; its text where Python has no such time, as of `infinity`: so the row is refused, and not the query."""
    try:
        return load(data)
    except psycopg.DataError:
        return bytes(data).decode()


def query_identity(query: str) -> SourceIdentity:
    """What tells one query from another: its text."""
    return SourceIdentity("a query", 0, 0, blake2b(query.encode(), digest_size=16).hexdigest())


def query_rows(url: str, query: str) -> Iterator[SourceRow]:
    """The rows, in the order of the query, which a resumed import relies on: it should end with ORDER BY. They are read
    in one transaction that only reads. SourceFault."""
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        raise SourceFault("--sql-url is no URL of a Postgres") from None  # Its message may repeat the password.
    number = 0
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.read_only = True
            with connection.cursor(name="leaderboard_import") as cursor:
                cursor.itersize = ROWS_AT_ONCE
                for name, loader in _LOADERS.items():
                    cursor.adapters.register_loader(name, loader)
                cursor.execute(query.encode())
                names: list[str] = []
                for values in cursor:
                    names = names or _names([column.name for column in cursor.description or ()])
                    number += 1
                    yield _row(number, names, [_text(value) for value in values])
    except psycopg.Error as error:
        raise SourceFault(f"--sql: {str(error).strip().splitlines()[0]}") from None


def _names(names: list[str]) -> list[str]:
    """The names of columns. SourceFault: of two with one name nobody knows which is meant."""
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise SourceFault(f"--sql: the column {twice!r} stands twice in the answer: name each one that is needed")
    return names


def _row(number: int, names: list[str], cells: list[str | None]) -> SourceRow:
    text = "\x1f".join(cell or "" for cell in cells).encode()
    if len(text) > ROW_BYTES_MAX:
        return SourceRow(number, None, text[:1000], f"is longer than {ROW_BYTES_MAX} bytes")
    return SourceRow(number, {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}, text)


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

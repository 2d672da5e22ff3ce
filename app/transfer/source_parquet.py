"""Reads the rows of a Parquet file, some thousands at a time."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from importlib import import_module
from typing import Any, BinaryIO

import msgspec

from .source_row import SourceFault, SourceRow

#: Rows that are made of columns at once. Of the file a row group is read at once, of as many rows as its writer took.
ROWS_AT_ONCE = 2_000
_json = msgspec.json.Encoder(decimal_format="number").encode


class ParquetRows:
    """The rows of a file, from 1, with their values as text or JSON. size: rows of the file; position: rows read."""

    def __init__(self, file: BinaryIO) -> None:
        """file: one that can be read at any place. SourceFault."""
        try:
            self._arrow: Any = import_module("pyarrow")
            parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise SourceFault("Parquet needs pyarrow: pip install 'leaderboard-server[parquet]'") from None
        try:
            self._file = parquet.ParquetFile(file, pre_buffer=False)
        except (self._arrow.ArrowException, OSError) as error:
            raise _fault(error) from None
        self.size = int(self._file.metadata.num_rows)
        self.position = 0

    def rows(self) -> Iterator[SourceRow]:
        """SourceFault where the file is broken."""
        try:
            for batch in self._file.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False):
                names = batch.schema.names
                for values in zip(*(self._values(column) for column in batch.columns), strict=True):
                    self.position += 1
                    yield _row(self.position, dict(zip(names, values, strict=True)))
        except (self._arrow.ArrowException, OSError) as error:
            raise _fault(error) from None

    def _values(self, column: Any) -> list[Any]:
        """The values of a column. Times are cut to microseconds, which is all that a moment has here."""
        arrow = self._arrow
        if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(arrow.timestamp("us", tz=column.type.tz), safe=False)
        return list(column.to_pylist())


def _row(number: int, values: Mapping[str, Any]) -> SourceRow:
    """A row; nulls are left out. A value that is no text makes it one that cannot be read, with the others to mend."""
    fields: dict[str, Any] = {}
    fault = ""
    for name, value in values.items():
        if value is None:
            continue
        try:
            fields[name] = _text(value)
        except (TypeError, ValueError) as error:
            fault, fields[name] = f"{name} is no text: {error}", repr(value)
    if fault:
        return SourceRow(number, None, _json(fields), fault)
    # What a row is known by if it has no id: its columns with their values.
    text = "\x1f".join(
        f"{name}\x1e{value if isinstance(value, str) else bytes(value)!r}" for name, value in fields.items()
    )
    return SourceRow(number, fields, text.encode())


def _text(value: Any) -> str | msgspec.Raw:
    """A value as a CSV has it; an object as JSON. ValueError, TypeError."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.decode()
        case dict():
            return msgspec.Raw(_json(value))
        case list():
            return _json(value).decode()
    return str(value)


def _fault(error: Exception) -> SourceFault:
    return SourceFault(f"is no Parquet file that can be read: {str(error).splitlines()[0]}")

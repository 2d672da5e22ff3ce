"""The formats of an export: NDJSON, CSV and Parquet, each written as rows come."""

from collections.abc import Sequence
from decimal import Decimal
from importlib import import_module
from typing import Any, BinaryIO, Literal, Protocol

import msgspec

from ..model.csv_cells import csv_lines
from ..model.score import UNITS_MAX
from .export_tables import Kind, Table

Format = Literal["ndjson", "csv", "parquet"]
#: Decimal places of the numbers in Parquet: the largest scale that a namespace may have.
_SCALE_MAX = 6
_encode = msgspec.json.Encoder().encode


class FormatMissing(Exception):
    """The library of a format is not installed."""


class RowWriter(Protocol):
    """Writes rows to a file."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Some rows. O(rows)."""

    def close(self) -> None:
        """What belongs at the end. The file stays open."""


class NdjsonWriter:
    """An object a line."""

    def __init__(self, file: BinaryIO, table: Table) -> None:
        self._file = file
        self._table = table

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Some rows."""
        self._file.write(b"".join(b"%b\n" % _encode(self._table.members(row)) for row in rows))

    def close(self) -> None:
        """Nothing is left to write."""


class CsvWriter:
    """A line of names, then a line for each row. is_raw: texts stay as they are, also those that look like formulas."""

    def __init__(self, file: BinaryIO, table: Table, *, is_raw: bool = False) -> None:
        self._file = file
        self._is_raw = is_raw
        file.write(csv_lines([table.names]))

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Some rows."""
        self._file.write(csv_lines(rows, is_raw=self._is_raw))

    def close(self) -> None:
        """Nothing is left to write."""


class ParquetWriter:
    """A row group for each call. Numbers are decimals of six places, JSON is text. FormatMissing."""

    def __init__(self, file: BinaryIO, table: Table) -> None:
        try:
            self._arrow: Any = import_module("pyarrow")
            parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise FormatMissing("Parquet needs pyarrow: pip install 'leaderboard-server[parquet]'") from None
        self._kinds = [column.kind for column in table.columns]
        self._schema = self._arrow.schema([(column.name, self._type(column.kind)) for column in table.columns])
        self._writer = parquet.ParquetWriter(file, self._schema)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Some rows."""
        if rows:
            columns = [
                [_parquet_value(kind, value) for value in column]
                for kind, column in zip(self._kinds, zip(*rows, strict=True), strict=True)
            ]
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))

    def close(self) -> None:
        """Writes the end, by which readers find the rows."""
        self._writer.close()

    def _type(self, kind: Kind) -> Any:
        arrow = self._arrow
        digits = len(str(UNITS_MAX)) + _SCALE_MAX
        return {
            "text": arrow.string(),
            "json": arrow.string(),
            "number": arrow.decimal128(digits, _SCALE_MAX),
            "integer": arrow.int64(),
            "flag": arrow.bool_(),
            "moment": arrow.timestamp("us", tz="UTC"),
        }[kind]


def _parquet_value(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "json":
        return _encode(value).decode()
    if kind == "number":
        return Decimal(repr(value))
    return value


def writer_of(form: Format, file: BinaryIO, table: Table, *, is_raw: bool = False) -> RowWriter:
    """The writer of a format. FormatMissing."""
    if form == "csv":
        return CsvWriter(file, table, is_raw=is_raw)
    return ParquetWriter(file, table) if form == "parquet" else NdjsonWriter(file, table)

"""What is imported: rows with where they come from."""

from collections.abc import Generator, Iterator
from typing import NamedTuple, Protocol

from .import_refusals import CsvForm
from .source_file import SourceFile, SourceIdentity
from .source_formats import SourceFormat, array_rows, csv_rows, ndjson_rows, sniff_delimiter, sniff_format
from .source_parquet import ParquetRows
from .source_query import query_identity, query_rows
from .source_row import SourceFault, SourceRow

#: Words for a delimiter that a shell makes hard to type.
_TAB = ("tab", "\\t")


class Position(Protocol):
    """How far a source is read: `position` of `size`, in bytes or in rows; a size of 0 is one that nobody knows."""

    size: int

    @property
    def position(self) -> int: ...  # noqa: D102


class Source(NamedTuple):
    """Rows, and the file that they come from; form: of a CSV; position: None: nobody knows it."""

    identity: SourceIdentity
    rows: Iterator[SourceRow]
    file: SourceFile | None = None
    form: CsvForm | None = None
    position: Position | None = None

    def close(self) -> None:
        """Ends the rows, which still hold the file, or the query's connection; then closes the file."""
        if isinstance(self.rows, Generator):
            self.rows.close()
        if self.file is not None:
            self.file.close()


class SourceOptions(NamedTuple):
    """What is known of a file. form: None: by its first byte; delimiter: None: by its first line."""

    form: SourceFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    is_raw: bool = False


def open_source(name: str, options: SourceOptions) -> Source:
    """A file, or stdin for `-`. SourceFault."""
    file = SourceFile(name)
    try:
        return _read(file, options)
    except SourceFault:
        file.close()
        raise


def _read(file: SourceFile, options: SourceOptions) -> Source:
    """The rows of a file. SourceFault."""
    match options.form or sniff_format(file.stream):
        case "ndjson":
            return Source(file.identity, _whole(ndjson_rows(file.stream), file), file, position=file)
        case "json":
            return Source(file.identity, _whole(array_rows(file.stream), file), file, position=file)
        case "parquet":
            table = ParquetRows(file.at_any_place())
            return Source(file.identity, _whole(table.rows(), file), file, position=table)
    delimiter = "\t" if options.delimiter in _TAB else options.delimiter or sniff_delimiter(file.stream)
    encoding = options.encoding or "utf-8"
    try:
        "".encode(encoding)
    except LookupError:
        raise SourceFault(f"--encoding: nobody knows {encoding!r}") from None
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise SourceFault(f"--delimiter: {delimiter!r} is not one character that parts cells")
    read_as = "utf-8-sig" if encoding == "utf-8" else encoding
    rows = csv_rows(file.stream, delimiter, encoding=read_as, is_raw=options.is_raw)
    return Source(file.identity, _whole(rows, file), file, CsvForm(delimiter, encoding, options.is_raw), file)


def _whole(rows: Iterator[SourceRow], file: SourceFile) -> Iterator[SourceRow]:
    """The rows of a file that nobody changes meanwhile. SourceFault."""
    yield from rows
    file.check_unchanged()


def query_source(url: str, query: str) -> Source:
    """The rows of a query."""
    return Source(query_identity(query), query_rows(url, query))

"""Reads the rows of a source: NDJSON, a JSON array, or CSV. Memory does not grow with the source."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from ..model.csv_cells import plain_text
from ..model.text import count_text
from .source_row import SourceFault, SourceRow

SourceFormat = Literal["ndjson", "json", "csv", "parquet"]

#: Bytes of one row: a grant has 32 KB at most, and a row of another table may have more beside it.
ROW_BYTES_MAX = 1 << 20
#: Characters of one cell.
_CELL_CHARS_MAX = 128 * 1024
#: Bytes that are read at once of an array.
_BLOCK_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
_PARQUET = b"PAR1"
_DELIMITERS = ",;\t|"
_TOKEN = re.compile(rb'["{}\[\],]')
_STRING_END = re.compile(rb'["\\]')

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def sniff_format(stream: io.BufferedReader) -> SourceFormat:
    """The format by the first character; of Parquet by its first four."""
    head = stream.peek(512)
    if head.startswith(_PARQUET):
        return "parquet"
    first = head.removeprefix(_BOM).lstrip()[:1]
    return "json" if first == b"[" else "ndjson" if first == b"{" else "csv"


def one_line(text: bytes) -> bytes:
    """JSON without line feeds. msgspec.DecodeError, RecursionError."""
    return msgspec.json.format(text, indent=-1) if b"\n" in text else text


def json_row(line: int, text: bytes) -> SourceRow:
    """A row of one JSON object. A row of refused text is the text, once it is mended."""
    try:
        text.decode()  # `Raw` takes any bytes in a string, and whoever reads it later would fail on them.
        # A line feed within a value, of an object over several lines, would part what is sent with one grant a line.
        fields = _fields(one_line(text))
        if "refused_text" in fields and isinstance(inner := msgspec.json.decode(fields["refused_text"]), str):
            return json_row(line, inner.encode())
    except (msgspec.DecodeError, UnicodeError) as error:
        return SourceRow(line, None, text, f"is no JSON object: {error}")
    except RecursionError:
        return SourceRow(line, None, text, "is no JSON object that can be read: it is too deep")
    return SourceRow(line, fields, text)


def ndjson_rows(stream: io.BufferedReader) -> Iterator[SourceRow]:
    """One object a line. A line that is too long is a fault of its own."""
    line = 0
    while text := stream.readline(ROW_BYTES_MAX):
        line += 1
        if line == 1:
            text = text.removeprefix(_BOM)
        if len(text) >= ROW_BYTES_MAX and not text.endswith(b"\n"):
            while (rest := stream.readline(ROW_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
            yield SourceRow(line, None, text[:1000], f"is longer than {ROW_BYTES_MAX} bytes")
        elif not text.isspace():
            yield json_row(line, text.strip())


def array_rows(stream: io.BufferedReader) -> Iterator[SourceRow]:
    """The members of a JSON array. SourceFault where it is no array any more, and for what follows its end: a second
    array, of dumps that were joined, would be lost silently."""
    buffer, line, begun = b"", 1, False
    at = begin = depth = 0
    while block := stream.read1(_BLOCK_BYTES):
        if not begun:
            block = (buffer + block).removeprefix(_BOM)
            buffer = b""
        buffer, at, begin = buffer[begin:] + block, at - begin, 0
        while True:
            token = _TOKEN.search(buffer, at)
            if token is None:
                at = len(buffer)
                break
            char = token[0]
            if char == b'"':
                end = _string_end(buffer, token.end())
                if end is None:
                    at = token.start()
                    break
                at = end
                continue
            at = token.end()
            if not begun:
                if char != b"[" or buffer[: token.start()].strip():
                    raise SourceFault("is no JSON array")
                begun, begin = True, at
                line += buffer.count(b"\n", 0, at)
            elif char in b"{[":
                depth += 1
            elif depth and char in b"}]":
                depth -= 1
            elif not depth and char in b",]":
                text = buffer[begin : token.start()]
                if text.strip():
                    lead = len(text) - len(text.lstrip())
                    yield json_row(line + text.count(b"\n", 0, lead), text.strip())
                line += buffer.count(b"\n", begin, at)
                begin = at
                if char == b"]":
                    _check_end(stream, buffer[at:], line)
                    return
            elif not depth:
                raise SourceFault(f"line {line}: is no JSON array any more")
        if at - begin > ROW_BYTES_MAX or len(buffer) - begin > 2 * ROW_BYTES_MAX:
            raise SourceFault(f"line {line}: a member is longer than {ROW_BYTES_MAX} bytes, or a quote is missing")
    raise SourceFault(f"line {line}: the array does not end: the file is cut off")


def _check_end(stream: io.BufferedReader, rest: bytes, line: int) -> None:
    """Reads to the end of the source, so that a pack that is cut off is told, too. SourceFault if there is text."""
    while True:
        if rest.strip():
            raise SourceFault(f"line {line}: something follows the end of the array: import one array at a time")
        if not (rest := stream.read1(_BLOCK_BYTES)):
            return


def _string_end(buffer: bytes, at: int) -> int | None:
    """Behind the closing quote of a string; None if it is not there yet."""
    while mark := _STRING_END.search(buffer, at):
        if mark[0] == b'"':
            return mark.end()
        at = mark.end() + 1
    return None


def sniff_delimiter(stream: io.BufferedReader) -> str:
    """The one of `, ; tab |` that the first line has most of."""
    head = stream.peek(_BLOCK_BYTES)[:_BLOCK_BYTES].partition(b"\n")[0].decode("latin-1")
    return max(_DELIMITERS, key=head.count)


def csv_rows(
    stream: io.BufferedReader, delimiter: str, *, encoding: str = "utf-8-sig", is_raw: bool = False
) -> Iterator[SourceRow]:
    """The rows of a CSV with a header. is_raw: an apostrophe before a formula stays. SourceFault for a header that
    cannot be read, and where the encoding is another one."""
    csv.field_size_limit(_CELL_CHARS_MAX)
    text = io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
    try:
        yield from _csv_rows(text, delimiter, is_raw=is_raw)
    except UnicodeDecodeError as error:
        raise SourceFault(f"is not {encoding}: {error.reason}; give its --encoding") from None
    finally:
        text.detach()  # Else the end of the rows would close the file.


class _Lines:
    """The lines of a CSV, each within a bound, as are those of a row together: a packed file may hold one of gigabytes.
    number: of lines so far."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._left = ROW_BYTES_MAX
        self.number = 0

    def begin_row(self) -> int:
        """The number of the line in which the next row begins."""
        self._left = ROW_BYTES_MAX
        return self.number + 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        """A line with its end. csv.Error, which ends the row, for one too many characters."""
        line = self._text.readline(ROW_BYTES_MAX)
        if not line:
            raise StopIteration
        self.number += 1
        self._left -= len(line)
        if self._left > 0:
            return line
        while line and line[-1] not in "\r\n":
            line = self._text.readline(ROW_BYTES_MAX)
        raise csv.Error(f"longer than {ROW_BYTES_MAX} characters")


def _csv_rows(text: io.TextIOWrapper, delimiter: str, *, is_raw: bool) -> Iterator[SourceRow]:
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        # Spreadsheets leave empty columns at the end, without names.
        names = [name.strip() or f"column {number}" for number, name in enumerate(next(reader), 1)]
    except StopIteration:
        raise SourceFault("is empty: a CSV begins with the names of its columns") from None
    except csv.Error as error:
        raise SourceFault(f"line 1: is no header of a CSV: {error}") from None
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise SourceFault(f"line 1: the column {twice!r} stands twice in the header: give each one its own name")
    while True:
        line = lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"lines {line} to {lines.number} are no row: {error}; is a quote missing?"
            yield SourceRow(line, None, b"", fault, tuple(names))
            continue
        if not cells:
            continue
        if not is_raw:
            cells = [plain_text(cell) if cell[:1] == "'" else cell for cell in cells]
        whole = delimiter.join(cells).encode(errors="surrogateescape")
        if len(cells) != len(names):
            yield SourceRow(
                line, None, whole, f"has {count_text(len(cells), 'cell')}, the header {len(names)}", tuple(names)
            )
        else:
            yield SourceRow(line, dict(zip(names, cells, strict=True)), whole)

"""The file of refused rows: each as it was, with the reason, to be mended and imported again."""

import csv
import filecmp
import io
import os
import re
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from ..model.csv_cells import safe_text
from .file_lock import is_free
from .source_row import REFUSED_FIELDS, SourceFault, SourceRow

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_encode = msgspec.json.Encoder().encode
_ANEW = "give --restart to begin anew"


class Refusal(msgspec.Struct, frozen=True):
    """A row that was refused. grant_id: the id that the importer made for it, if it brought none."""

    row: SourceRow
    code: str
    reason: str
    grant_id: str = ""


class CsvForm(NamedTuple):
    """How a CSV is written."""

    delimiter: str
    encoding: str
    is_raw: bool


class RefusalFile:
    """Rows in the form of their source: CSV for a CSV, else NDJSON. It is made with the first row."""

    def __init__(self, path: Path, form: CsvForm | None, *, size: int = 0) -> None:
        """form: of a CSV. size: bytes that are there of an import that goes on; what follows them is written again.
        SourceFault."""
        self.path = path
        self._form = form
        self._file: BinaryIO | None = None
        self._columns: list[str] | None = None
        self.size = self._size_on_disk = size
        try:
            self._begin(size)
        except OSError as error:
            raise self._fault(error) from None

    def _begin(self, size: int) -> None:
        """SourceFault, OSError."""
        if not self.path.is_file():  # Nothing, or a device such as /dev/null, which no other file takes the place of.
            if size:
                raise SourceFault(f"{self.path} is gone, which the import that goes on had begun: {_ANEW}")
            return
        file = self.path.open("r+b")
        try:
            if not is_free(file):
                raise SourceFault(f"another import writes {self.path}: give --refused")
            if os.fstat(file.fileno()).st_size < size:
                raise SourceFault(f"{self.path} is shorter than the import that goes on had left it: {_ANEW}")
            if not size:
                self._keep()
                file.close()
                return
            if self._form is not None:
                with self.path.open(encoding=self._form.encoding, newline="") as text:
                    head = text.readline()
                self._columns = next(csv.reader([head], delimiter=self._form.delimiter))
            file.truncate(size)
            file.seek(size)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _keep(self) -> None:
        """Puts away what an import before wrote: somebody may have mended it by now, also what was put away before."""
        for number in count(1):
            other = self.path.with_name(f"{self.path.name}.before{'' if number == 1 else f'-{number}'}")
            if not other.exists() or filecmp.cmp(self.path, other, shallow=False):
                self.path.replace(other)
                return

    def add(self, refusal: Refusal) -> None:
        """Adds a row. SourceFault."""
        try:
            if self._file is None:
                self._file = self.path.open("wb")
                is_free(self._file)
            text = self._json(refusal) if self._form is None else self._csv(refusal, self._form)
            self._file.write(text)
        except OSError as error:
            raise self._fault(error) from None
        self.size += len(text)

    def flush(self) -> None:
        """Writes what was added to disk. SourceFault."""
        if self._file is None or self.size == self._size_on_disk:
            return
        try:
            self._file.flush()
            if self.path.is_file():
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._fault(error) from None
        self._size_on_disk = self.size

    def close(self) -> None:
        """Closes it. What cannot be written any more was told by `flush`."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _fault(self, error: OSError) -> SourceFault:
        return SourceFault(f"cannot write {self.path}: {error.strerror}; give --refused")

    def _json(self, refusal: Refusal) -> bytes:
        fields: dict[str, object] = dict(_plain(refusal.row.fields)) if refusal.row.fields is not None else {}
        fields |= _reason(refusal)
        if refusal.row.fields is None:
            fields["refused_text"] = refusal.row.text.decode(errors="replace")
        return _encode(fields) + b"\n"

    def _csv(self, refusal: Refusal, form: CsvForm) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\n")
        fields = dict(_plain(refusal.row.fields)) if refusal.row.fields is not None else {}
        # A byte order mark stands once, at the beginning: before a later row it would be part of its first cell.
        mark = b"" if self._columns is None else "".encode(form.encoding)
        if self._columns is None:
            if refusal.row.columns:
                self._columns = [*(name for name in refusal.row.columns if name not in REFUSED_FIELDS), *REFUSED_FIELDS]
            else:
                self._columns = [*fields, *REFUSED_FIELDS]
            writer.writerow(self._columns)
        cells = {name: str(value) for name, value in fields.items()} | _reason(refusal)
        if refusal.row.fields is None:
            cells["refused_text"] = refusal.row.text.decode(errors="replace")
        values = [cells.get(name, "") for name in self._columns]
        writer.writerow(values if form.is_raw else [_cell(value) for value in values])
        return _encoded(text.getvalue(), form.encoding).removeprefix(mark)


def _encoded(text: str, encoding: str) -> bytes:
    """Text as bytes. What the encoding does not know, as a reason may hold it, is told as an escape."""
    try:
        return text.encode(encoding, errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(encoding, errors="backslashreplace")


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; a number stays one."""
    return text if _NUMBER.fullmatch(text) else safe_text(text)


def _plain(fields: object) -> dict[str, object]:
    assert isinstance(fields, dict)
    return {name: value for name, value in fields.items() if name not in REFUSED_FIELDS}


def _reason(refusal: Refusal) -> dict[str, str]:
    own = {"refused_grant_id": refusal.grant_id} if refusal.grant_id else {}
    return {
        "refused_line": str(refusal.row.line),
        "refused_code": refusal.code,
        "refused_reason": refusal.reason,
        **own,
    }

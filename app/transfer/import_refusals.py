"""The file of refused rows: each as it was, with the reason, to be mended and imported again."""

import csv
import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from ..model.csv_cells import safe_text
from .source_row import REFUSED_FIELDS, SourceFault, SourceRow

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_encode = msgspec.json.Encoder().encode


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
        self.size = size
        if size and not path.exists():
            raise SourceFault(f"{path} is gone, which the import that goes on had begun: give --restart to begin anew")
        if size:
            self._file = path.open("r+b")
            if form is not None:
                with path.open(encoding=form.encoding, newline="") as text:
                    head = text.readline()
                self._columns = next(csv.reader([head], delimiter=form.delimiter))
            self._file.truncate(size)
            self._file.seek(size)
        elif path.exists():
            # Somebody may have mended it by now.
            path.replace(path.with_name(f"{path.name}.before"))

    def add(self, refusal: Refusal) -> None:
        """Adds a row. SourceFault."""
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            text = self._json(refusal) if self._form is None else self._csv(refusal, self._form)
            self._file.write(text)
        except OSError as error:
            raise SourceFault(f"cannot write {self.path}: {error.strerror}; give --refused") from None
        self.size += len(text)

    def flush(self) -> None:
        """Hands what was added to the operating system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Closes it."""
        if self._file is not None:
            self._file.close()

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

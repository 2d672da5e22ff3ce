"""How far an import is: a small file beside the source, from which it goes on after a kill."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from .file_lock import is_free
from .import_reasons import Refusals
from .source_file import SourceIdentity
from .source_row import SourceFault

FORMAT = 1


class ImportState(msgspec.Struct):
    """rows: rows of the source that are done, from its beginning. refused_bytes: of the file of refused rows. options:
    a digest of what the rows become. counts: rows by what became of them; reasons: refused ones by kind. instances: by
    name, into which namespace of that name rows were imported."""

    source: SourceIdentity
    options: str
    rows: int = 0
    refused_bytes: int = 0
    counts: dict[str, int] = {}
    reasons: dict[str, Refusals] = {}
    instances: dict[str, str] = {}
    format: int = FORMAT


_read = msgspec.json.Decoder(ImportState).decode
_encode = msgspec.json.Encoder().encode


class StateFile:
    """The file with the state. It is there while an import is not at its end, and locked while the import runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def load(self, source: SourceIdentity, options: str, *, is_restart: bool) -> ImportState:
        """The state of this import; a new one if there is none. SourceFault if the file belongs to another source, to
        other options or to an import that runs, by name, and if it cannot be written."""
        begin = ImportState(source, options)
        try:
            self._file = self._open()
            text = self._file.read()
        except OSError as error:
            raise SourceFault(f"cannot write the state {self.path}: {error.strerror}; give --state") from None
        if not text:
            return begin
        try:
            state = _read(text)
        except msgspec.DecodeError:
            # Not even to begin anew: this may be the source itself, and would be written over.
            raise SourceFault(f"{self.path} is no state of an import: give another --state, or remove it") from None
        if is_restart:
            return begin
        how = "give another --state, or --restart to begin anew"
        if state.source.name != source.name:
            raise SourceFault(f"{self.path} is the state of {state.source.name}, and this is {source.name}: {how}")
        if state.source != source:
            raise SourceFault(f"{source.name} has changed since its import began ({self.path}): {how}")
        if state.options != options:
            raise SourceFault(f"{source.name} is half imported with other options ({self.path}): {how}")
        return state

    def _open(self) -> BinaryIO:
        """The file with its lock. SourceFault, OSError."""
        if self.path.exists() and not self.path.is_file():
            raise SourceFault(f"the state {self.path} is to be a file: give another --state")
        while True:
            file = self.path.open("a+b")
            if not is_free(file):
                file.close()
                raise SourceFault(f"another import with the state {self.path} is on its way: wait for it")
            # The one who had the lock before may have put another file there, or taken it away.
            if self.path.exists() and os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                file.seek(0)
                return file
            file.close()

    def save(self, state: ImportState) -> None:
        """Writes it so that a kill leaves the old one or the new one. SourceFault."""
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            file = beside.open("wb")
            try:
                is_free(file)  # Nobody else knows the name yet.
                file.write(_encode(state))
                file.flush()
                os.fsync(file.fileno())
                beside.replace(self.path)
            except OSError:
                with suppress(OSError):
                    file.close()
                beside.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise SourceFault(f"cannot write the state {self.path}: {error.strerror}; give --state") from None
        self.close()
        self._file = file

    def remove(self) -> None:
        """The import is at its end."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None

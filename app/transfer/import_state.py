"""How far an import is: a small file beside the source, from which it goes on after a kill."""

import os
from pathlib import Path

import msgspec

from .source_file import SourceIdentity
from .source_row import SourceFault

FORMAT = 1


class Refusals(msgspec.Struct):
    """Rows refused with one code: how many, and the first."""

    count: int
    line: int
    reason: str


class ImportState(msgspec.Struct):
    """rows: rows of the source that are done, from its beginning. refused_bytes: of the file of refused rows. options:
    a digest of what the rows become. counts: rows by what became of them; reasons: refused ones by code."""

    source: SourceIdentity
    options: str
    rows: int = 0
    refused_bytes: int = 0
    counts: dict[str, int] = {}
    reasons: dict[str, Refusals] = {}
    format: int = FORMAT


_read = msgspec.json.Decoder(ImportState).decode
_encode = msgspec.json.Encoder().encode


class StateFile:
    """The file with the state. It is there while an import is not at its end."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, source: SourceIdentity, options: str, *, is_restart: bool) -> ImportState:
        """The state of this import; a new one if there is none. SourceFault if the file belongs to another source or to
        other options, by name."""
        begin = ImportState(source, options)
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return begin
        except OSError as error:
            raise SourceFault(f"cannot read the state {self.path}: {error.strerror}") from None
        if is_restart:
            return begin
        how = "give another --state, or --restart to begin anew"
        try:
            state = _read(text)
        except msgspec.DecodeError:
            raise SourceFault(f"{self.path} is no state of an import: {how}") from None
        if state.source.name != source.name:
            raise SourceFault(f"{self.path} is the state of {state.source.name}, and this is {source.name}: {how}")
        if state.source != source:
            raise SourceFault(f"{source.name} has changed since its import began ({self.path}): {how}")
        if state.options != options:
            raise SourceFault(f"{source.name} is half imported with other options ({self.path}): {how}")
        return state

    def save(self, state: ImportState) -> None:
        """Writes it so that a kill leaves the old one or the new one. SourceFault."""
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            with beside.open("wb") as file:
                file.write(_encode(state))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise SourceFault(f"cannot write the state {self.path}: {error.strerror}; give --state") from None

    def remove(self) -> None:
        """The import is at its end."""
        self.path.unlink(missing_ok=True)

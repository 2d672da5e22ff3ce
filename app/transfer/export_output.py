"""Where an export goes: stdout, or a file that is there as a whole or not at all."""

import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

#: How hard gzip works: the files are some percent larger than at 9, in a third of the time.
_LEVEL = 6


class DigestFile:
    """A file that is written once, from the beginning to the end. sha256: of the bytes so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._position = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Some bytes."""
        view = memoryview(data)
        self._hash.update(view)
        self._file.write(view)
        self._position += len(view)
        return len(view)

    def tell(self) -> int:
        """How many bytes were written: Parquet's end tells where its parts begin."""
        return self._position

    def flush(self) -> None:
        """Hands on what the file holds back."""
        self._file.flush()

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""

    def readable(self) -> bool:
        """False."""
        return False

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False."""
        return False

    @property
    def sha256(self) -> str:
        """In hex digits."""
        return self._hash.hexdigest()


class Output:
    """What is written to, and the digest of the bytes that arrive."""

    def __init__(self, file: BinaryIO, digest: DigestFile) -> None:
        self.file = file
        self._digest = digest

    @property
    def sha256(self) -> str:
        """Of all bytes, once the output is closed."""
        return self._digest.sha256


@contextmanager
def open_output(path: Path | None, standard: BinaryIO, *, is_gzip: bool) -> Iterator[Output]:
    """An output. None: stdout, as `standard`. A file gets its name once all of it is on disk; until then it lies beside
    it under another name, which goes if anything fails. What is there and is no file, such as /dev/null or a pipe, is
    written to. OSError."""
    if path is None:
        yield from _fill(standard, is_gzip=is_gzip)
        standard.flush()
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield from _fill(device, is_gzip=is_gzip)
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            yield from _fill(file, is_gzip=is_gzip)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path)


def _fill(file: BinaryIO, *, is_gzip: bool) -> Iterator[Output]:
    digest = DigestFile(file)
    plain = cast(BinaryIO, digest)
    if not is_gzip:
        yield Output(plain, digest)
        return
    # Without a time, so that the same rows make the same bytes.
    with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=_LEVEL, filename="", mtime=0) as packed:
        yield Output(cast(BinaryIO, packed), digest)


def sync_folder(path: Path) -> None:
    """Writes a new name to disk, where the system can do that."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

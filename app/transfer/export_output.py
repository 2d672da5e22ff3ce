"""Where an export goes: stdout, or a file that is there as a whole or not at all."""

import fcntl
import gzip
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
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


def manifest_path(path: Path) -> Path:
    """Where the manifest of a file lies."""
    return path.with_name(f"{path.name}.manifest.json")


@contextmanager
def open_output(path: Path | None, standard: BinaryIO, *, is_gzip: bool) -> Iterator[Output]:
    """An output. None: stdout, as `standard`. A file as `whole_file` has it; the manifest of the one before goes with
    that. What is there and is no file, such as /dev/null or a pipe, is written to. OSError."""
    if path is None:
        yield from _fill(standard, is_gzip=is_gzip)
        standard.flush()
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield from _fill(device, is_gzip=is_gzip)
        return
    with whole_file(path) as file:
        yield from _fill(file, is_gzip=is_gzip)
        _remove(manifest_path(path))


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name once all of it is on disk. Until then it lies beside it under another name, which goes
    if anything fails; after a kill the next one takes it away. OSError."""
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):
        _remove_dead(left)
    aside, file = _open_part(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path)


def _open_part(path: Path) -> tuple[Path, BinaryIO]:
    """A file for the part, locked as long as it is open, so that nobody takes it for a dead one."""
    while True:
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        file = aside.open("xb")
        with suppress(OSError):  # A file system without locks: parts stay there after a kill.
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return aside, file
        file.close()  # Somebody removed it before it was locked.


def _remove_dead(part: Path) -> None:
    """Removes the part of an export, unless that is on its way: then it holds a lock."""
    with suppress(OSError), part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink()


def _remove(path: Path) -> None:
    """Removes a file, if it is there. OSError that names it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"{path.name}: {error.strerror}") from None


def _fill(file: BinaryIO, *, is_gzip: bool) -> Iterator[Output]:
    digest = DigestFile(file)
    plain = cast(BinaryIO, digest)
    if not is_gzip:
        yield Output(plain, digest)
        return
    # Without a time, so that the same rows make the same bytes.
    with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=_LEVEL, filename="", mtime=0) as packed:
        yield Output(cast(BinaryIO, packed), digest)


def _sync_folder(path: Path) -> None:
    """Writes a new name to disk."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Opens what is imported: a file or stdin, plain, gzip or zstd, with its identity and how far it is read."""

import gzip
import io
import os
import sys
import zlib
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO, cast

import msgspec

from .source_row import SourceFault

#: Bytes of a source's beginning that its identity is over: two dumps of one table differ there or in their size. A
#: pipe gives that many at its first read.
_IDENTITY_BYTES = 4096
#: Bytes that are read from a source at once.
_BLOCK_BYTES = 1 << 18
#: Bytes of a zstd that are unpacked at once: at the worst 32,000 times as many come out, 8 MB.
_PACKED_BYTES = 256
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class SourceIdentity(msgspec.Struct, frozen=True):
    """What tells one source from another. size: bytes; modified: nanoseconds since 1970 UTC; both 0 for stdin and a
    query. beginning: a digest of the first bytes, or of the query."""

    name: str
    size: int
    modified: int
    beginning: str


class SourceFile:
    """A source of bytes. `stream` gives them unpacked; `position` says how many bytes of `size` are read. The size of
    stdin is 0: nobody knows it."""

    def __init__(self, name: str) -> None:
        """name: a path, or `-` for stdin. SourceFault."""
        self._raw = self._open(name)
        beginning = self._raw.peek(_BLOCK_BYTES)
        stat = None if name == "-" else os.fstat(self._raw.fileno())
        self._stat = stat
        self.size = stat.st_size if stat else 0
        digest = blake2b(beginning[:_IDENTITY_BYTES], digest_size=16).hexdigest()
        self.identity = SourceIdentity(
            "stdin" if name == "-" else Path(name).name, self.size, stat.st_mtime_ns if stat else 0, digest
        )
        self.stream = _unpacked(self._raw, beginning[:4])

    @property
    def position(self) -> int:
        """Bytes read of the file, packed as it is."""
        return self._raw.tell() if self.size else 0

    def check_unchanged(self) -> None:
        """SourceFault if somebody wrote to the file since it was opened: some rows may have been read half, or not."""
        if self._stat is None or not S_ISREG(self._stat.st_mode):
            return
        now = os.fstat(self._raw.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise SourceFault(f"{self.identity.name} has changed while it was read: read it once more")

    def at_any_place(self) -> BinaryIO:
        """The file for one who reads it in an order of its own. SourceFault for a pipe, and for one that is packed."""
        if self.stream is not self._raw or self._stat is None or not S_ISREG(self._stat.st_mode):
            raise SourceFault("Parquet is read from a file alone, and packs itself: give a file that is not packed")
        return self._raw

    def close(self) -> None:
        """Closes it."""
        self._raw.close()

    @staticmethod
    def _open(name: str) -> io.BufferedReader:
        try:
            if name == "-":
                return io.BufferedReader(cast(Any, sys.stdin.buffer), _BLOCK_BYTES)
            return io.BufferedReader(io.FileIO(name), _BLOCK_BYTES)
        except OSError as error:
            raise SourceFault(f"cannot read {name}: {error.strerror}") from None


class _Gzip(gzip.GzipFile):
    """Gzip whose faults are those of a source."""

    def read(self, size: int | None = -1) -> bytes:
        """Some bytes. SourceFault where the file is cut off or broken."""
        try:
            return super().read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise SourceFault(f"the gzip is broken or cut off: {error}") from None


class _Zstd(io.RawIOBase):
    """Zstd, frame behind frame. The library's own reader takes the end of the file for the end of a frame: what a
    broken copy lacks would be lost silently. SourceFault where the file is cut off or broken."""

    def __init__(self, raw: io.BufferedReader) -> None:
        try:
            import zstandard
        except ImportError:
            raise SourceFault("zstd needs the extra `zstd`: pip install 'leaderboard-server[zstd]'") from None
        super().__init__()
        self._raw = raw
        self._error = zstandard.ZstdError
        self._begin: Any = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._packed = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes, 0 at the end."""
        while not self._plain:
            self._packed = self._packed or self._raw.read(_PACKED_BYTES)
            if not self._packed:
                break
            self._frame = self._frame or self._begin()
            try:
                self._plain = memoryview(self._frame.decompress(self._packed))
            except self._error as error:
                raise SourceFault(f"the zstd is broken: {error}") from None
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        if not self._plain and self._frame is not None:
            raise SourceFault("the zstd is cut off")
        size = min(len(buffer), len(self._plain))
        buffer[:size], self._plain = self._plain[:size], self._plain[size:]
        return size


def _unpacked(raw: io.BufferedReader, magic: bytes) -> io.BufferedReader:
    """The bytes as they were before they were packed."""
    if magic.startswith(_GZIP):
        return io.BufferedReader(cast(Any, _Gzip(fileobj=cast(BinaryIO, raw))), _BLOCK_BYTES)
    if magic == _ZSTD:
        return io.BufferedReader(_Zstd(raw), _BLOCK_BYTES)
    return raw

"""Opens what is imported: a file or stdin, plain, gzip or zstd, with its identity and how far it is read."""

import gzip
import io
import sys
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from .source_row import SourceFault

#: Bytes of a source's beginning that its identity is over: two dumps of one table differ there or in their size. A
#: pipe gives that many at its first read.
_IDENTITY_BYTES = 4096
#: Bytes that are read from a source at once.
_BLOCK_BYTES = 1 << 18
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
        stat = None if name == "-" else Path(name).stat()
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


def _unpacked(raw: io.BufferedReader, magic: bytes) -> io.BufferedReader:
    """The bytes as they were before they were packed."""
    if magic.startswith(_GZIP):
        return io.BufferedReader(cast(Any, _Gzip(fileobj=cast(BinaryIO, raw))), _BLOCK_BYTES)
    if magic == _ZSTD:
        try:
            import zstandard
        except ImportError:
            raise SourceFault("zstd needs the extra `zstd`: pip install 'leaderboard-server[zstd]'") from None
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
        return io.BufferedReader(cast(Any, reader), _BLOCK_BYTES)
    return raw

"""Which grants a source names, and which of the server's it does not: both on disk, a part of them in memory."""

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

import msgspec

#: Parts into which ids are put by their digest. One of them is in memory at a time: of ten million ids some 4 MB.
PARTS = 256
#: Bytes of a digest: two ids share one by chance once in 10^19 rows.
_DIGEST_BYTES = 16
_encode = msgspec.json.Encoder().encode


class ServerGrant(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A grant that counts on the server; the earlier is the smaller."""

    granted_at: datetime
    grant_id: str
    revision: int


_read = msgspec.json.Decoder(ServerGrant).decode


class GrantIds:
    """The ids of the rows of a source, and grants of the server that are looked up among them at the end.

    named: ids that came, one id as often as it came; unnamed: rows whose id is not known; line: the first of them."""

    def __init__(self, folder: Path) -> None:
        """folder: an empty one, for some 16 bytes a row and 60 a grant of the server."""
        self._paths = [(folder / f"{i:02x}.ids", folder / f"{i:02x}.grants") for i in range(PARTS)]
        self._ids = [ids.open("wb") for ids, _ in self._paths]
        self._grants = [grants.open("wb") for _, grants in self._paths]
        self.named = self.unnamed = self.line = 0

    def add(self, grant_id: str, line: int) -> None:
        """The id of a row; empty where it is not known. O(1)."""
        if not grant_id:
            self.unnamed += 1
            self.line = self.line or line
            return
        self.named += 1
        digest = _digest(grant_id)
        self._ids[digest[0]].write(digest)

    def look_up(self, grant: ServerGrant) -> None:
        """Has a grant of the server looked up. O(1)."""
        self._grants[_digest(grant.grant_id)[0]].write(_encode(grant) + b"\n")

    def missing(self) -> Iterator[ServerGrant]:
        """The grants that no row names, in no order. O(rows + grants)."""
        self.close()
        for ids, grants in self._paths:
            text = ids.read_bytes()
            digests = {text[at : at + _DIGEST_BYTES] for at in range(0, len(text), _DIGEST_BYTES)}
            with grants.open("rb") as lines:
                for line in lines:
                    grant = _read(line)
                    if _digest(grant.grant_id) not in digests:
                        yield grant

    def close(self) -> None:
        """Closes the files."""
        for file in (*self._ids, *self._grants):
            file.close()


def _digest(grant_id: str) -> bytes:
    # A cell that is not UTF-8 comes with surrogates; the server has no such id.
    return blake2b(grant_id.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()

"""The ledger chain: each row of a partition's ledger has a hash over itself and the hash of the row before it.

To change, remove or insert a row unseen, one would have to make all later hashes again, which takes the digest key.
Texts that an erasure clears are not hashed themselves: their salted digests are. Without the salt, which goes with the
text, a digest tells nothing of it.
"""

from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Any

import msgspec

#: Bytes of a hash, of a salt, and of a text's digest: 2^128 tries to find another text or row.
HASH_BYTES = 16
_ABSENT = bytes(HASH_BYTES)
# What the hashes of one use are made with, so that none of them is one of another use.
_ROW, _HEAD, _BEGIN = b"ledger row", b"chain head", b"chain begin"

_pack = msgspec.msgpack.Encoder().encode


def text_digests(salt: bytes, texts: Sequence[str | bytes | None]) -> bytes:
    """16 bytes for each text, zeros for one that is absent, in order; SHA-256, because Postgres has it, too."""
    return b"".join(
        _ABSENT
        if text is None
        else sha256(salt + (text if isinstance(text, bytes) else text.encode())).digest()[:HASH_BYTES]
        for text in texts
    )


class LedgerChain:
    """Makes the hashes of a deployment. key: its digest key, at most 64 bytes; empty: anybody can make them."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key
        self._row = blake2b(key=key, digest_size=HASH_BYTES, person=_ROW)

    def begin(self, p: int) -> bytes:
        """What stands for the hash before a partition's first one."""
        return blake2b(b"%d" % p, key=self._key, digest_size=HASH_BYTES, person=_BEGIN).digest()

    def row_hash(self, before: bytes, values: Sequence[Any], digests: bytes) -> bytes:
        """The hash of a row. before: that of the row before it; values: its columns but for texts, in order; digests:
        `text_digests`, empty for a row that never had a text."""
        row = self._row.copy()
        row.update(before + _pack(values) + digests)
        return row.digest()

    def head_mac(self, place: tuple[int, int, int], last: bytes) -> bytes:
        """Proves that a chain ended at a place (partition, epoch, seq), with the hash `last` of the row there."""
        return blake2b(_pack(place) + last, key=self._key, digest_size=HASH_BYTES, person=_HEAD).digest()

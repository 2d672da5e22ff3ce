"""The heads of a deployment's ledger chains as a text to be kept elsewhere: an anchor.

A line of JSON for each partition, and a last one that says of which deployment they are and when they were read. With a
key, the last line ends with an HMAC over all: it proves that an owner of the key wrote the text. The one who
checks it has the same key, so it proves nothing between these two.
"""

import hmac
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

#: Bytes that a key has at least.
KEY_BYTES_MIN = 32

_encode = msgspec.json.Encoder().encode


class ChainAnchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of one chain. hash: of the row at epoch and seq, in hex digits; empty where no row had one."""

    partition: int
    epoch: int
    seq: int
    hash: str

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and seq."""
        return self.epoch, self.seq


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The last line. at: RFC 3339; hmac: hex digits of HMAC-SHA256 over all lines before and this one without it."""

    deployment: str
    at: str
    hmac: str | None = None


class AnchorText(NamedTuple):
    """What a text of heads says."""

    deployment: str
    at: str
    anchors: list[ChainAnchor]


def write_anchors(anchors: Iterable[ChainAnchor], deployment: str, at: str, key: bytes | None) -> str:
    """The text, with a line feed at its end."""
    body, end = b"".join(_encode(anchor) + b"\n" for anchor in anchors), _End(deployment, at)
    if key is not None:
        end = msgspec.structs.replace(end, hmac=_mac(key, body, end))
    return (body + _encode(end) + b"\n").decode()


def read_anchors(text: str, key: bytes | None) -> AnchorText:
    """Reads a text. key: None for one that nobody is to prove. ValueError."""
    *lines, last = text.encode().splitlines() or [b""]
    try:
        end = msgspec.json.decode(last, type=_End)
        anchors = [msgspec.json.decode(line, type=ChainAnchor) for line in lines]
    except msgspec.DecodeError as error:
        raise ValueError(f"it is not what `leaderboard chain head` prints: {error}") from None
    if key is not None:
        body = b"".join(line + b"\n" for line in lines)
        if end.hmac is None or not hmac.compare_digest(end.hmac, _mac(key, body, end)):
            raise ValueError("its hmac is not made with this key, or the text was changed")
    return AnchorText(end.deployment, end.at, anchors)


def _mac(key: bytes, body: bytes, end: _End) -> str:
    return hmac.new(key, body + _encode(msgspec.structs.replace(end, hmac=None)), "sha256").hexdigest()

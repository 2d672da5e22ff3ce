"""Reads what `lua/apply.lua` writes to the log and to the dedup hashes. lua/include/write_state.lua writes the fields,
lua/include/dedup.lua reads them in the script.

An entry of the stream has the id `<epoch>-<seq>` and three fields: `d` the digest, `e` the packed LogEntry, `r` the
outcome. The outcome is `<µs> <score> <previous score>`, a score being empty for a user who is not on the board, and
` q` behind it for a grant in quarantine. A dedup value is 16 bytes of digest and `<epoch>-<seq>`.
"""

from collections.abc import Sequence
from typing import NamedTuple

#: Bytes of a digest in front of the place in a dedup value.
_DIGEST_BYTES = 16


class LogFields(NamedTuple):
    """The fields of one entry of the stream, as bytes; empty where a field is missing."""

    digest: bytes
    packed: bytes
    outcome: bytes


class LogOutcome(NamedTuple):
    """What the script recorded beside an entry. recorded_at: microseconds since 1970 UTC; score, previous: on the `all`
    board after the entry and before it, in units; None: the user was not on the board."""

    recorded_at: int
    score: int | None
    previous: int | None
    is_quarantined: bool


def read_fields(fields: Sequence[bytes]) -> LogFields:
    """The fields of a stream entry, out of names and values as Redis lists them."""
    match fields:
        case [b"d", digest, b"e", packed, b"r", outcome]:  # as the script writes them
            return LogFields(digest, packed, outcome)
    named = dict(zip(fields[::2], fields[1::2], strict=False))
    return LogFields(named.get(b"d", b""), named.get(b"e", b""), named.get(b"r", b""))


def read_outcome(text: bytes) -> LogOutcome:
    """The outcome in the field `r`. ValueError."""
    at, score, previous, *mark = text.split(b" ")
    return LogOutcome(int(at), int(score) if score else None, int(previous) if previous else None, bool(mark))


def parse_place(text: bytes) -> tuple[int, int]:
    """Epoch and seq in the id of a stream entry. ValueError."""
    epoch, seq = text.split(b"-")
    return int(epoch), int(seq)


def dedup_place(value: bytes) -> tuple[int, int]:
    """Epoch and seq in a dedup value. ValueError."""
    return parse_place(value[_DIGEST_BYTES:])

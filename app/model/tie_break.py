"""The order of users with equal scores by the moments of their grants (`tie_break: "granted_at"`).

A tie place is one integer: the moment of a grant, then its seq. The lower one comes first. Redis has it as digits
before a name (lua/include/tie_break.lua); the ledger computes it with the SQL functions `tie_place` and `tie_key`.
"""

from collections.abc import Iterable
from datetime import datetime

from .micros import from_micros

#: Digits before a name, by tie break: 16 of a seq, and 17 of a moment before them.
DIGITS: dict[str, int] = {"none": 0, "earliest": 16, "granted_at": 33}
#: The tie place of a sum of zeros only: such a score was complete before every moment.
NO_MOMENT = 0

_SEQS = 10**16
_SEQ_FIRST = 9_000_000_000_000_000
_MOMENTS = 10**17
#: Added to a moment (µs), so that the year 2255 is just below 10^17.
_SHIFT = _MOMENTS - 1 - 9_000_000_000_999_999


#: Digits before a name with the tie break `earliest`: a tie place after every possible entry.
LAST_AMONG_EQUALS = b"0" * DIGITS["earliest"]


def tie_place(moment: int, seq: int) -> int:
    """The tie place of a grant: its granted_at (µs) and the seq of its first entry."""
    return (_SHIFT + moment) * _SEQS + seq


def tie_digits(tie_place: int) -> str:
    """The 33 digits of a tie place. A later one has lower digits."""
    moment, seq = divmod(tie_place, _SEQS)
    return f"{_MOMENTS - 1 - moment:017}{_SEQ_FIRST - seq:016}"


def tie_place_from_digits(digits: bytes, tie_break: str) -> int | None:
    """The tie place in the digits of a member, or in digits alone. With the tie break `earliest` it is a seq, without
    tie break 0. None if these are not such digits."""
    count = DIGITS[tie_break]
    digits = digits[:count]
    if not count:
        return 0
    if len(digits) < count or not digits.isdigit():
        return None
    seq = _SEQ_FIRST - int(digits[-16:])
    return seq if tie_break == "earliest" else (_MOMENTS - 1 - int(digits[:17])) * _SEQS + seq


def member_of(name: bytes, tie_place: int, tie_break: str) -> bytes:
    """A board's member, from a name and its tie place."""
    return prefix_of(tie_place, tie_break).encode() + name


def prefix_of(tie_place: int, tie_break: str) -> str:
    """The digits in front of a name, by its tie place; empty where there is no tie-break."""
    if tie_break == "none":
        return ""
    return f"{_SEQ_FIRST - tie_place:016}" if tie_break == "earliest" else tie_digits(tie_place)


def describe_tie_place(tie_place: int) -> str:
    """A tie place in words."""
    if tie_place == NO_MOMENT:
        return "before every moment"
    moment, seq = divmod(tie_place, _SEQS)
    return f"{_moment(moment - _SHIFT)} seq {seq}"


def _moment(micros: int) -> str:
    try:
        at: datetime = from_micros(micros)
    except (OverflowError, ValueError):
        return str(micros)
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def latest_tie_place(keys: Iterable[tuple[int, int] | None]) -> int:
    """The tie place of a score, from the line keys of the user's grants on the board."""
    return abs(max((key for key in keys if key is not None), default=(0, NO_MOMENT))[1])

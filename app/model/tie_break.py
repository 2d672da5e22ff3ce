"""Who stands first among users of equal scores, where that goes by moments (`tie_break: "granted_at"`).

A place in line is one integer: the moment of a grant, then its seq. The lower one stands first. Redis holds it as
digits in front of a name (lua/include/tie_break.lua); the ledger works it out by the SQL functions `tie_place` and
`tie_key`.
"""

from collections.abc import Iterable
from datetime import datetime

from .micros import from_micros

#: Digits in front of a name, by tie-break: 16 of a seq, behind 17 of a moment.
DIGITS: dict[str, int] = {"none": 0, "earliest": 16, "granted_at": 33}
#: The place of a sum of nothing but 0: such a score was complete before every moment.
NO_MOMENT = 0

_SEQS = 10**16
_SEQ_FIRST = 9_000_000_000_000_000
_MOMENTS = 10**17
#: What is added to a moment (µs): with it the year 2255 lies just below 10^17.
_SHIFT = _MOMENTS - 1 - 9_000_000_000_999_999


#: In front of a name where the tie-break is `earliest`: behind every entry that there will be.
LAST_AMONG_EQUALS = b"0" * DIGITS["earliest"]


def tie_place(moment: int, seq: int) -> int:
    """The place of a grant: its granted_at (µs) and the seq of its first entry."""
    return (_SHIFT + moment) * _SEQS + seq


def tie_digits(place: int) -> str:
    """The 33 digits of a place, which fall as the line goes on."""
    moment, seq = divmod(place, _SEQS)
    return f"{_MOMENTS - 1 - moment:017}{_SEQ_FIRST - seq:016}"


def place_from_digits(digits: bytes, tie_break: str) -> int | None:
    """The place that digits tell, in front of a member or alone; a seq where the tie-break is `earliest`, 0 where there
    is none. None where these are no such digits."""
    count = DIGITS[tie_break]
    digits = digits[:count]
    if not count:
        return 0
    if len(digits) < count or not digits.isdigit():
        return None
    seq = _SEQ_FIRST - int(digits[-16:])
    return seq if tie_break == "earliest" else (_MOMENTS - 1 - int(digits[:17])) * _SEQS + seq


def member_of(name: bytes, place: int, tie_break: str) -> bytes:
    """A board's member out of a name and its place in line."""
    if tie_break == "none":
        return name
    digits = f"{_SEQ_FIRST - place:016}" if tie_break == "earliest" else tie_digits(place)
    return digits.encode() + name


def describe_place(place: int) -> str:
    """A place in words."""
    if place == NO_MOMENT:
        return "before every moment"
    moment, seq = divmod(place, _SEQS)
    return f"{_moment(moment - _SHIFT)} seq {seq}"


def _moment(micros: int) -> str:
    try:
        at: datetime = from_micros(micros)
    except (OverflowError, ValueError):
        return str(micros)
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def latest_place(keys: Iterable[tuple[int, int] | None]) -> int:
    """The place out of the keys of a user's grants on a board."""
    return abs(max((key for key in keys if key is not None), default=(0, NO_MOMENT))[1])

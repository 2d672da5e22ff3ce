"""Percentiles: the part of a board, in percent, whose score is no better than a score.

They are rounded to four decimals, halves up: to millionths. The way back uses the rounded
millionths, so on a board of up to a million users a percentile leads back to the score that it was computed from.
"""

import re

from .errors import Invalid

MILLIONTHS = 1_000_000
_NUMBER = re.compile(r"(\d{1,3})(?:\.(\d{1,4})0*)?", re.ASCII)


def percentile_of(not_better: int, board_size: int) -> float:
    """The percentile of a score that so many of `board_size` users do not exceed."""
    return (2 * MILLIONTHS * not_better + board_size) // (2 * board_size) / 10_000


def position_of(millionths: int, board_size: int) -> int:
    """The last position whose percentile is at least `millionths`: nearest rank, as in `lua/read_board_sample.lua`."""
    return board_size - max(1, -((1 - 2 * millionths) * board_size // (2 * MILLIONTHS))) + 1


def parse_percentile(text: str, field: str) -> int:
    """A percentile from 0 to 100 in millionths; it has at most four decimals. Invalid."""
    match = _NUMBER.fullmatch(text)
    millionths = MILLIONTHS + 1 if match is None else int(match[1]) * 10_000 + int((match[2] or "").ljust(4, "0"))
    if millionths > MILLIONTHS:
        raise Invalid("must be a number from 0 to 100 with at most four decimal places", field=field)
    return millionths

"""Percentiles: the share of a board, in percent, whose score is no better than a score.

They are rounded to four decimals, halves up: to shares, ten-thousandths of a percent. The way back uses the rounded
shares, so on a board of up to a million users a percentile leads back to the score that it was computed from.
"""

import re

from .errors import Invalid

SHARES = 1_000_000
_NUMBER = re.compile(r"(\d{1,3})(?:\.(\d{1,4})0*)?", re.ASCII)


def percentile_of(not_better: int, total: int) -> float:
    """The percentile of a score that so many of `total` users do not exceed."""
    return (2 * SHARES * not_better + total) // (2 * total) / 10_000


def position_of(share: int, total: int) -> int:
    """The last position whose percentile is at least a share: nearest rank. As `lua/read_board_sample.lua` counts."""
    return total - max(1, -((1 - 2 * share) * total // (2 * SHARES))) + 1


def parse_percentile(text: str, field: str) -> int:
    """Shares of a percentile from 0 to 100 with at most four decimals. Invalid."""
    match = _NUMBER.fullmatch(text)
    share = SHARES + 1 if match is None else int(match[1]) * 10_000 + int((match[2] or "").ljust(4, "0"))
    if share > SHARES:
        raise Invalid("must be a number from 0 to 100 with at most four decimal places", field=field)
    return share

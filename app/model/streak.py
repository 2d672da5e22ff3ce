"""Streaks: runs of consecutive days, on each of which a user has a live grant."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

#: Days of a stretch, one bit each, as lua/include/days.lua writes them.
STRETCH_DAYS = 512
#: Bytes of a stretch: with longer values Redis would store a small hash in a larger form.
_STRETCH_BYTES = STRETCH_DAYS // 8
#: Number of the stretch of the last possible day.
_STRETCH_MAX = date.max.toordinal() // STRETCH_DAYS
_RUN = re.compile("1+")


class Streak(NamedTuple):
    """current: length of the run that ends today or yesterday (0: none); best: of the longest; last_day: the newest
    day."""

    current: int
    best: int
    last_day: date | None


class Days(NamedTuple):
    """A set of days. bits: the lowest is the day with the ordinal `first`, each higher one is the next day."""

    first: int
    bits: int

    def dates(self) -> Iterator[date]:
        """The days, oldest first."""
        for run in _RUN.finditer(bin(self.bits)[:1:-1]):
            yield from map(date.fromordinal, range(self.first + run.start(), self.first + run.end()))


def days_of(flat: Sequence[bytes]) -> Days:
    """Reads a user's days as Redis has them: number of a stretch, its days, and so on. ValueError for anything else.
    O(years between them)."""
    parts = {int(number): bits for number, bits in zip(flat[::2], flat[1::2], strict=True)}
    if not parts:
        return Days(1, 0)
    if min(parts) < 0 or max(parts) > _STRETCH_MAX or max(map(len, parts.values())) > _STRETCH_BYTES:
        raise ValueError("days are kept in stretches of 64 bytes, from 0 to 7,132")
    first, last = min(parts), max(parts)
    stretches = (parts.get(number, b"").ljust(_STRETCH_BYTES, b"\0") for number in range(first, last + 1))
    return Days(first * STRETCH_DAYS, int.from_bytes(b"".join(stretches), "little"))


def stretches_of(days: Iterable[date]) -> dict[int, bytes]:
    """Some days as Redis holds them: number of a stretch, its days without empty bytes at the end. O(days)."""
    parts: dict[int, int] = {}
    for day in days:
        number, bit = divmod(day.toordinal(), STRETCH_DAYS)
        parts[number] = parts.get(number, 0) | 1 << bit
    return {number: bits.to_bytes((bits.bit_length() + 7) // 8, "little") for number, bits in parts.items()}


def streak_of(days: Days, today: date) -> Streak:
    """The streak of some days as of `today`. Later days do not count yet. O(years between them)."""
    now = today.toordinal() - days.first
    bits = days.bits & ((1 << max(0, now + 1)) - 1)
    if not bits:
        return Streak(0, 0, None)
    runs = _RUN.findall(bin(bits))  # the newest first
    last = bits.bit_length() - 1
    return Streak(len(runs[0]) if last >= now - 1 else 0, max(map(len, runs)), date.fromordinal(days.first + last))

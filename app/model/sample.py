"""Distinct numbers drawn by chance."""

from collections.abc import Iterable


def draw_sample(fractions: Iterable[float], total: int) -> list[int]:
    """As many of 1 … total as there are fractions (0 ≤ fraction < 1), at most all, rising; every set as likely.

    Floyd's way, as `lua/read_board_sample.lua` goes it. O(fractions).
    """
    drawn = list(fractions)[:total]
    taken: set[int] = set()
    for top, fraction in enumerate(drawn, total - len(drawn) + 1):
        position = int(fraction * top) + 1
        taken.add(top if position in taken else position)
    return sorted(taken)

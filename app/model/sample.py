"""Distinct numbers drawn by chance."""

from collections.abc import Iterable


def draw_sample(fractions: Iterable[float], board_size: int) -> list[int]:
    """Draws one of 1 … board_size for each fraction (0 ≤ fraction < 1), at most all, in rising order; every set is
    equally likely.

    Floyd's algorithm, as in `lua/read_board_sample.lua`. O(fractions).
    """
    drawn = list(fractions)[:board_size]
    taken: set[int] = set()
    for top, fraction in enumerate(drawn, board_size - len(drawn) + 1):
        position = int(fraction * top) + 1
        taken.add(top if position in taken else position)
    return sorted(taken)

"""Kendall's tau: how alike two orders are, from 1 (the same) to -1 (reversed)."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import sqrt


def kendall_tau(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Tau-b of pairs of ranks, which takes ties into account; None where one side is all ties. O(n log n)."""
    count = len(pairs)
    everything = count * (count - 1) // 2
    ties_left = _pairs_alike(Counter(left for left, _ in pairs))
    ties_right = _pairs_alike(Counter(right for _, right in pairs))
    if everything in (ties_left, ties_right):
        return None
    ties_both = _pairs_alike(Counter(pairs))
    discordant = _inversions([right for _, right in sorted(pairs)])
    concordant = everything - ties_left - ties_right + ties_both - discordant
    return (concordant - discordant) / sqrt((everything - ties_left) * (everything - ties_right))


def _pairs_alike(counts: Counter[int] | Counter[tuple[int, int]]) -> int:
    return sum(n * (n - 1) // 2 for n in counts.values())


def _inversions(values: list[int]) -> int:
    """Pairs of which the earlier one is the greater. A tree of counts: O(n log n)."""
    order = {value: place for place, (value, _) in enumerate(groupby(sorted(values)), 1)}
    tree, inversions = [0] * (len(order) + 1), 0
    for before, value in enumerate(values):
        place = order[value]
        below = 0
        i = place
        while i:
            below += tree[i]
            i &= i - 1
        inversions += before - below
        i = place
        while i < len(tree):
            tree[i] += 1
            i += i & -i
    return inversions

from itertools import combinations
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.compare_tau import kendall_tau

RANKS = st.integers(1, 6)


def slow_tau(pairs: list[tuple[int, int]]) -> float | None:
    """The definition, pair by pair."""
    signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in combinations(pairs, 2)]
    left, right = (sum(sign[side] != 0 for sign in signs) for side in (0, 1))
    return sum(a * b for a, b in signs) / sqrt(left * right) if left and right else None


@given(st.lists(st.tuples(RANKS, RANKS), max_size=40))
def test_it_is_what_the_definition_says(pairs: list[tuple[int, int]]) -> None:
    expected = slow_tau(pairs)
    assert kendall_tau(pairs) == (None if expected is None else pytest.approx(expected))


def test_the_same_order_is_one_and_the_reverse_is_minus_one() -> None:
    ranks = range(1, 1_000)
    assert kendall_tau([(rank, rank) for rank in ranks]) == 1
    assert kendall_tau([(rank, 1_000 - rank) for rank in ranks]) == -1


def test_where_all_are_equal_there_is_no_order() -> None:
    assert kendall_tau([]) is None
    assert kendall_tau([(1, 1), (1, 2)]) is None

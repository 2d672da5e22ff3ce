"""Figures out of exact sums, and bands."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from app.model.score import UNITS_MAX
from app.model.stats import Band, Statistics, Sums, band_of, figures

SPREADS = [[5], [0, 0], [-7, 7], [UNITS_MAX, -UNITS_MAX, 1], [UNITS_MAX] * 999 + [UNITS_MAX - 1]]


@pytest.mark.parametrize("scores", SPREADS, ids=str)
@pytest.mark.parametrize("scale", [0, 3, 6])
def test_a_mean_and_a_deviation_are_rounded_once(scores: list[int], scale: int) -> None:
    sums, n = Sums(sum(scores), sum(score**2 for score in scores)), len(scores)
    mean = Fraction(sum(scores), n)
    assert sums.mean(n, scale) == float(mean / 10**scale)
    variance = sum((score - mean) ** 2 for score in scores) / n / 100**scale
    with localcontext(prec=60):
        deviation = (Decimal(variance.numerator) / variance.denominator).sqrt()
    assert sums.deviation(n, scale) == pytest.approx(float(deviation), rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("units", "scale", "told"),
    [
        (10**15 - 1, 0, "999999999999999"),
        (25, 1, "2.5"),
        (-(10**20), 0, "-100000000000000000000"),
        (10**20 + 1, 3, "100000000000000000.001"),
        (-(10**20) - 1, 3, "-100000000000000000.001"),
        (10**20, 6, "100000000000000"),
    ],
)
def test_a_sum_of_any_length_is_told_exactly(units: int, scale: int, told: str) -> None:
    found = Statistics(1, 1, Sums(units, units**2), 1, units, units, (1, 1, 1), ())
    assert str(figures(found, scale)["sum"]) == told


def test_bands_are_shares_from_the_greatest_down() -> None:
    assert [band_of((), better, 5) for better in range(5)] == ["very-high", "high", "medium", "low", "very-low"]
    assert [band_of((), better, 2) for better in range(2)] == ["very-high", "medium"]
    halves = (Band("top", 0.5), Band("rest", 1))
    assert [band_of(halves, better, 3) for better in range(3)] == ["top", "top", "rest"]
    assert band_of(halves, 0, 1) == "top"

"""A board counted by brute force: what every question to it must be answered with."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, sqrt
from typing import Any

Row = tuple[int, int, str, Any]


@dataclass(frozen=True)
class Oracle:
    """scores: in scaled units, in the order in which the tie-break lists equals."""

    rules: dict[str, Any]
    scores: Sequence[tuple[str, int]]

    @property
    def _ordered(self) -> list[tuple[str, int]]:
        if self.rules.get("tie_break", "none") != "none":
            names = list(self.scores)
        else:
            names = sorted(self.scores, key=lambda at: at[0].encode(), reverse=True)
        return sorted(names, key=lambda at: at[1], reverse=self.rules.get("order") != "asc")

    def is_better(self, units: int, other: int) -> bool:
        return units < other if self.rules.get("order") == "asc" else units > other

    def rank(self, units: int, position: int, ranking: str | None) -> int:
        how = ranking or self.rules.get("ranking", "competition")
        better = [other for _, other in self.scores if self.is_better(other, units)]
        return position if how == "ordinal" else 1 + len(set(better) if how == "dense" else better)

    def rows(self, ranking: str | None = None) -> list[Row]:
        """position, rank, user, score"""
        return [
            (position, self.rank(units, position, ranking), user, self.number(units))
            for position, (user, units) in enumerate(self._ordered, 1)
        ]

    def number(self, units: int) -> Decimal:
        return Decimal(units).scaleb(-int(self.rules.get("scale", 0)))

    def percentile_of(self, units: int) -> Decimal | None:
        not_better = sum(not self.is_better(other, units) for _, other in self.scores)
        return share(not_better, len(self.scores)) if self.scores else None

    def at_percentile(self, p: Decimal, ranking: str | None) -> Row | None:
        """The worst score whose percentile is high enough, at the last place that is."""
        rows, total = self.rows(ranking), len(self.scores)
        high = [row for row in rows if share(total - row[0] + 1, total) >= p]
        worst = [units for _, units in self._ordered if (self.percentile_of(units) or 0) >= p]
        assert not rows or high[-1][3] == self.number(worst[-1])
        return high[-1] if high else None

    def score(self, units: int, ranking: str | None) -> dict[str, Any]:
        better = sum(self.is_better(other, units) for _, other in self.scores)
        return {
            "rank": self.rank(units, better + 1, ranking),
            "better": better,
            "equal": sum(other == units for _, other in self.scores),
            "total": len(self.scores),
            "percentile": self.percentile_of(units),
            "score": self.number(units),
        }

    def figures(
        self,
        low: int | None,
        high: int | None,
        exclusive: Sequence[str],
        bins: int,
        percents: Sequence[str] = ("50", "90", "99"),
        between: bool = False,
    ) -> dict[str, Any]:
        """What the scores within bounds come to, as far as the rules keep it."""
        units_within = sorted(units for _, units in self.scores if shows(units, low, high, exclusive))
        n, one = len(units_within), 10 ** int(self.rules.get("scale", 0))
        statistics: dict[str, Any] = dict.fromkeys(("sum", "mean", "stddev", "min", "max"))
        statistics |= {"count": n, "percentiles": dict.fromkeys(percents), "sum": None if units_within else 0}
        if bins:
            statistics["histogram"] = [
                self._bin(units_within, first, end) for first, end in bins_of(units_within, bins)
            ]
        if units_within:
            worst_first = units_within[::-1] if self.rules.get("order") == "asc" else units_within
            statistics["percentiles"] = {name: self._percentile(worst_first, name, between) for name in percents}
            statistics |= {"min": self.number(units_within[0]), "max": self.number(units_within[-1])}
        has_squares = low is None and high is None and self.rules.get("statistics", True)
        if units_within and (has_squares or self.rules.get("bounded_sums")):
            mean = Fraction(sum(units_within), n * one)
            variance = sum((Fraction(units, one) - mean) ** 2 for units in units_within) / n
            statistics |= {
                "sum": self.number(sum(units_within)),
                "mean": float(mean),
                "stddev": sqrt(variance) if has_squares else None,
            }
        return statistics

    def _percentile(self, worst_first: Sequence[int], name: str, between: bool) -> Decimal | float:
        share, one = Fraction(name) / 100, 10 ** int(self.rules.get("scale", 0))
        if not between:
            return self.number(worst_first[max(1, ceil(share * len(worst_first))) - 1])
        place, rest = divmod(share * (len(worst_first) - 1), 1)
        low, high = worst_first[int(place)], worst_first[min(int(place) + 1, len(worst_first) - 1)]
        return float((low + rest * (high - low)) / one)

    def _bin(self, in_order: Sequence[int], first: int, end: int) -> dict[str, Any]:
        count = sum(first <= units < end for units in in_order)
        return {"from": self.number(first), "to": self.number(min(end, in_order[-1])), "count": count}

    def within(self, low: int | None, high: int | None, exclusive: Sequence[str], ranking: str | None) -> list[Row]:
        units = dict(self.scores)
        return [row for row in self.rows(ranking) if shows(units[row[2]], low, high, exclusive)]


def shows(units: int, low: int | None, high: int | None, exclusive: Sequence[str]) -> bool:
    """Whether a score lies within bounds."""
    above = low is None or units > low or (units == low and "min" not in exclusive)
    return above and (high is None or units < high or (units == high and "max" not in exclusive))


def bins_of(scores: Sequence[int], bins: int) -> list[tuple[int, int]]:
    """From the lowest score up to one beyond the highest, as equal as whole units allow."""
    if not scores:
        return []
    width = scores[-1] - scores[0] + 1
    edges = [scores[0] + width * i // min(bins, width) for i in range(min(bins, width) + 1)]
    return list(pairwise(edges))


def share(count: int, total: int) -> Decimal:
    """In percent, to four decimals, halves up."""
    return (100 * Decimal(count) / total).quantize(Decimal("0.0001"), ROUND_HALF_UP)

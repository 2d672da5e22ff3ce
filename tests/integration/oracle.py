"""A board counted by brute force: what every question to it must be answered with."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Row = tuple[int, int, str, Any]


@dataclass(frozen=True)
class Oracle:
    """scores: in scaled units, in the order in which they were reached."""

    rules: dict[str, Any]
    scores: Sequence[tuple[str, int]]

    @property
    def _ordered(self) -> list[tuple[str, int]]:
        if self.rules.get("tie_break") == "earliest":
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
        return _share(not_better, len(self.scores)) if self.scores else None

    def at_percentile(self, p: Decimal, ranking: str | None) -> Row | None:
        """The worst score whose percentile is high enough, at the last place that is."""
        rows, total = self.rows(ranking), len(self.scores)
        high = [row for row in rows if _share(total - row[0] + 1, total) >= p]
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

    def within(self, low: int | None, high: int | None, exclusive: Sequence[str], ranking: str | None) -> list[Row]:
        units = dict(self.scores)

        def shows(held: int) -> bool:
            above = low is None or held > low or (held == low and "min" not in exclusive)
            return above and (high is None or held < high or (held == high and "max" not in exclusive))

        return [row for row in self.rows(ranking) if shows(units[row[2]])]


def _share(count: int, total: int) -> Decimal:
    return (100 * Decimal(count) / total).quantize(Decimal("0.0001"), ROUND_HALF_UP)

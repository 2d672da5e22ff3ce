"""What the scores of a board come to, and the bands of its users or of a field of many boards."""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Annotated, Any, NamedTuple

import msgspec

from .errors import Invalid
from .score import from_units, sum_of
from .text import check_label

BANDS_MAX = 20
PERCENTS = (50, 90, 99)


class Sums(NamedTuple):
    """The sum of some scores, and that of their squares (None: not known), in scaled units."""

    scores: int
    squares: int | None

    def mean(self, count: int, scale: int) -> float:
        """The arithmetic mean as a decimal, rounded once."""
        return self.scores / (count * int(10**scale))

    def deviation(self, count: int, scale: int) -> float | None:
        """The standard deviation of the population, out of an exact variance; None without squares."""
        if self.squares is None:
            return None
        return sqrt((count * self.squares - self.scores**2) / (count**2 * 100**scale))


class Statistics(NamedTuple):
    """A board's scores within bounds, in scaled units; users: how many they are.

    sums: None where they are not known; lowest, highest and the score of each percent: None without a score; bins:
    begin and count of each, upwards, each up to the next one's begin.
    """

    epoch: int
    version: int
    sums: Sums | None
    users: int
    lowest: int | None
    highest: int | None
    percents: tuple[int | None, ...]
    bins: tuple[tuple[int, int], ...]


def figures(found: Statistics, scale: int) -> dict[str, Any]:
    """Statistics as a client reads them."""
    users, sums = found.users, found.sums if found.users else None

    def number(units: int | None) -> int | float | None:
        return None if units is None else from_units(units, scale)

    return {
        "count": users,
        "sum": None if sums is None else sum_of(sums.scores, scale),
        "mean": None if sums is None else sums.mean(users, scale),
        "stddev": None if sums is None else sums.deviation(users, scale),
        "min": number(found.lowest),
        "max": number(found.highest),
        "percentiles": {str(percent): number(units) for percent, units in zip(PERCENTS, found.percents, strict=True)},
    }


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of a field, from where the one before it ends up to a share of all, the greatest first."""

    name: str
    up_to: Annotated[float, msgspec.Meta(gt=0, le=1)]


QUINTILES = tuple(
    Band(name, place / 5) for place, name in enumerate(("very-high", "high", "medium", "low", "very-low"), 1)
)


def check_bands(bands: Sequence[Band]) -> None:
    """Each its own name, shares that rise up to 1. Invalid, naming the field."""
    if len(bands) > BANDS_MAX:
        raise Invalid(f"at most {BANDS_MAX} bands", field="$.bands")
    for i, band in enumerate(bands):
        check_label(band.name, f"$.bands[{i}].name")
        if band.name in (other.name for other in bands[:i]):
            raise Invalid("names another band already", field=f"$.bands[{i}].name")
        if i and band.up_to <= bands[i - 1].up_to:
            raise Invalid("must lie above that of the band before", field=f"$.bands[{i}].up_to")
    if bands and bands[-1].up_to != 1:
        raise Invalid("must be 1 for the last band", field=f"$.bands[{len(bands) - 1}].up_to")


def band_of(bands: Sequence[Band], better: int, total: int) -> str:
    """The band of one whom so many of all surpass; quintiles where none are given."""
    share = better / total
    return next(band.name for band in bands or QUINTILES if share < band.up_to)


def begun(share: float, total: int) -> int:
    """How many places begin within a share: whoever stands at one is surpassed by fewer than that share of all. As
    lua/pick.lua has it. O(1)."""
    places = max(0, int(share * total) - 1)
    while places < total and places / total < share:
        places += 1
    return places


class Edge(NamedTuple):
    """The first or the last user of a band: their place on the board, how many are better, the score."""

    position: int
    better: int
    units: int


class Range(NamedTuple):
    """A band of a board: how many users are in it; scores in scaled units, None without any."""

    name: str
    users: int
    lowest: int | None
    highest: int | None


def ranges_of(bands: Sequence[Band], edges: Iterable[Edge], total: int) -> list[Range]:
    """What the bands of a board are by the first and the last user of each that anybody is in."""
    held: dict[str, list[Edge]] = {}
    for edge in sorted(edges):
        held.setdefault(band_of(bands, edge.better, total), []).append(edge)
    return [_range(band.name, held.get(band.name, [])) for band in bands]


def _range(name: str, edges: Sequence[Edge]) -> Range:
    if not edges:
        return Range(name, 0, None, None)
    scores = [edge.units for edge in edges]
    return Range(name, edges[-1].position - edges[0].position + 1, min(scores), max(scores))

"""Statistics of a board's scores, and the bands of its users or of a field of many boards."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import sqrt
from typing import Annotated, Any, NamedTuple

import msgspec

from .errors import Invalid
from .percentile import MILLIONTHS, parse_percentile
from .score import from_units, sum_of
from .text import check_label

#: Bands of a namespace: each is a look-up in the board when its statistics are read.
BANDS_MAX = 20
#: Percentiles of one request: each is one or two look-ups in the board.
PERCENTS_MAX = 20


class Percentiles(NamedTuple):
    """The requested percentiles: their names, and each in millionths of the board. between: the score of each is
    interpolated linearly between the two nearest users (the first and the last are at 0 and 100 percent); else it is
    that of a user by nearest rank."""

    names: tuple[str, ...]
    millionths: tuple[int, ...]
    between: bool = False

    def of(self, keys: Sequence[int | None], users: int) -> tuple[int | Fraction | None, ...]:
        """The score of each percentile, from one score by nearest rank, or two for interpolation."""
        if not self.between:
            return tuple(keys)
        return tuple(
            None
            if low is None or high is None
            else low + (high - low) * Fraction(part * (users - 1) % MILLIONTHS, MILLIONTHS)
            for part, low, high in zip(self.millionths, keys[::2], keys[1::2], strict=True)
        )


PERCENTS = Percentiles(("50", "90", "99"), (500_000, 900_000, 990_000))


def parse_percentile_list(named: str | None, interpolate: str | None) -> Percentiles:
    """Reads `percentiles=25,50,99.9` and `interpolate=true`. Invalid."""
    if interpolate not in (None, "true", "false"):
        raise Invalid("must be true or false", field="?interpolate")
    names = PERCENTS.names if named is None else tuple(dict.fromkeys(named.split(",")))
    if len(names) > PERCENTS_MAX:
        raise Invalid(f"at most {PERCENTS_MAX} percentiles fit into one request", field="?percentiles")
    millionths = tuple(parse_percentile(name, "?percentiles") for name in names)
    return Percentiles(names, millionths, interpolate == "true")


class ScoreSums(NamedTuple):
    """The sum of some scores and the sum of their squares (None: unknown), in scaled units."""

    scores: int
    squares: int | None

    def mean(self, count: int, scale: int) -> float:
        """The arithmetic mean as a decimal, rounded once."""
        return self.scores / (count * int(10**scale))

    def deviation(self, count: int, scale: int) -> float | None:
        """The standard deviation of the population, from an exact variance; None without squares."""
        if self.squares is None:
            return None
        return sqrt((count * self.squares - self.scores**2) / (count**2 * 100**scale))


class Statistics(NamedTuple):
    """Statistics of a board's scores within bounds, in scaled units. users: the number of scores.

    sums: None if unknown; lowest, highest and the score of each percentile: None without a score; bins: begin and count
    of each, in rising order; a bin ends where the next one begins. is_archived: they are of an archive, whose rows
    change a moment before its version does.
    """

    epoch: int
    version: int
    sums: ScoreSums | None
    users: int
    lowest: int | None
    highest: int | None
    percents: tuple[int | Fraction | None, ...]
    bins: tuple[tuple[int, int], ...]
    is_archived: bool = False


def statistics_body(statistics: Statistics, scale: int, percents: Percentiles = PERCENTS) -> dict[str, Any]:
    """Statistics as a client reads them. Without scores the sum is 0, and mean, lowest and highest are null."""
    users, sums = statistics.users, statistics.sums if statistics.users else None

    def number(units: int | Fraction | None) -> int | float | None:
        if units is None:
            return None
        return from_units(int(units), scale) if units.denominator == 1 else float(units / 10**scale)

    return {
        "count": users,
        "sum": sum_of(sums.scores, scale) if sums else None if users else 0,
        "mean": None if sums is None else sums.mean(users, scale),
        "stddev": None if sums is None else sums.deviation(users, scale),
        "min": number(statistics.lowest),
        "max": number(statistics.highest),
        "percentiles": {name: number(units) for name, units in zip(percents.names, statistics.percents, strict=True)},
    }


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A band of a field: it begins where the one before ends, and ends at a fraction of all users, best first."""

    name: str
    up_to: Annotated[float, msgspec.Meta(gt=0, le=1)]


QUINTILES = tuple(
    Band(name, number / 5) for number, name in enumerate(("very-high", "high", "medium", "low", "very-low"), 1)
)


def check_bands(bands: Sequence[Band]) -> None:
    """Checks that names are unique and fractions rise up to 1. Invalid, naming the field."""
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


def band_of(bands: Sequence[Band], better: int, board_size: int) -> str:
    """The band of a user by the fraction of users who are better. Without bands: quintiles."""
    fraction = better / board_size
    return next(band.name for band in bands or QUINTILES if fraction < band.up_to)


def ranks_within(fraction: float, board_size: int) -> int:
    """The number of positions p with (p − 1) / board_size < fraction, as in lua/read_board_sample.lua. O(1)."""
    count = max(0, int(fraction * board_size) - 1)
    while count < board_size and count / board_size < fraction:
        count += 1
    return count


class Edge(NamedTuple):
    """The first or the last user of a band: their position, the number of better users, the score."""

    position: int
    better: int
    units: int


class BandRange(NamedTuple):
    """A band of a board: its number of users, and its scores in scaled units, None if it is empty."""

    name: str
    users: int
    lowest: int | None
    highest: int | None


def band_ranges(bands: Sequence[Band], edges: Iterable[Edge], board_size: int) -> list[BandRange]:
    """The ranges of a board's bands, from the first and the last user of each band that has users."""
    edges_by_band: dict[str, list[Edge]] = {}
    for edge in sorted(edges):
        edges_by_band.setdefault(band_of(bands, edge.better, board_size), []).append(edge)
    return [_range(band.name, edges_by_band.get(band.name, [])) for band in bands]


def _range(name: str, edges: Sequence[Edge]) -> BandRange:
    if not edges:
        return BandRange(name, 0, None, None)
    scores = [edge.units for edge in edges]
    return BandRange(name, edges[-1].position - edges[0].position + 1, min(scores), max(scores))

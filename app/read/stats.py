"""Statistics of one board, and of many namespaces side by side."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import may_read, principal_of
from ..access.keys import Keyring, Principal
from ..http.bodies import check_query
from ..model.errors import Invalid
from ..model.namespace import Namespace
from ..model.stats import (
    PERCENTS,
    Edge,
    Percentiles,
    Statistics,
    band_of,
    band_ranges,
    parse_percentile_list,
    statistics_body,
)
from ..model.windows import Window
from ..store.board_reader import BoardReader
from ..store.namespace_cache import NamespaceCache
from ..store.stats_reader import ScoreBounds, StatsReader
from .board_bodies import rfc3339
from .conditional import answer_with_etag
from .score_bounds import score_bounds

#: Bins of a histogram: each is a look-up in the board.
BINS_MAX = 100
#: Namespaces of one comparison: each is a call to Redis; a client narrows the prefix where there are more.
NAMESPACES_MAX = 2_000
#: Reads of statistics while the board, the rules or the rights change under them; the last read is the answer.
_READS_MAX = 4


class StatsHandlers:
    """Statistics of boards."""

    def __init__(
        self,
        reader: StatsReader,
        boards: BoardReader,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        clock: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._boards = boards
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._clock = clock

    async def of(
        self, namespace: Namespace, window: Window, category: str | None, query: Mapping[str, str], bins: int
    ) -> dict[str, Any]:
        """One board's answer, of the scores within the query's bounds; bins: 0 for no histogram. Its bands are those of
        the whole board, at the same version unless that keeps changing. Invalid."""
        board = window.name if category is None else f"{window.name}:{category}"
        bounds = ScoreBounds(*score_bounds(query, namespace))
        percents = parse_percentile_list(query.get("percentiles"), query.get("interpolate"))
        for _ in range(_READS_MAX):
            found, (version, bands) = await asyncio.gather(
                self._reader.read(namespace, board, bounds, bins, percents), self._bands(namespace, board)
            )
            if version in (None, found.version):
                break
        body = stats_body(namespace, window, category, found, percents) | {"bands": bands}
        return body | {"histogram": _histogram(namespace, found)} if bins else body

    async def _bands(self, namespace: Namespace, board: str) -> tuple[int | None, list[dict[str, Any]]]:
        """A board's version and bands; none where the rules name none. O(bands × log n)."""
        bands = namespace.rules.bands
        if not bands:
            return None, []
        held = await self._boards.read(namespace, board, ["bands", *(band.up_to for band in bands)], "competition")
        edges = [Edge(place.position, place.rank0, place.units) for place in held.places]
        return held.version, [
            {
                "name": band.name,
                "count": band.users,
                "min": namespace.number_or_none(band.lowest),
                "max": namespace.number_or_none(band.highest),
            }
            for band in band_ranges(bands, edges, held.total)
        ]

    async def everywhere(self, request: Request) -> Response:
        """`GET /v1/stats?prefix=&window=&band=`: `{"namespaces":[…]}`, each that the caller may read and that keeps the
        window, the most contested first: by mean, then by name; those without a mean come last.

        percentile: the share of those with a mean, in percent, whose mean is no higher; band: by how many means are
        higher. Each is read at a version of its own. O(namespaces × log n), in few round trips.
        """
        check_query(request, "prefix", "window", "band")
        query = request.query_params
        for _ in range(_READS_MAX):
            with self._namespace_cache.watching() as watch:
                principal = await principal_of(request.scope, self._keyring)
                spaces = await self._readable(principal, query.get("prefix", ""))
                held = [(space, space.calendar.find(query.get("window", "all"), self._clock())) for space in spaces]
                kept = [(space, window) for space, window in held if window is not None]
                found = await asyncio.gather(*(self._reader.read(space, window.name) for space, window in kept))
            # By the rules and rights in force: where they changed meanwhile, once more by the new ones.
            if not watch.concerns(principal.id, spaces):
                break
        bodies = [stats_body(space, window, None, told) for (space, window), told in zip(kept, found, strict=True)]
        ranked = _ranked([space for space, _ in kept], bodies)
        named = [body for body in ranked if query.get("band") in (None, body["band"])]
        return answer_with_etag(request, None, {"namespaces": named}, is_heavy=True)

    async def _readable(self, principal: Principal, prefix: str) -> list[Namespace]:
        found = [
            namespace
            for namespace in await self._namespace_cache.all()
            if namespace.name.startswith(prefix) and may_read(principal, namespace)
        ]
        if len(found) > NAMESPACES_MAX:
            raise Invalid(f"more than {NAMESPACES_MAX} namespaces begin so", field="?prefix")
        return found


def stats_body(
    namespace: Namespace, window: Window, category: str | None, found: Statistics, percents: Percentiles = PERCENTS
) -> dict[str, Any]:
    """A board's statistics as a client reads them."""
    return {
        "namespace": namespace.name,
        "window": window.name,
        "starts": rfc3339(window.starts),
        "ends": rfc3339(window.ends),
        "category": category,
        "epoch": found.epoch,
        "version": found.version,
        **statistics_body(found, namespace.rules.scale, percents),
        "band": None,
    }


def _histogram(namespace: Namespace, found: Statistics) -> list[dict[str, Any]]:
    """Bins that reach from the lowest to the highest score; the last one holds both its ends."""
    edges = [*(begin for begin, _ in found.bins), found.highest]
    return [
        {"from": namespace.number_or_none(begin), "to": namespace.number_or_none(end), "count": count}
        for begin, end, (_, count) in zip(edges, edges[1:], found.bins, strict=False)
    ]


def _ranked(spaces: Sequence[Namespace], bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """With percentile and band, in their order."""
    means = sorted(body["mean"] for body in bodies if body["mean"] is not None)
    for space, body in zip(spaces, bodies, strict=True):
        mean = body["mean"]
        body["percentile"] = None
        if mean is not None:
            body["percentile"] = round(100 * bisect_right(means, mean) / len(means), 4)
            body["band"] = band_of(space.rules.bands, len(means) - bisect_right(means, mean), len(means))
    return sorted(bodies, key=lambda body: (body["mean"] is None, -(body["mean"] or 0), body["namespace"]))

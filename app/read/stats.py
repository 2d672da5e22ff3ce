"""Statistics of one board, and of many namespaces."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import may_read
from ..access.keys import Principal
from ..http.bodies import check_query, query_int
from ..model.board_ref import BoardRef, find_board
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
from ..model.views import BandEdges
from ..store.board_reader import BoardReader
from ..store.namespace_cache import NamespaceCache
from ..store.stats_reader import StatsReader
from .authorizer import ReadAuthorizer
from .board_bodies import rfc3339
from .board_parameters import category_of
from .conditional import answer_with_etag
from .score_bounds import BOUNDS, score_bounds

#: Bins of a histogram: each is a look-up in the board.
BINS_MAX = 100
#: Namespaces of one comparison: each is a call to Redis. For more, a client names a longer prefix.
NAMESPACES_MAX = 2_000
#: Reads of statistics and bands if the board changes between the two. After them the last ones are the answer.
READS_MAX = 4


class StatsHandlers:
    """Statistics of boards."""

    def __init__(
        self,
        *,
        reader: StatsReader,
        boards: BoardReader,
        namespace_cache: NamespaceCache,
        authorizer: ReadAuthorizer,
        clock: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._boards = boards
        self._namespace_cache = namespace_cache
        self._authorizer = authorizer
        self._clock = clock

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}/stats`."""
        check_query(request, "category", *BOUNDS, "histogram", "percentiles", "interpolate")
        parameters, names = request.query_params, request.path_params
        category, bins = category_of(parameters), query_int(request, "histogram", 0, low=1, high=BINS_MAX)
        async for admission in self._authorizer.admissions(request.scope, names["namespace"]):
            board = find_board(admission.namespace, names["window"], category, self._clock())
            response = answer_with_etag(request, board.namespace, await self.read(board, parameters, bins))
        return response

    async def read(self, board: BoardRef, parameters: Mapping[str, str], bins: int) -> dict[str, Any]:
        """The statistics of a board, of the scores within the bounds, with the bands of the whole board: at one
        version, unless the board keeps changing. bins: of a histogram, 0 for none. Invalid."""
        bounds = score_bounds(parameters, board.namespace)
        percents = parse_percentile_list(parameters.get("percentiles"), parameters.get("interpolate"))
        for _ in range(READS_MAX):
            statistics, (version, bands) = await asyncio.gather(
                self._reader.read(board.namespace, board.name, bounds, bins, percents), self._bands(board)
            )
            if version in (None, statistics.version):
                break
        body = stats_body(board, statistics, percents) | {"bands": bands}
        return body | {"histogram": _histogram(board.namespace, statistics)} if bins else body

    async def _bands(self, board: BoardRef) -> tuple[int | None, list[dict[str, Any]]]:
        """A board's version and its bands; None and no bands if the rules have none. O(bands × log n)."""
        namespace = board.namespace
        bands = namespace.rules.bands
        if not bands:
            return None, []
        view = BandEdges(tuple(band.up_to for band in bands))
        page = await self._boards.read(namespace, board.name, view, "competition")
        edges = [Edge(row.position, row.rank0, row.units) for row in page.rows]
        return page.version, [
            {
                "name": band.name,
                "count": band.users,
                "min": namespace.number_or_none(band.lowest),
                "max": namespace.number_or_none(band.highest),
            }
            for band in band_ranges(bands, edges, page.board_size)
        ]

    async def everywhere(self, request: Request) -> Response:
        """`GET /v1/stats?prefix=&window=&band=`: `{"namespaces":[…]}`, each that the caller may read and that keeps the
        window, the most contested first: by mean, then by name; those without a mean come last.

        percentile: the part of those with a mean, in percent, whose mean is no higher; band: by how many means are
        higher. Each is read at a version of its own. O(namespaces × log n), in few round trips.
        """
        check_query(request, "prefix", "window", "band")
        parameters = request.query_params
        async for survey in self._authorizer.surveys(request.scope):
            namespaces = await self._readable(survey.principal, parameters.get("prefix", ""))
            survey.add(namespaces)
            boards = self._boards_of(namespaces, parameters.get("window", "all"))
            read = await asyncio.gather(*(self._reader.read(board.namespace, board.name) for board in boards))
        bodies = [stats_body(board, statistics) for board, statistics in zip(boards, read, strict=True)]
        bodies = _ranked([board.namespace for board in boards], bodies)
        in_band = [body for body in bodies if parameters.get("band") in (None, body["band"])]
        return answer_with_etag(request, None, {"namespaces": in_band}, is_heavy=True)

    async def _readable(self, principal: Principal, prefix: str) -> list[Namespace]:
        """The namespaces with a prefix that a principal may read. Invalid if there are too many."""
        namespaces = [
            namespace
            for namespace in await self._namespace_cache.all()
            if namespace.name.startswith(prefix) and may_read(principal, namespace)
        ]
        if len(namespaces) > NAMESPACES_MAX:
            raise Invalid(f"more than {NAMESPACES_MAX} namespaces begin so; send a longer prefix", field="?prefix")
        return namespaces

    def _boards_of(self, namespaces: Sequence[Namespace], window_name: str) -> list[BoardRef]:
        """The boards of a window in those namespaces that have it."""
        now = self._clock()
        windows = ((namespace, namespace.calendar.find(window_name, now)) for namespace in namespaces)
        return [BoardRef(namespace, window) for namespace, window in windows if window is not None]


def stats_body(board: BoardRef, statistics: Statistics, percents: Percentiles = PERCENTS) -> dict[str, Any]:
    """A board's statistics as a client reads them."""
    return {
        "namespace": board.namespace.name,
        "window": board.window.name,
        "starts": rfc3339(board.window.starts),
        "ends": rfc3339(board.window.ends),
        "category": board.category,
        "epoch": statistics.epoch,
        "version": statistics.version,
        **statistics_body(statistics, board.namespace.rules.scale, percents),
        "band": None,
    }


def _histogram(namespace: Namespace, statistics: Statistics) -> list[dict[str, Any]]:
    """Bins from the lowest to the highest score. Each begins at `from`; the last one includes its end."""
    edges = [*(begin for begin, _ in statistics.bins), statistics.highest]
    return [
        {"from": namespace.number_or_none(begin), "to": namespace.number_or_none(end), "count": count}
        for begin, end, (_, count) in zip(edges, edges[1:], statistics.bins, strict=False)
    ]


def _ranked(namespaces: Sequence[Namespace], bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The bodies with their percentiles and bands, in order."""
    means = sorted(body["mean"] for body in bodies if body["mean"] is not None)
    for namespace, body in zip(namespaces, bodies, strict=True):
        mean = body["mean"]
        body["percentile"] = None
        if mean is not None:
            body["percentile"] = round(100 * bisect_right(means, mean) / len(means), 4)
            body["band"] = band_of(namespace.rules.bands, len(means) - bisect_right(means, mean), len(means))
    return sorted(bodies, key=lambda body: (body["mean"] is None, -(body["mean"] or 0), body["namespace"]))

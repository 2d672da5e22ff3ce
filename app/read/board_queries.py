"""Single questions to a board: who stands at a place, at a percentile, or by chance; how many have which scores."""

import re
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from ..http.bodies import answer, check_query, query_int
from ..model.errors import Invalid, UserNotFound
from ..model.namespace import Namespace
from ..model.percentile import parse_percentile, percentile_of
from ..model.windows import Window
from ..store.board_reader import BoardReader
from ..store.boards import BoardPage, board_call, score_call
from ..store.profile_cache import NO_PROFILE, ProfileCache
from ..store.read_batcher import ReadBatcher
from .authorizer import ReadAuthorizer
from .board_bodies import board_head, entry_body
from .board_handlers import board_name, window_in
from .board_query import category_of, ranking_of
from .conditional import RenderedResponse
from .response_cache import CachedQuery, CacheMiss, ResponseCache
from .score_bounds import BOUNDS, key_bounds, units_of

#: Entries drawn by chance in one call: as many as a page of a board has.
RANDOM_MAX = 1_000
_UNKEPT = {"Cache-Control": "no-store"}

T = TypeVar("T")
BoardView = Sequence[str | int | bytes | float]


class BoardQueries:
    """Each answers `{"namespace", "window", "starts", "ends", "category", "epoch", "version", "total"}` and what was
    asked, in O(log n), of an open board and of an archive alike. Ranks by the namespace's ranking or `?ranking=`.

    BoardNotFound, Invalid, StoreUnavailable, Recovering.
    """

    def __init__(
        self,
        boards: BoardReader,
        authorizer: ReadAuthorizer,
        answers: ResponseCache,
        batcher: ReadBatcher,
        names: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._boards = boards
        self._authorizer = authorizer
        self._cache = answers
        self._batcher = batcher
        self._names = names
        self._clock = clock
        self._chance = Random()

    async def at(self, request: Request) -> Response:
        """`GET …/boards/{window}/at/{position}`: and the entry there. UserNotFound behind the end."""
        check_query(request, "category", "ranking")
        text = request.path_params["position"]
        if not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
            raise Invalid("must be an integer from 1 to 999999999", field="{position}")

        async def tell(namespace: Namespace, window: Window, board: BoardPage) -> dict[str, Any]:
            if not board.places:
                raise UserNotFound(f"the board ends at position {board.total}", field="{position}")
            return await self._told(namespace, window, board)

        return await self._look(request, ["page", int(text) - 1, 1], tell)

    async def percentile(self, request: Request) -> Response:
        """`GET …/boards/{window}/percentile/{p}`: and the worst `score` whose percentile, as a standing tells it,
        is at least p, with its `rank` and the `position` of nearest rank. UserNotFound on an empty board."""
        check_query(request, "category", "ranking")
        share = parse_percentile(request.path_params["percentile"], "{percentile}")

        async def tell(namespace: Namespace, window: Window, board: BoardPage) -> dict[str, Any]:
            if not board.places:
                raise UserNotFound("the board is empty", field="{percentile}")
            told = await self._told(namespace, window, board)
            return {name: told[name] for name in told if name not in ("user_id", "display_name", "avatar")}

        return await self._look(request, ["percentile", share], tell)

    async def count(self, request: Request) -> Response:
        """`GET …/boards/{window}/count?min_score=&max_score=&exclusive=`: and `count`, how many have such a score."""
        check_query(request, "category", *BOUNDS)

        async def tell(namespace: Namespace, window: Window, board: BoardPage) -> dict[str, Any]:
            return {**board_head(namespace, window, board), "count": board.within}

        return await self._look(request, ["page", 0, 0], tell, bounds=True)

    async def random(self, request: Request) -> Response:
        """`GET …/boards/{window}/random?n=`: and `entries`, n of them or all, in the order of the board; any n are as
        likely as any others. O(n log total)."""
        check_query(request, "n", "category", "ranking")
        n, ranking, category = (
            query_int(request, "n", 1, 1, RANDOM_MAX),
            ranking_of(request.query_params),
            category_of(request.query_params),
        )
        view: BoardView = ["random", *(self._chance.random() for _ in range(n))]

        async def read(namespace: Namespace) -> dict[str, Any]:
            window = window_in(namespace, request.path_params["window"], category, self._clock())
            board = await self._boards.read(namespace, board_name(window, category), view, ranking)
            names = await self._names.shown(namespace, [place.user for place in board.places])
            entries = [entry_body(namespace, place, names.get(place.user, NO_PROFILE)) for place in board.places]
            return {**board_head(namespace, window, board), "category": category, "entries": entries}

        return answer(request, await self._read(request, read), headers=_UNKEPT)

    async def rank_of(self, request: Request) -> Response:
        """`GET …/boards/{window}/rank-of/{score}`: and the `rank` that a score has, or would have, how many have a
        `better` one, how many an `equal` one, and its `percentile` (null on an empty board)."""
        check_query(request, "category", "ranking")
        ranking, category = ranking_of(request.query_params), category_of(request.query_params)

        async def read(namespace: Namespace) -> Response:
            window = window_in(namespace, request.path_params["window"], category, self._clock())
            units, name = units_of(namespace, request.path_params["score"], "{score}"), board_name(window, category)
            question = CachedQuery(name, ("score", units, ranking), score_call(namespace, name, units, ranking))
            found = await self._cache.look(request.scope, namespace, question)
            if isinstance(found, CacheMiss):
                held = await self._boards.resolve_score(namespace, name, units, ranking, found.reply)
                body = {
                    **board_head(namespace, window, held),
                    "category": category,
                    "score": namespace.number(units),
                    "rank": held.rank0 + 1,
                    "better": held.better,
                    "equal": held.equal,
                    "percentile": percentile_of(held.total - held.better, held.total) if held.total else None,
                }
                found = self._cache.keep(request.scope, found, body)
            return RenderedResponse(found)

        return await self._read(request, read)

    async def _look(
        self,
        request: Request,
        view: BoardView,
        tell: Callable[[Namespace, Window, BoardPage], Awaitable[dict[str, Any]]],
        bounds: bool = False,
    ) -> Response:
        """What a view of a board tells, kept by the board's version."""
        ranking, category = ranking_of(request.query_params), category_of(request.query_params)

        async def read(namespace: Namespace) -> Response:
            window = window_in(namespace, request.path_params["window"], category, self._clock())
            within = [*view, *key_bounds(request.query_params, namespace)] if bounds else view
            name = board_name(window, category)
            call = board_call(namespace, name, within, ranking)
            question = CachedQuery(name, (tell.__qualname__, *within, ranking), call)
            found = await self._cache.look(request.scope, namespace, question)
            if isinstance(found, CacheMiss):
                board = await self._boards.resolve(namespace, name, within, ranking, found.reply)
                body = {**await tell(namespace, window, board), "category": category}
                found = self._cache.keep(request.scope, found, body)
            return RenderedResponse(found)

        return await self._read(request, read)

    async def _told(self, namespace: Namespace, window: Window, board: BoardPage) -> dict[str, Any]:
        """A board's head and its one entry."""
        (place,) = board.places
        names = await self._names.shown(namespace, [place.user])
        told = entry_body(namespace, place, names.get(place.user, NO_PROFILE))
        return board_head(namespace, window, board) | {name: getattr(told, name) for name in told.__struct_fields__}

    async def _read(self, request: Request, read: Callable[[Namespace], Awaitable[T]]) -> T:
        return await self._authorizer.read(request.scope, request.path_params["namespace"], read)

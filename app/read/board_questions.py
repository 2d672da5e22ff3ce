"""Single questions about a board: the row at a position, at a percentile, or at random; counts and ranks of
scores."""

import re
from collections.abc import Callable
from random import Random
from typing import Any, Literal, assert_never

from starlette.requests import Request
from starlette.responses import Response

from ..http.bodies import answer, check_query, query_int
from ..model.board_ref import BoardRef, find_board
from ..model.errors import Invalid, UserNotFound
from ..model.percentile import parse_percentile, percentile_of
from ..model.views import BoardView, Page, Percentile, Sample
from ..store.board_reader import BoardReader
from ..store.boards import BoardPage, ScoreRank, board_call, score_call
from ..store.profile_cache import NO_PROFILE, ProfileCache
from .authorizer import ReadAuthorizer
from .board_bodies import board_head, entry_body
from .board_parameters import category_of, ranking_of
from .conditional import RenderedResponse
from .response_cache import CachedQuestion, CacheMiss, ResponseCache
from .score_bounds import BOUNDS, key_bounds, units_of

#: Random rows of one call: as many as a page of a board has.
RANDOM_MAX = 1_000
_NO_STORE = {"Cache-Control": "no-store"}

Question = Literal["at", "percentile", "count"]


class BoardQuestions:
    """Each answer has `{"namespace", "window", "starts", "ends", "category", "epoch", "version", "total"}` and the
    result, in O(log n), for open and archived boards. `?ranking=` replaces the namespace's ranking.

    BoardNotFound, Invalid, StoreUnavailable, Recovering.
    """

    def __init__(
        self,
        *,
        boards: BoardReader,
        authorizer: ReadAuthorizer,
        cache: ResponseCache,
        profiles: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._boards = boards
        self._authorizer = authorizer
        self._cache = cache
        self._profiles = profiles
        self._clock = clock
        self._chance = Random()

    async def at(self, request: Request) -> Response:
        """`GET …/boards/{window}/at/{position}`: adds the row there. UserNotFound past the end."""
        check_query(request, "category", "ranking")
        text = request.path_params["position"]
        if not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
            raise Invalid("must be an integer from 1 to 999999999", field="{position}")
        return await self._answer(request, "at", Page(int(text) - 1, 1))

    async def percentile(self, request: Request) -> Response:
        """`GET …/boards/{window}/percentile/{p}`: adds the worst `score` whose percentile, as a user's ranks show it,
        is at least p, with its `rank` and the `position` of nearest rank. UserNotFound on an empty board."""
        check_query(request, "category", "ranking")
        millionths = parse_percentile(request.path_params["percentile"], "{percentile}")
        return await self._answer(request, "percentile", Percentile(millionths))

    async def count(self, request: Request) -> Response:
        """`GET …/boards/{window}/count?min_score=&max_score=&exclusive=`: adds `count`, the number of users with such a
        score."""
        check_query(request, "category", *BOUNDS)
        return await self._answer(request, "count", None)

    async def _answer(self, request: Request, question: Question, view: BoardView | None) -> Response:
        """The answer to one of these questions, cached by the board's version. view: None for the page of no rows
        between the bounds in the parameters."""
        ranking, category = ranking_of(request.query_params), category_of(request.query_params)
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace = admission.namespace
            board = find_board(namespace, request.path_params["window"], category, self._clock())
            read = view or Page(0, 0, key_bounds(request.query_params, namespace))
            cached_question = CachedQuestion(
                board.name, (question, read, ranking), board_call(namespace, board.name, read, ranking)
            )
            cached = await self._cache.look(request.scope, namespace, cached_question)
            if isinstance(cached, CacheMiss):
                page = await self._boards.resolve(namespace, board.name, read, ranking, cached.reply)
                cached = self._cache.keep(request.scope, cached, await self._body(board, question, page))
            response = RenderedResponse(cached)
        return response

    async def _body(self, board: BoardRef, question: Question, page: BoardPage) -> dict[str, Any]:
        match question:
            case "count":
                return {**board_head(board, page), "count": page.in_bounds}
            case "at":
                if not page.rows:
                    raise UserNotFound(f"the board ends at position {page.board_size}", field="{position}")
                return await self._entry_body(board, page)
            case "percentile":
                if not page.rows:
                    raise UserNotFound("the board is empty", field="{percentile}")
                body = await self._entry_body(board, page)
                return {name: body[name] for name in body if name not in ("user_id", "display_name", "avatar")}
            case _:
                assert_never(question)

    async def _entry_body(self, board: BoardRef, page: BoardPage) -> dict[str, Any]:
        """The body of a page's one row."""
        (row,) = page.rows
        names = await self._profiles.display_profiles(board.namespace, [row.user])
        entry = entry_body(board.namespace, row, names.get(row.user, NO_PROFILE))
        return board_head(board, page) | {name: getattr(entry, name) for name in entry.__struct_fields__}

    async def random(self, request: Request) -> Response:
        """`GET …/boards/{window}/random?n=`: adds `entries`, n of them or all, in the order of the board; each choice
        of n is equally likely. O(n log board_size)."""
        check_query(request, "n", "category", "ranking")
        n = query_int(request, "n", 1, low=1, high=RANDOM_MAX)
        ranking, category = ranking_of(request.query_params), category_of(request.query_params)
        view = Sample(tuple(self._chance.random() for _ in range(n)))
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace = admission.namespace
            board = find_board(namespace, request.path_params["window"], category, self._clock())
            page = await self._boards.read(namespace, board.name, view, ranking)
            names = await self._profiles.display_profiles(namespace, [row.user for row in page.rows])
            entries = [entry_body(namespace, row, names.get(row.user, NO_PROFILE)) for row in page.rows]
            body = {**board_head(board, page), "entries": entries}
        return answer(request, body, headers=_NO_STORE)

    async def rank_of(self, request: Request) -> Response:
        """`GET …/boards/{window}/rank-of/{score}`: adds the `rank` that a score has, or would have, the numbers of
        users with a `better` and an `equal` score, and its `percentile` (null on an empty board)."""
        check_query(request, "category", "ranking")
        ranking, category = ranking_of(request.query_params), category_of(request.query_params)
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace = admission.namespace
            board = find_board(namespace, request.path_params["window"], category, self._clock())
            units = units_of(namespace, request.path_params["score"], "{score}")
            call = score_call(namespace, board.name, units, ranking)
            cached_question = CachedQuestion(board.name, ("rank_of", units, ranking), call)
            cached = await self._cache.look(request.scope, namespace, cached_question)
            if isinstance(cached, CacheMiss):
                rank = await self._boards.resolve_score(namespace, board.name, units, ranking, cached.reply)
                cached = self._cache.keep(request.scope, cached, _rank_body(board, units, rank))
            response = RenderedResponse(cached)
        return response


def _rank_body(board: BoardRef, units: int, rank: ScoreRank) -> dict[str, Any]:
    return {
        **board_head(board, rank),
        "score": board.namespace.number(units),
        "rank": rank.rank0 + 1,
        "better": rank.better,
        "equal": rank.equal,
        "percentile": percentile_of(rank.board_size - rank.better, rank.board_size) if rank.board_size else None,
    }

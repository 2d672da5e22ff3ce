"""POST ranks, boards, stats: many boards in one request. Their calls travel in one or two rounds."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..http.bodies import answer, check_query, decode_body
from ..model.board_ref import BoardRef, find_board
from ..model.errors import Problem
from ..model.namespace import Namespace, Number
from ..model.text import check_label
from ..model.views import BoardView, Page, Users
from ..store.board_reader import BoardReader
from ..store.profile_cache import ProfileCache
from .authorizer import ReadAuthorizer
from .board_bodies import board_body
from .stats import StatsHandlers
from .totals import USERS_BYTES_MAX, UsersRequest, check_users

#: Windows of a request for ranks: 500 users in 20 windows are 10,000 ranks.
WINDOWS_MAX = 20
#: Boards of one request: each is a call to Redis or two, and a round takes 256.
BOARDS_MAX = 100
#: Entries of each board: 100 boards of 100 are 10,000 rows in an answer.
LIMIT_MAX = 100
#: Entries that a page may skip: more than any board has.
OFFSET_MAX = 10**9

Ranking = Annotated[str, msgspec.Meta(pattern="^(competition|dense|ordinal)$")]


class RanksRequest(UsersRequest, frozen=True, forbid_unknown_fields=True):
    """Users, and the boards on which to rank them."""

    windows: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=WINDOWS_MAX)] = ("all",)
    category: str | None = None
    ranking: Ranking | None = None


class BoardRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of one board."""

    namespace: str
    window: str = "all"
    category: str | None = None
    offset: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 10
    ranking: Ranking | None = None


class BoardsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pages of many boards."""

    boards: Annotated[tuple[BoardRequest, ...], msgspec.Meta(min_length=1, max_length=BOARDS_MAX)]


class StatsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The statistics of one board, of the scores within bounds."""

    namespace: str
    window: str = "all"
    category: str | None = None
    min_score: Number | None = None
    max_score: Number | None = None
    exclusive: tuple[Literal["min", "max"], ...] = ()

    def parameters(self) -> dict[str, str]:
        """The same parameters as for `GET …/stats`."""
        scores = {"min_score": self.min_score, "max_score": self.max_score}
        parameters = {name: repr(score) for name, score in scores.items() if score is not None}
        return parameters | ({"exclusive": ",".join(self.exclusive)} if self.exclusive else {})


class BulkStatsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The statistics of many boards."""

    boards: Annotated[tuple[StatsRequest, ...], msgspec.Meta(min_length=1, max_length=BOARDS_MAX)]


class BulkHandlers:
    """Each board is read at one moment, named by its version. Several boards may be read some milliseconds apart."""

    def __init__(
        self,
        *,
        boards: BoardReader,
        stats: StatsHandlers,
        authorizer: ReadAuthorizer,
        profiles: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._boards = boards
        self._stats = stats
        self._authorizer = authorizer
        self._profiles = profiles
        self._clock = clock

    async def ranks(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/ranks`: `{"users":[…], "windows":[…]}`, at most 500 and 20 →
        `{"namespace", "boards":[…]}`, a board for each window, in their order: as `GET …/boards/{window}?user=…`.

        O(windows × users × log n). BoardNotFound, Invalid, StoreUnavailable, Recovering.
        """
        check_query(request)
        name = request.path_params["namespace"]
        await self._authorizer.check(request.scope, name)
        body = await decode_body(request, RanksRequest, bytes_max=USERS_BYTES_MAX)
        view = Users(tuple(check_users(body.users)))
        _check_category(body.category)
        async for admission in self._authorizer.admissions(request.scope, name):
            boards = {
                window: self._find(admission.namespace, window, category=body.category, field=f"$.windows[{i}]")
                for i, window in enumerate(body.windows)
            }
            reads = (self._board_body(board, view, body.ranking) for board in boards.values())
            ranks = {"namespace": name, "boards": await asyncio.gather(*reads)}
        return answer(request, ranks)

    async def boards(self, request: Request) -> Response:
        """`POST /v1/boards`: `{"boards":[{"namespace", "window", "category", "offset", "limit", "ranking"} …]}`, at
        most 100 → `{"boards":[…]}` in their order: each as `GET …/boards/{window}` answers, or its request's names and
        its `error`. A caller who may read none of them gets an answer, too."""
        check_query(request)
        await self._authorizer.check_key(request.scope)
        body = await decode_body(request, BoardsRequest, bytes_max=USERS_BYTES_MAX)
        answers = await asyncio.gather(*(self._board_or_error(request, one) for one in body.boards))
        return answer(request, {"boards": answers})

    async def stats(self, request: Request) -> Response:
        """`POST /v1/stats`: `{"boards":[{"namespace", "window", "category", "min_score", "max_score", "exclusive"}
        …]}`, at most 100 → `{"boards":[…]}` in their order: each as `GET …/boards/{window}/stats` answers, or its
        request's names and its `error`."""
        check_query(request)
        await self._authorizer.check_key(request.scope)
        body = await decode_body(request, BulkStatsRequest, bytes_max=USERS_BYTES_MAX)
        answers = await asyncio.gather(*(self._stats_or_error(request, one) for one in body.boards))
        return answer(request, {"boards": answers})

    async def _board_or_error(self, request: Request, one: BoardRequest) -> dict[str, Any]:
        """One board by its own rights."""
        try:
            async for admission in self._authorizer.admissions(request.scope, one.namespace):
                _check_category(one.category)
                board = self._find(admission.namespace, one.window, category=one.category)
                body = await self._board_body(board, Page(one.offset, one.limit), one.ranking)
        except Problem as problem:
            return _error_body(one, problem)
        return body

    async def _stats_or_error(self, request: Request, one: StatsRequest) -> dict[str, Any]:
        """One board's statistics by its own rights."""
        try:
            async for admission in self._authorizer.admissions(request.scope, one.namespace):
                _check_category(one.category)
                board = self._find(admission.namespace, one.window, category=one.category)
                body = await self._stats.read(board, one.parameters(), 0)
        except Problem as problem:
            return _error_body(one, problem)
        return body

    def _find(
        self, namespace: Namespace, window_name: str, *, category: str | None, field: str = "$.window"
    ) -> BoardRef:
        """The board that a body names. BoardNotFound, Invalid."""
        return find_board(namespace, window_name, category, self._clock(), (field, "$.category"))

    async def _board_body(self, board: BoardRef, view: BoardView, ranking: str | None) -> dict[str, Any]:
        page = await self._boards.read(board.namespace, board.name, view, ranking)
        names = await self._profiles.display_profiles(board.namespace, [row.user for row in page.rows])
        return board_body(board, view, page, names)


def _error_body(one: BoardRequest | StatsRequest, problem: Problem) -> dict[str, Any]:
    """The answer for one board that failed."""
    error = {**problem.body(), "retryable": problem.retryable}
    if error.get("field", "").startswith("?"):
        error["field"] = f"$.{error['field'][1:]}"  # What is a parameter elsewhere is a field of the body here.
    return {"namespace": one.namespace, "window": one.window, "category": one.category, "error": error}


def _check_category(category: str | None) -> None:
    if category is not None:
        check_label(category, "$.category")

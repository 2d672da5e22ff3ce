"""Many boards, or many users on many boards, in one call: all of it travels in a round or two."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..http.bodies import answer, check_query, decode_body
from ..model.errors import Problem
from ..model.namespace import Namespace, Number
from ..model.text import check_label
from ..model.windows import Window
from ..store.board_reader import BoardReader
from ..store.profile_cache import ProfileCache
from .authorizer import ReadAuthorizer
from .board_bodies import board_body
from .board_handlers import board_name, window_in
from .stats import StatsHandlers
from .totals import USERS_BYTES_MAX, UserList, check_users

#: Windows of a question about ranks: 500 users in 20 windows are 10,000 ranks.
WINDOWS_MAX = 20
#: Boards of one question: each is a call to Redis or two, and a round takes 256.
BOARDS_MAX = 100
#: Entries of each board: 100 boards of 100 are 10,000 rows in an answer.
LIMIT_MAX = 100
#: Places that may be passed over: more users than any board has.
OFFSET_MAX = 10**9

Ranking = Annotated[str, msgspec.Meta(pattern="^(competition|dense|ordinal)$")]


class RanksRequest(UserList, frozen=True, forbid_unknown_fields=True):
    """Whose ranks are asked for, and on which boards."""

    windows: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=WINDOWS_MAX)] = ("all",)
    category: str | None = None
    ranking: Ranking | None = None


class BoardRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of one board, from its top on."""

    namespace: str
    window: str = "all"
    category: str | None = None
    offset: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 10
    ranking: Ranking | None = None


class BoardsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stretches of many boards."""

    boards: Annotated[tuple[BoardRequest, ...], msgspec.Meta(min_length=1, max_length=BOARDS_MAX)]


class StatsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one board comes to, of the scores within bounds."""

    namespace: str
    window: str = "all"
    category: str | None = None
    min_score: Number | None = None
    max_score: Number | None = None
    exclusive: tuple[Literal["min", "max"], ...] = ()

    def query(self) -> dict[str, str]:
        """As `GET …/stats` takes it."""
        told = {"min_score": self.min_score, "max_score": self.max_score}
        query = {name: repr(score) for name, score in told.items() if score is not None}
        return query | ({"exclusive": ",".join(self.exclusive)} if self.exclusive else {})


class BulkStatsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What many boards come to."""

    boards: Annotated[tuple[StatsRequest, ...], msgspec.Meta(min_length=1, max_length=BOARDS_MAX)]


OneRequest = TypeVar("OneRequest", BoardRequest, StatsRequest)


class BulkHandlers:
    """Each board is of one moment and says by its version of which; several may lie milliseconds apart."""

    def __init__(
        self,
        boards: BoardReader,
        stats: StatsHandlers,
        authorizer: ReadAuthorizer,
        names: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._boards = boards
        self._stats = stats
        self._authorizer = authorizer
        self._names = names
        self._clock = clock

    async def ranks(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/ranks`: `{"users":[…], "windows":[…]}`, at most 500 and 20 →
        `{"namespace", "boards":[…]}`, a board a window in the order asked: as `GET …/boards/{window}?user=…` answers.

        O(windows × users × log n). BoardNotFound, Invalid, StoreUnavailable, Recovering.
        """
        check_query(request)
        await self._authorizer.admit(request.scope, request.path_params["namespace"])
        asked = await decode_body(request, RanksRequest, bytes_max=USERS_BYTES_MAX)
        users = check_users(asked)
        _check_category(asked.category, "$.category")

        async def read(namespace: Namespace) -> dict[str, Any]:
            view, category = ("users", *users), asked.category
            windows = {
                name: self._window(namespace, name, category, f"$.windows[{i}]") for i, name in enumerate(asked.windows)
            }
            reads = (self._board(namespace, window, category, view, asked.ranking) for window in windows.values())
            return {"namespace": namespace.name, "boards": await asyncio.gather(*reads)}

        name = request.path_params["namespace"]
        return answer(request, await self._authorizer.read(request.scope, name, read))

    async def boards(self, request: Request) -> Response:
        """`POST /v1/boards`: `{"boards":[{"namespace", "window", "category", "offset", "limit", "ranking"} …]}`, at
        most 100 → `{"boards":[…]}` in the order asked: each as `GET …/boards/{window}` answers, or what was asked for
        and its `error`. Who may read none of them is answered, too."""
        check_query(request)
        await self._authorizer.check_key(request.scope)
        asked = await decode_body(request, BoardsRequest, bytes_max=USERS_BYTES_MAX)

        async def read(namespace: Namespace, one: BoardRequest) -> dict[str, Any]:
            window, view = self._window(namespace, one.window, one.category), ("page", one.offset, one.limit)
            return await self._board(namespace, window, one.category, view, one.ranking)

        return answer(request, {"boards": await self._each(request, asked.boards, read)})

    async def stats(self, request: Request) -> Response:
        """`POST /v1/stats`: `{"boards":[{"namespace", "window", "category", "min_score", "max_score", "exclusive"}
        …]}`, at most 100 → `{"boards":[…]}` in the order asked: each as `GET …/boards/{window}/stats` answers, or what
        was asked for and its `error`."""
        check_query(request)
        await self._authorizer.check_key(request.scope)
        asked = await decode_body(request, BulkStatsRequest, bytes_max=USERS_BYTES_MAX)

        async def read(namespace: Namespace, one: StatsRequest) -> dict[str, Any]:
            window = self._window(namespace, one.window, one.category)
            return await self._stats.of(namespace, window, one.category, one.query(), 0)

        return answer(request, {"boards": await self._each(request, asked.boards, read)})

    async def _each(
        self,
        request: Request,
        asked: Sequence[OneRequest],
        read: Callable[[Namespace, OneRequest], Awaitable[dict[str, Any]]],
    ) -> list[dict[str, Any]]:
        """Every one by its own rights, and refused on its own."""

        async def told(one: OneRequest) -> dict[str, Any]:
            async def of(namespace: Namespace) -> dict[str, Any]:
                _check_category(one.category, "$.category")
                return await read(namespace, one)

            try:
                return await self._authorizer.read(request.scope, one.namespace, of)
            except Problem as problem:
                error = {**problem.body(), "retryable": problem.retryable}
                if error.get("field", "").startswith("?"):
                    error["field"] = f"$.{error['field'][1:]}"  # what is a query elsewhere stands in the body here
                return {"namespace": one.namespace, "window": one.window, "category": one.category, "error": error}

        return await asyncio.gather(*map(told, asked))

    def _window(self, namespace: Namespace, name: str, category: str | None, field: str = "$.window") -> Window:
        """As the body names it. BoardNotFound, Invalid."""
        return window_in(namespace, name, category, self._clock(), (field, "$.category"))

    async def _board(
        self,
        namespace: Namespace,
        window: Window,
        category: str | None,
        view: tuple[str | int, ...],
        ranking: str | None,
    ) -> dict[str, Any]:
        board = await self._boards.read(namespace, board_name(window, category), view, ranking)
        names = await self._names.shown(namespace, [place.user for place in board.places])
        missing = None
        if view[0] == "users":
            found = {place.user for place in board.places}
            missing = [str(user) for user in view[1:] if user not in found]
        return {**board_body(namespace, window, board, names, missing), "category": category}


def _check_category(category: str | None, field: str) -> None:
    if category is not None:
        check_label(category, field)

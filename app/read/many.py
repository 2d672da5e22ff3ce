"""Many boards, or many users on many boards, in one call: all of it travels in a round or two."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..model.errors import Problem
from ..model.namespace import Namespace
from ..model.text import LABEL_BYTES_MAX, check_text
from ..store.archive import BoardReader
from ..store.names import Names
from ..wire import answer, check_query, decode_body
from .boards import board_body
from .rights import Door
from .routes import board_name, window_in
from .totals import USERS_BYTES_MAX, Users, check_users

WINDOWS_MAX = 20
BOARDS_MAX = 100
LIMIT_MAX = 100

Ranking = Annotated[str, msgspec.Meta(pattern="^(competition|dense|ordinal)$")]


class RanksAsked(Users, frozen=True, forbid_unknown_fields=True):
    """Whose ranks are asked for, and on which boards."""

    windows: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=WINDOWS_MAX)] = ("all",)
    category: str | None = None
    ranking: Ranking | None = None


class BoardAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The top of one board."""

    namespace: str
    window: str = "all"
    category: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 10
    ranking: Ranking | None = None


class BoardsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tops of many boards."""

    boards: Annotated[tuple[BoardAsked, ...], msgspec.Meta(max_length=BOARDS_MAX)]


class Many:
    """Each board is of one moment and says by its version of which; several may lie milliseconds apart."""

    def __init__(self, boards: BoardReader, door: Door, names: Names, clock: Callable[[], int]) -> None:
        self._boards = boards
        self._door = door
        self._names = names
        self._clock = clock

    async def ranks(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/ranks`: `{"users":[…], "windows":[…]}`, at most 500 and 20 →
        `{"namespace", "boards":[…]}`, a board a window in the order asked: as `GET …/boards/{window}?user=…` answers.

        O(windows × users × log n). BoardNotFound, Invalid, StoreUnavailable, Recovering.
        """
        check_query(request)
        asked = await decode_body(request, RanksAsked, bytes_max=USERS_BYTES_MAX)
        users, windows = check_users(asked), dict.fromkeys(asked.windows)
        _check_category(asked.category, "$.category")

        async def read(namespace: Namespace) -> dict[str, Any]:
            view = ("users", *users)
            reads = (self._board(namespace, name, asked.category, view, asked.ranking) for name in windows)
            return {"namespace": namespace.name, "boards": await asyncio.gather(*reads)}

        name = request.path_params["namespace"]
        return answer(request, await self._door.read(request.scope, name, read))

    async def boards(self, request: Request) -> Response:
        """`POST /v1/boards`: `{"boards":[{"namespace", "window", "category", "limit", "ranking"} …]}`, at most 100 →
        `{"boards":[…]}` in the order asked: each as `GET …/boards/{window}` answers, or what was asked for and its
        `error`. Who may read none of them is answered, too."""
        check_query(request)
        asked = await decode_body(request, BoardsAsked, bytes_max=USERS_BYTES_MAX)
        return answer(request, {"boards": await asyncio.gather(*(self._top(request, one) for one in asked.boards))})

    async def _top(self, request: Request, asked: BoardAsked) -> dict[str, Any]:
        async def read(namespace: Namespace) -> dict[str, Any]:
            _check_category(asked.category, "$.category")
            return await self._board(namespace, asked.window, asked.category, ("page", 0, asked.limit), asked.ranking)

        try:
            return await self._door.read(request.scope, asked.namespace, read)
        except Problem as problem:
            error = {**problem.body(), "retryable": problem.retryable}
            return {"namespace": asked.namespace, "window": asked.window, "category": asked.category, "error": error}

    async def _board(
        self,
        namespace: Namespace,
        name: str,
        category: str | None,
        view: tuple[str | int, ...],
        ranking: str | None,
    ) -> dict[str, Any]:
        window = window_in(namespace, name, category, self._clock())
        board = await self._boards.read(namespace, board_name(window, category), view, ranking)
        names = await self._names.of([place.user for place in board.places])
        missing = None
        if view[0] == "users":
            found = {place.user for place in board.places}
            missing = [str(user) for user in view[1:] if user not in found]
        return {**board_body(namespace, window, board, names, missing), "category": category}


def _check_category(category: str | None, field: str) -> None:
    if category is not None:
        check_text(category, field, LABEL_BYTES_MAX)

"""GET a board: as it is now, as it was at a moment, or with the changes of ranks since a moment."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..model.board_ref import BoardRef, find_board
from ..model.errors import Invalid, UserNotFound
from ..model.namespace import Namespace
from ..model.views import Around, BoardView, Page, Users
from ..store.board_reader import BoardReader
from ..store.boards import BoardPage, board_call
from ..store.profile_cache import ProfileCache
from ..store.read_batcher import ReadBatcher
from .authorizer import ReadAuthorizer
from .board_bodies import BoardEntry, board_body
from .board_parameters import BoardParameters, parse_parameters
from .conditional import RenderedResponse
from .csv_answers import board_answer, wants_csv
from .grant_history import moment_of
from .historical_boards import HistoricalBoards, history_cursor
from .includes import with_includes
from .response_cache import CachedQuestion, CacheMiss, ResponseCache


class BoardHandlers:
    """Current boards from Redis or the archive, boards of the past from the ledger."""

    def __init__(
        self,
        *,
        batcher: ReadBatcher,
        boards: BoardReader,
        historical_boards: HistoricalBoards,
        authorizer: ReadAuthorizer,
        cache: ResponseCache,
        profiles: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._batcher = batcher
        self._boards = boards
        self._historical_boards = historical_boards
        self._authorizer = authorizer
        self._cache = cache
        self._profiles = profiles
        self._clock = clock

    async def get(self, scope: Scope) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}`, for a request's scope with its `path_params`."""
        parameters = parse_parameters(scope["query_string"])
        if parameters.is_historical:
            return await self._get_historical(scope, parameters)
        params = scope["path_params"]
        async for admission in self._authorizer.admissions(scope, params["namespace"]):
            namespace = admission.namespace
            board = find_board(namespace, params["window"], parameters.category, self._clock())
            name, view = board.name, parameters.view_in(namespace)
            call = board_call(namespace, name, view, parameters.ranking)
            if parameters.include or wants_csv(scope):
                # Includes change with grants on other boards and with the day, so the board's version does not cover
                # them. Tables are not cached: they are fetched once.
                body = await self._body(board, view, parameters, await self._batcher.call(call))
                response: Response = board_answer(Request(scope), namespace, body)
                continue
            answer = await self._cache.look(scope, namespace, CachedQuestion(name, (view, parameters.ranking), call))
            if isinstance(answer, CacheMiss):
                body = await self._body(board, view, parameters, answer.reply)
                answer = self._cache.keep(scope, answer, body)
            response = RenderedResponse(answer)
        return response

    async def _get_historical(self, scope: Scope, parameters: BoardParameters) -> Response:
        """A board `as_of` a moment, or the current board with the change of each rank since the moment `compare_to`."""
        as_of, compare_to = (moment_of(parameters.params, name) for name in ("as_of", "compare_to"))
        if as_of is not None and not isinstance(parameters.view, Page | Users):
            raise Invalid("cannot be combined with around; it takes a page or a list of users", field="?as_of")
        if parameters.include and as_of is not None:
            raise Invalid("cannot be combined with as_of", field="?include")
        params = scope["path_params"]
        async for admission in self._authorizer.admissions(scope, params["namespace"]):
            namespace = admission.namespace
            board = find_board(namespace, params["window"], parameters.category, self._clock())
            if as_of is None:
                call = board_call(namespace, board.name, parameters.view, parameters.ranking)
                body = await self._body(board, parameters.view, parameters, await self._batcher.call(call))
            else:
                body = await self._body_as_of(board, parameters, as_of)
            if compare_to is not None:
                body |= await self._rank_changes(board, parameters, body["entries"], compare_to)
            response = board_answer(Request(scope), namespace, body, is_heavy=not body["lag_seq"])
        return response

    async def _body(self, board: BoardRef, view: BoardView, parameters: BoardParameters, reply: Any) -> dict[str, Any]:
        """The current board, from the reply of its call. UserNotFound for the neighbours of a user who is not on it."""
        page = await self._boards.resolve(board.namespace, board.name, view, parameters.ranking, reply)
        if isinstance(view, Around) and not page.rows:
            raise UserNotFound(f"{view.user!r} is not on this board", field="?around")
        names = await self._profiles.display_profiles(board.namespace, [row.user for row in page.rows])
        body = board_body(board, view, page, names)
        if parameters.include:
            body["entries"] = await with_includes(
                self._batcher, self._profiles, board.namespace, body["entries"], parameters.include, self._clock()
            )
        return body

    async def _body_as_of(self, board: BoardRef, parameters: BoardParameters, as_of: datetime) -> dict[str, Any]:
        """The board as it was. It has no version: the past does not change, but the ledger may lack its end."""
        view = parameters.view
        assert isinstance(view, Page | Users)
        past = await self._historical_boards.read(board, view, as_of, _ranking(board.namespace, parameters))
        names = await self._profiles.display_profiles(board.namespace, [row.user for row in past.rows])
        body = board_body(board, view, BoardPage(0, 0, 0, past.board_size, past.rows), names)
        body |= {"as_of": as_of, "lag_seq": past.lag_seq, "epoch": None, "version": None}
        if isinstance(view, Page) and view.offset + view.limit < past.board_size:
            body["next_cursor"] = history_cursor(view.offset + view.limit)
        return body

    async def _rank_changes(
        self, board: BoardRef, parameters: BoardParameters, entries: Sequence[BoardEntry], compare_to: datetime
    ) -> dict[str, Any]:
        """What a comparison replaces in a board's body: each entry with its `rank_change`, None for a user who was not
        on the board at that moment."""
        users = Users(tuple(entry.user_id for entry in entries))
        past = await self._historical_boards.read(board, users, compare_to, _ranking(board.namespace, parameters))
        ranks = {row.user: row.rank0 + 1 for row in past.rows}
        compared = [
            msgspec.to_builtins(entry)
            | {"rank_change": ranks[entry.user_id] - entry.rank if entry.user_id in ranks else None}
            for entry in entries
        ]
        return {"entries": compared, "compare_to": compare_to, "lag_seq": past.lag_seq}


def _ranking(namespace: Namespace, parameters: BoardParameters) -> str:
    return parameters.ranking or namespace.rules.ranking

"""GET boards, standings and history."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..access.keys import Principal
from ..http.bodies import answer, check_query, decode_body, query_int
from ..model.errors import BoardNotFound, Invalid, UserNotFound
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..model.windows import Window
from ..store.board_reader import BoardReader
from ..store.boards import BoardPage, board_call
from ..store.profile_cache import ProfileCache
from ..store.read_batcher import ReadBatcher
from .authorizer import READS_MAX, ReadAuthorizer
from .board_bodies import board_body
from .board_query import LIMIT_MAX, BoardQuery, ReadArguments, board_query, category_of
from .conditional import RenderedResponse, answer_with_etag
from .grant_history import GrantHistory, moment_of
from .historical_boards import HistoricalBoards, history_cursor
from .includes import with_includes
from .response_cache import CachedQuery, CacheMiss, ResponseCache
from .score_bounds import BOUNDS, key_bounds
from .stats import BINS_MAX, StatsHandlers
from .totals import USERS_BYTES_MAX, UserList, check_users, totals_of
from .user_ranks import UserRankHandlers

T = TypeVar("T")


class BoardHandlers:
    """Boards and standings out of Redis, history out of Postgres."""

    def __init__(
        self,
        batcher: ReadBatcher,
        boards: BoardReader,
        authorizer: ReadAuthorizer,
        answers: ResponseCache,
        history: GrantHistory,
        standings: UserRankHandlers,
        names: ProfileCache,
        past: HistoricalBoards,
        stats: StatsHandlers,
        clock: Callable[[], int],
    ) -> None:
        self._batcher = batcher
        self._boards = boards
        self._authorizer = authorizer
        self._cache = answers
        self._history = history
        self._standings = standings
        self._names = names
        self._past = past
        self._stats = stats
        self._clock = clock

    async def board_of(self, scope: Scope) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}`, of a request's scope with its `path_params`."""
        asked = board_query(scope["query_string"])
        if asked.is_past:
            return await self._past_board(Request(scope), asked)
        name = scope["path_params"]["namespace"]
        for _ in range(READS_MAX):
            visit = await self._authorizer.enter(scope, name)
            response = await self._current_board(scope, visit.namespace, asked)
            if self._authorizer.holds(visit):
                break
        return response

    async def _current_board(self, scope: Scope, namespace: Namespace, asked: BoardQuery) -> Response:
        window = window_in(namespace, scope["path_params"]["window"], asked.category, self._clock())
        view = (*asked.view, *key_bounds(asked.params, namespace)) if asked.has_bounds else asked.view
        name = board_name(window, asked.category)
        call = board_call(namespace, name, view, asked.ranking)
        if asked.include:
            # What is included changes with grants to other boards and with the day: no version tells.
            reply = await self._batcher.call(call)
            return answer_with_etag(Request(scope), namespace, await self._board(namespace, window, view, asked, reply))
        found = await self._cache.look(scope, namespace, CachedQuery(name, (*view, asked.ranking), call))
        if isinstance(found, CacheMiss):
            body = await self._board(namespace, window, view, asked, found.reply)
            found = self._cache.keep(scope, found, body)
        return RenderedResponse(found)

    async def _past_board(self, request: Request, asked: BoardQuery) -> Response:
        """A board `as_of` a moment, or one of now with the change of each rank since the moment to `compare_to`."""
        view, category = asked.view, asked.category
        as_of, since = (moment_of(asked.params, name) for name in ("as_of", "compare_to"))
        if as_of is not None and view[0] not in ("page", "users"):
            raise Invalid("is taken with pages and with users", field="?as_of")
        if asked.include and as_of is not None:
            raise Invalid("cannot be combined with as_of", field="?include")
        names = [str(name) for name in view[1:]] if view[0] == "users" else None
        offset, limit = (int(view[1]), int(view[2])) if view[0] == "page" else (0, 0)

        async def read(namespace: Namespace) -> Response:
            window = window_in(namespace, request.path_params["window"], category, self._clock())
            at = (namespace, window, category)
            rank_by = asked.ranking or namespace.rules.ranking
            if as_of is None:
                call = board_call(namespace, board_name(window, category), view, asked.ranking)
                body = await self._board(namespace, window, view, asked, await self._batcher.call(call))
            else:
                past = await self._past.board(*at, as_of, rank_by, offset=offset, limit=limit, users=names)
                board = BoardPage(0, 0, 0, past.total, past.places)
                found = {place.user for place in past.places}
                missing = None if names is None else [user for user in names if user not in found]
                known = await self._names.shown(namespace, [place.user for place in past.places])
                body = {**board_body(namespace, window, board, known, missing), "category": category}
                body |= {"as_of": as_of, "lag_seq": past.lag_seq, "epoch": None, "version": None}
                if limit and offset + limit < past.total:
                    body["next_cursor"] = history_cursor(offset + limit)
            if since is not None:
                users = [entry.user_id for entry in body["entries"]]
                then = await self._past.board(*at, since, rank_by, users=users)
                ranks = {place.user: place.rank0 + 1 for place in then.places}
                body["entries"] = [
                    msgspec.to_builtins(entry)
                    | {"rank_change": ranks[entry.user_id] - entry.rank if entry.user_id in ranks else None}
                    for entry in body["entries"]
                ]
                body |= {"compare_to": since, "lag_seq": then.lag_seq}
            return answer_with_etag(request, namespace, body, is_heavy=not body["lag_seq"])

        return await self._read(request, read)

    async def _board(
        self, namespace: Namespace, window: Window, view: ReadArguments, asked: BoardQuery, reply: Any
    ) -> dict[str, Any]:
        name = board_name(window, asked.category)
        board = await self._boards.resolve(namespace, name, view, asked.ranking, reply)
        missing = None
        if view[0] == "users":
            found = {place.user for place in board.places}
            missing = [str(user) for user in view[1:] if user not in found]
        elif view[0] == "around" and not board.places:
            raise UserNotFound(f"{view[1]!r} is not on this board", field="?around")
        names = await self._names.shown(namespace, [place.user for place in board.places])
        body = {**board_body(namespace, window, board, names, missing), "category": asked.category}
        if len(view) == _BOUNDED.get(str(view[0])):
            body["count"] = board.within
        if asked.include:
            now, entries = self._clock(), body["entries"]
            body["entries"] = await with_includes(self._batcher, self._names, namespace, entries, asked.include, now)
        return body

    async def stats(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}/stats`."""
        check_query(request, "category", *BOUNDS, "histogram", "percentiles", "interpolate")
        category, bins = category_of(request.query_params), query_int(request, "histogram", 0, 1, BINS_MAX)

        async def read(namespace: Namespace) -> Response:
            window = window_in(namespace, request.path_params["window"], category, self._clock())
            told = await self._stats.of(namespace, window, category, request.query_params, bins)
            return answer_with_etag(request, namespace, told)

        return await self._read(request, read)

    async def standing(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}`."""
        check_query(request)
        user = _path_id(request, "user")

        async def read(namespace: Namespace, principal: Principal) -> Response:
            standing = await self._standings.told_to(principal, namespace, user)
            if standing is None:
                raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
            # What a key was answered may be of a hidden user: no cache keeps it for others.
            is_stranger = not (principal.may("read", namespace.name) or principal.may("write", namespace.name))
            return answer_with_etag(request, namespace if is_stranger else None, standing)

        return await self._authorizer.read_as(request.scope, request.path_params["namespace"], read)

    async def totals(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/totals`: `{"users":[…]}`, at most 500."""
        check_query(request)
        await self._authorizer.admit(request.scope, request.path_params["namespace"])
        users = check_users(await decode_body(request, UserList, bytes_max=USERS_BYTES_MAX))

        async def read(namespace: Namespace, principal: Principal) -> dict[str, Any]:
            shown_alone = not principal.may("read", namespace.name)
            return await totals_of(self._batcher, namespace, users, shown_alone=shown_alone)

        return answer(request, await self._authorizer.read_as(request.scope, request.path_params["namespace"], read))

    async def grants(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/grants`."""
        check_query(request, "since", "until", "cursor", "limit")
        limit = query_int(request, "limit", 100, 1, LIMIT_MAX)
        user = _path_id(request, "user")

        async def read(namespace: Namespace) -> dict[str, Any]:
            return await self._history.of_user(namespace, user, request.query_params, limit)

        return answer(request, await self._read_by_key(request, read))

    async def explain(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/explain`: why a score is what it is."""
        check_query(request, "window", "cursor", "limit")
        limit = query_int(request, "limit", LIMIT_MAX, 1, LIMIT_MAX)
        user, query = _path_id(request, "user"), request.query_params

        async def read(namespace: Namespace) -> dict[str, Any]:
            window = find_window(namespace, query.get("window", "all"), self._clock(), "?window")
            return await self._history.explain(namespace, user, window, query, limit)

        return answer(request, await self._read_by_key(request, read))

    async def grant(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/grants/{grant_id}`."""
        check_query(request)
        grant_id = _path_id(request, "grant_id")

        async def read(namespace: Namespace) -> dict[str, Any]:
            return await self._history.grant(namespace, grant_id)

        return answer(request, await self._read_by_key(request, read))

    async def _read(self, request: Request, read: Callable[[Namespace], Awaitable[T]]) -> T:
        return await self._authorizer.read(request.scope, request.path_params["namespace"], read)

    async def _read_by_key(self, request: Request, read: Callable[[Namespace], Awaitable[T]]) -> T:
        """Grants tell more than a board does: their `meta`, who acted and why, those in quarantine, hidden users'."""

        async def by_key(namespace: Namespace, _: Principal) -> T:
            return await read(namespace)

        return await self._authorizer.read_as(request.scope, request.path_params["namespace"], by_key, by_key=True)


def board_name(window: Window, category: str | None) -> str:
    """A board's name."""
    return window.name if category is None else f"{window.name}:{category}"


def window_in(
    namespace: Namespace,
    name: str,
    category: str | None,
    now: int,
    fields: tuple[str, str] = ("{window}", "?category"),
) -> Window:
    """A board's window; fields: where it and the category were asked for. BoardNotFound; Invalid for a category where
    the namespace keeps no boards of them."""
    if category is not None and not namespace.rules.category_boards:
        raise Invalid("the namespace keeps no boards of categories", field=fields[1])
    return find_window(namespace, name, now, fields[0])


def find_window(namespace: Namespace, name: str, now: int, field: str) -> Window:
    """A board's window by name or period. BoardNotFound."""
    window = namespace.calendar.find(name, now)
    if window is None:
        raise BoardNotFound(f"{namespace.name!r} keeps no board {name!r}", field=field)
    return window


def _path_id(request: Request, name: str) -> str:
    """An id in the path. Invalid for one that no client could have written."""
    value: str = request.path_params[name]
    check_text(value, f"{{{name}}}", ID_BYTES_MAX)
    return value


_BOUNDED = {"page": 5, "after": 6}  # how long a view is with bounds

"""GET boards, standings and history."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..access.keys import Principal
from ..model.errors import BoardNotFound, Invalid, UserNotFound
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..model.windows import Window
from ..store.archive import BoardReader
from ..store.boards import Board, board_call
from ..store.gather import Gatherer
from ..store.names import Names
from ..wire import answer, check_query, decode_body, query_int
from .answers import Answers, Lacking, Question
from .board_query import LIMIT_MAX, BoardQuery, View, board_query, category_of
from .boards import board_body
from .bounds import BOUNDS, bounds_of
from .fresh import Ready, answer_fresh
from .history import History, moment_of
from .includes import included
from .past import Past, past_cursor
from .rights import READS_MAX, Door
from .standings import Standings
from .stats import BINS_MAX, Stats
from .totals import USERS_BYTES_MAX, Users, check_users, totals_of

T = TypeVar("T")


class Reader:
    """Boards and standings out of Redis, history out of Postgres."""

    def __init__(
        self,
        gatherer: Gatherer,
        boards: BoardReader,
        door: Door,
        answers: Answers,
        history: History,
        standings: Standings,
        names: Names,
        past: Past,
        stats: Stats,
        clock: Callable[[], int],
    ) -> None:
        self._gatherer = gatherer
        self._boards = boards
        self._door = door
        self._answers = answers
        self._history = history
        self._standings = standings
        self._names = names
        self._past = past
        self._stats = stats
        self._clock = clock

    async def board(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}`."""
        return await self.board_of(request.scope)

    async def board_of(self, scope: Scope) -> Response:
        """The same, of a request's scope with its `path_params`."""
        asked = board_query(scope["query_string"])
        if asked.is_past:
            return await self._past_board(Request(scope), asked)
        name = scope["path_params"]["namespace"]
        for _ in range(READS_MAX):
            visit = await self._door.enter(scope, name)
            response = await self._current_board(scope, visit.namespace, asked)
            if self._door.holds(visit):
                break
        return response

    async def _current_board(self, scope: Scope, namespace: Namespace, asked: BoardQuery) -> Response:
        window = window_in(namespace, scope["path_params"]["window"], asked.category, self._clock())
        view = (*asked.view, *bounds_of(asked.params, namespace)) if asked.has_bounds else asked.view
        name = board_name(window, asked.category)
        call = board_call(namespace, name, view, asked.ranking)
        if asked.include:
            # What is included changes with grants to other boards and with the day: no version tells.
            reply = await self._gatherer.call(call)
            return answer_fresh(Request(scope), namespace, await self._board(namespace, window, view, asked, reply))
        found = await self._answers.look(scope, namespace, Question(name, (*view, asked.ranking), call))
        if isinstance(found, Lacking):
            body = await self._board(namespace, window, view, asked, found.reply)
            found = self._answers.keep(scope, found, body)
        return Ready(found)

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
                body = await self._board(namespace, window, view, asked, await self._gatherer.call(call))
            else:
                past = await self._past.board(*at, as_of, rank_by, offset=offset, limit=limit, users=names)
                board = Board(0, 0, 0, past.total, past.places)
                found = {place.user for place in past.places}
                missing = None if names is None else [user for user in names if user not in found]
                known = await self._names.shown(namespace, [place.user for place in past.places])
                body = {**board_body(namespace, window, board, known, missing), "category": category}
                body |= {"as_of": as_of, "lag_seq": past.lag_seq, "epoch": None, "version": None}
                if limit and offset + limit < past.total:
                    body["next_cursor"] = past_cursor(offset + limit)
            if since is not None:
                users = [entry.user_id for entry in body["entries"]]
                then = await self._past.board(*at, since, rank_by, users=users)
                ranks = {place.user: place.before + 1 for place in then.places}
                body["entries"] = [
                    msgspec.to_builtins(entry)
                    | {"rank_change": ranks[entry.user_id] - entry.rank if entry.user_id in ranks else None}
                    for entry in body["entries"]
                ]
                body |= {"compare_to": since, "lag_seq": then.lag_seq}
            return answer_fresh(request, namespace, body, is_heavy=not body["lag_seq"])

        return await self._read(request, read)

    async def _board(
        self, namespace: Namespace, window: Window, view: View, asked: BoardQuery, reply: Any
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
            body["entries"] = await included(self._gatherer, self._names, namespace, entries, asked.include, now)
        return body

    async def stats(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}/stats`."""
        check_query(request, "category", *BOUNDS, "histogram", "percentiles", "interpolate")
        category, bins = category_of(request.query_params), query_int(request, "histogram", 0, 1, BINS_MAX)

        async def read(namespace: Namespace) -> Response:
            window = window_in(namespace, request.path_params["window"], category, self._clock())
            told = await self._stats.of(namespace, window, category, request.query_params, bins)
            return answer_fresh(request, namespace, told)

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
            return answer_fresh(request, namespace if is_stranger else None, standing)

        return await self._door.read_as(request.scope, request.path_params["namespace"], read)

    async def totals(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/totals`: `{"users":[…]}`, at most 500."""
        check_query(request)
        await self._door.admit(request.scope, request.path_params["namespace"])
        users = check_users(await decode_body(request, Users, bytes_max=USERS_BYTES_MAX))

        async def read(namespace: Namespace, principal: Principal) -> dict[str, Any]:
            shown_alone = not principal.may("read", namespace.name)
            return await totals_of(self._gatherer, namespace, users, shown_alone=shown_alone)

        return answer(request, await self._door.read_as(request.scope, request.path_params["namespace"], read))

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
        return await self._door.read(request.scope, request.path_params["namespace"], read)

    async def _read_by_key(self, request: Request, read: Callable[[Namespace], Awaitable[T]]) -> T:
        """Grants tell more than a board does: their `meta`, who acted and why, those in quarantine, hidden users'."""

        async def by_key(namespace: Namespace, _: Principal) -> T:
            return await read(namespace)

        return await self._door.read_as(request.scope, request.path_params["namespace"], by_key, by_key=True)


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

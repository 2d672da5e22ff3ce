"""GET boards, standings and history."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import check_reader, principal_of
from ..access.keys import Keyring
from ..model.errors import BoardNotFound, Invalid, UserNotFound
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, LABEL_BYTES_MAX, check_text
from ..model.windows import Window
from ..store.archive import BoardReader
from ..store.boards import Board, board_call
from ..store.directory import Directory
from ..store.gather import Gatherer
from ..store.names import Names
from ..wire import JSON, MSGPACK, answer, check_query, decode_body, encode, query_int, wants_msgpack
from .boards import board_body, parse_cursor
from .history import History, moment_of
from .includes import included, parse_include
from .past import Past
from .standings import Standings
from .stats import Stats, parse_ask
from .totals import USERS_BYTES_MAX, Users, check_users, read_totals

LIMIT_MAX = 1_000
USERS_MAX = 500
_PAST = ("as_of", "compare_to")
_EVERYWHERE = ("ranking", "category", "include", *_PAST)
_ANSWERS_BYTES_MAX = 32 * 1024 * 1024
_READS_MAX = 4

T = TypeVar("T")


class Reader:
    """Boards and standings out of Redis, history out of Postgres."""

    def __init__(
        self,
        gatherer: Gatherer,
        boards: BoardReader,
        directory: Directory,
        keyring: Keyring,
        history: History,
        standings: Standings,
        names: Names,
        past: Past,
        stats: Stats,
        clock: Callable[[], int],
    ) -> None:
        self._gatherer = gatherer
        self._boards = boards
        self._directory = directory
        self._keyring = keyring
        self._history = history
        self._standings = standings
        self._names = names
        self._past = past
        self._stats = stats
        self._clock = clock
        self._answers: dict[tuple[Any, ...], bytes] = {}
        self._answers_bytes = 0

    async def board(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}`."""
        check_query(request, "limit", "offset", "cursor", "around", "radius", "user", *_EVERYWHERE)
        view, ranking, include = _view(request), _ranking(request), parse_include(request)
        category = request.query_params.get("category")
        if category is not None:
            check_text(category, "?category", LABEL_BYTES_MAX)
        packed = wants_msgpack(request.scope)
        if any(name in request.query_params for name in _PAST):
            return await self._past_board(request, view, ranking, category, include)

        async def read(namespace: Namespace) -> bytes:
            window = self._window_of(request, namespace, category)
            call = board_call(namespace, _name(window, category), view, ranking)
            reply = await self._gatherer.call(call)
            if include:
                # What is included changes with grants to other boards and with the day: no version tells.
                full = await self._board(namespace, window, category, view, ranking, reply, include)
                return encode(request.scope, full)[0]
            # The reply names its version, so an equal reply at an equal version is an equal answer; names read now are
            # those of so many changes at least.
            read_at = (self._names.changes, *reply[:3])
            key = (namespace.id, namespace.version, window, category, *view, ranking, packed, *read_at)
            held = self._answers.get(key)
            if held is None:
                body = await self._board(namespace, window, category, view, ranking, reply)
                held, _ = encode(request.scope, body)
                self._answers_bytes += len(held)
                if self._answers_bytes > _ANSWERS_BYTES_MAX:
                    self._answers.clear()
                    self._answers_bytes = len(held)
                self._answers[key] = held
            return held

        return Response(await self._read(request, read), media_type=MSGPACK if packed else JSON)

    def _window_of(self, request: Request, namespace: Namespace, category: str | None) -> Window:
        if category is not None and not namespace.rules.category_boards:
            raise Invalid("the namespace keeps no boards of categories", field="?category")
        return find_window(namespace, request.path_params["window"], self._clock())

    async def _past_board(
        self,
        request: Request,
        view: list[str | int | bytes],
        ranking: str | None,
        category: str | None,
        include: frozenset[str],
    ) -> Response:
        """A board `as_of` a moment, or one of now with the change of each rank since the moment to `compare_to`."""
        if view[0] not in ("page", "users"):
            raise Invalid("is taken with pages by offset and with users", field=f"?{_PAST[0]}")
        as_of, since = (moment_of(request.query_params, name) for name in _PAST)
        if include and as_of is not None:
            raise Invalid("cannot be combined with as_of", field="?include")
        names = [str(name) for name in view[1:]] if view[0] == "users" else None
        offset, limit = (0, 0) if names else (int(view[1]), int(view[2]))

        async def read(namespace: Namespace) -> dict[str, Any]:
            window = self._window_of(request, namespace, category)
            at = (namespace, window.name, category)
            rank_by = ranking or namespace.rules.ranking
            if as_of is None:
                reply = await self._gatherer.call(board_call(namespace, _name(window, category), view, ranking))
                body = await self._board(namespace, window, category, view, ranking, reply, include)
            else:
                past = await self._past.board(*at, as_of, rank_by, offset=offset, limit=limit, users=names)
                board = Board(0, 0, 0, past.total, past.places)
                found = {place.user for place in past.places}
                missing = None if names is None else [user for user in names if user not in found]
                known = await self._names.of([place.user for place in past.places])
                body = {**board_body(namespace, window, board, known, missing), "category": category}
                body |= {"as_of": as_of, "lag_seq": past.lag_seq, "epoch": None, "version": None}
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
            return body

        return answer(request, await self._read(request, read))

    async def _board(
        self,
        namespace: Namespace,
        window: Window,
        category: str | None,
        view: list[str | int | bytes],
        ranking: str | None,
        reply: Any,
        include: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        board = await self._boards.resolve(namespace, _name(window, category), view, ranking, reply)
        missing = None
        if view[0] == "users":
            found = {place.user for place in board.places}
            missing = [str(user) for user in view[1:] if user not in found]
        elif view[0] == "around" and not board.places:
            raise UserNotFound(f"{view[1]!r} is not on this board", field="?around")
        names = await self._names.of([place.user for place in board.places])
        body = {**board_body(namespace, window, board, names, missing), "category": category}
        if include:
            now, entries = self._clock(), body["entries"]
            body["entries"] = await included(self._gatherer, self._names, namespace, entries, include, now)
        return body

    async def stats(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/boards/{window}/stats`."""
        check_query(request, "category", "min_score", "max_score", "exclusive", "histogram")
        ask = parse_ask(request)

        async def read(namespace: Namespace) -> dict[str, Any]:
            window = self._window_of(request, namespace, ask.category)
            return await self._stats.of(namespace, window, ask)

        return answer(request, await self._read(request, read))

    async def standing(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}`."""
        check_query(request)
        user = _path_id(request, "user")

        async def read(namespace: Namespace) -> dict[str, Any]:
            standing = await self._standings.within(namespace, user)
            if standing is None:
                raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
            return standing

        return answer(request, await self._read(request, read))

    async def totals(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/totals`: `{"users":[…]}`, at most 500."""
        check_query(request)
        users = check_users(await decode_body(request, Users, bytes_max=USERS_BYTES_MAX))

        async def read(namespace: Namespace) -> dict[str, Any]:
            return await read_totals(self._gatherer, namespace, users)

        return answer(request, await self._read(request, read))

    async def grants(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/grants`."""
        check_query(request, "since", "until", "cursor", "limit")
        limit = query_int(request, "limit", 100, 1, LIMIT_MAX)
        user = _path_id(request, "user")

        async def read(namespace: Namespace) -> dict[str, Any]:
            return await self._history.of_user(namespace, user, request.query_params, limit)

        return answer(request, await self._read(request, read))

    async def explain(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/explain`: why a score is what it is."""
        check_query(request, "window", "cursor", "limit")
        limit = query_int(request, "limit", LIMIT_MAX, 1, LIMIT_MAX)
        user, query = _path_id(request, "user"), request.query_params

        async def read(namespace: Namespace) -> dict[str, Any]:
            window = find_window(namespace, query.get("window", "all"), self._clock())
            return await self._history.explain(namespace, user, window, query, limit)

        return answer(request, await self._read(request, read))

    async def grant(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/grants/{grant_id}`."""
        check_query(request)
        grant_id = _path_id(request, "grant_id")

        async def read(namespace: Namespace) -> dict[str, Any]:
            return await self._history.grant(namespace, grant_id)

        return answer(request, await self._read(request, read))

    async def _read(self, request: Request, read: Callable[[Namespace], Awaitable[T]]) -> T:
        """Reads by the rules in force: where they changed meanwhile, once more by the new ones."""
        for _ in range(_READS_MAX):
            principal = await principal_of(request.scope, self._keyring)
            namespace = await self._directory.namespace(request.path_params["namespace"])
            check_reader(principal, namespace)
            result = await read(namespace)
            if self._directory.cached(namespace.name) is namespace:
                break
        return result


def _name(window: Window, category: str | None) -> str:
    """A board's name."""
    return window.name if category is None else f"{window.name}:{category}"


def find_window(namespace: Namespace, name: str, now: int) -> Window:
    """A board's window by name or period. BoardNotFound."""
    window = namespace.calendar.find(name, now)
    if window is None:
        raise BoardNotFound(f"{namespace.name!r} keeps no board {name!r}")
    return window


def _path_id(request: Request, name: str) -> str:
    """An id in the path. Invalid for one that no client could have written."""
    value: str = request.path_params[name]
    check_text(value, f"{{{name}}}", ID_BYTES_MAX)
    return value


_VIEWS = {
    "user": {"user"},
    "around": {"around", "radius"},
    "cursor": {"cursor", "limit"},
    "offset": {"offset", "limit"},
}


def _ranking(request: Request) -> str | None:
    asked = request.query_params.get("ranking")
    if asked not in (None, "competition", "dense", "ordinal"):
        raise Invalid("must be competition, dense or ordinal", field="?ranking")
    return asked


def _view(request: Request) -> list[str | int | bytes]:
    query = request.query_params
    kind = next((name for name in ("user", "around", "cursor") if name in query), "offset")
    for name in query:
        if name not in _VIEWS[kind] and name not in _EVERYWHERE:
            raise Invalid(f"cannot be combined with {kind}" if kind in query else "needs around", field=f"?{name}")
    users = query.getlist("user")
    if users:
        if len(users) > USERS_MAX:
            raise Invalid(f"at most {USERS_MAX} users", field="?user")
        for user in users:
            check_text(user, "?user", ID_BYTES_MAX)
        return ["users", *dict.fromkeys(users)]
    if "around" in query:
        check_text(query["around"], "?around", ID_BYTES_MAX)
        return ["around", query["around"], query_int(request, "radius", 5, 0, 500)]
    limit = query_int(request, "limit", 10, 1, LIMIT_MAX)
    if "cursor" in query:
        return ["after", *parse_cursor(query["cursor"]), limit]
    return ["page", query_int(request, "offset", 0, 0, 999_999_999), limit]

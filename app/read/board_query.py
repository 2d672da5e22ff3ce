"""What a request asks of a board, read from its query alone."""

from functools import lru_cache
from typing import NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request

from ..model.errors import Invalid
from ..model.text import ID_BYTES_MAX, check_label, check_text
from ..wire import check_query, query_int
from .boards import parse_cursor
from .bounds import BOUNDS
from .includes import parse_include
from .past import parse_past_cursor

#: Entries of a page; a client turns the page for more.
LIMIT_MAX = 1_000
#: Users whom one question may name in its address: with ids of 128 bytes that is as long as an address may be.
USERS_MAX = 500
#: Places on each side of a user: a page of them in all.
RADIUS_MAX = 500
#: Queries that a process keeps as it read them: a board is asked for in the same few ways, and its pages in some more.
_QUERIES_MAX = 1_024
#: Bytes of a query that is kept; longer ones name many users, and hardly twice the same.
_QUERY_BYTES_MAX = 200
_PAST = ("as_of", "compare_to")
_EVERYWHERE = ("ranking", "category", "include", *_PAST)
_KNOWN = ("limit", "offset", "cursor", "around", "radius", "user", *_EVERYWHERE, *BOUNDS)
_VIEWS = {
    "user": {"user"},
    "around": {"around", "radius"},
    "cursor": {"cursor", "limit", *BOUNDS},
    "offset": {"offset", "limit", *BOUNDS},
}

View = tuple[str | int | bytes, ...]


class BoardQuery(NamedTuple):
    """The question. bounds: where scores bound a page; is_past: a moment of before is named. Their values hang on the
    namespace, and stand in `params`."""

    view: View
    ranking: str | None
    category: str | None
    include: frozenset[str]
    has_bounds: bool
    is_past: bool
    params: QueryParams


def board_query(query_string: bytes) -> BoardQuery:
    """The question that a query asks. Invalid."""
    return _read(query_string) if len(query_string) > _QUERY_BYTES_MAX else _kept(query_string)


def category_of(request: Request) -> str | None:
    """The category asked for. Invalid."""
    category = request.query_params.get("category")
    if category is not None:
        check_label(category, "?category")
    return category


def ranking_of(request: Request) -> str | None:
    """The ranking asked for. Invalid."""
    asked = request.query_params.get("ranking")
    if asked not in (None, "competition", "dense", "ordinal"):
        raise Invalid("must be competition, dense or ordinal", field="?ranking")
    return asked


def _read(query_string: bytes) -> BoardQuery:
    request = Request({"type": "http", "query_string": query_string, "headers": []})
    check_query(request, *_KNOWN)
    view, ranking, include = _view(request), ranking_of(request), parse_include(request)
    category, params = category_of(request), request.query_params
    bounds = [name for name in BOUNDS if name in params]
    is_past = any(name in params for name in _PAST)
    if bounds and is_past:
        raise Invalid("cannot be combined with as_of and compare_to", field=f"?{min(bounds)}")
    return BoardQuery(view, ranking, category, include, bool(bounds), is_past, params)


_kept = lru_cache(maxsize=_QUERIES_MAX)(_read)


def _view(request: Request) -> View:
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
        return "users", *dict.fromkeys(users)
    if "around" in query:
        check_text(query["around"], "?around", ID_BYTES_MAX)
        return "around", query["around"], query_int(request, "radius", 5, 0, RADIUS_MAX)
    limit = query_int(request, "limit", 10, 1, LIMIT_MAX)
    if "cursor" in query and "as_of" in query:
        return "page", parse_past_cursor(query["cursor"]), limit
    if "cursor" in query:
        return "after", *parse_cursor(query["cursor"]), limit
    return "page", query_int(request, "offset", 0, 0, 999_999_999), limit

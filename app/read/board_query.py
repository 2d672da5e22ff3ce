"""What a request asks of a board, read from its query alone."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from ..http.bodies import check_names, int_of
from ..model.errors import Invalid
from ..model.text import ID_BYTES_MAX, check_label, check_text
from .board_bodies import parse_cursor
from .historical_boards import parse_history_cursor
from .includes import parse_include
from .score_bounds import BOUNDS

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

ReadArguments = tuple[str | int | bytes, ...]
Params = Mapping[str, str]


class BoardQuery(NamedTuple):
    """The question. bounds: where scores bound a page; is_past: a moment of before is named. Their values hang on the
    namespace, and stand in `params`."""

    view: ReadArguments
    ranking: str | None
    category: str | None
    include: frozenset[str]
    has_bounds: bool
    is_past: bool
    params: Params


def board_query(query_string: bytes) -> BoardQuery:
    """The question that a query asks. Invalid."""
    return _read(query_string) if len(query_string) > _QUERY_BYTES_MAX else _parsed(query_string)


def category_of(params: Params) -> str | None:
    """The category asked for. Invalid."""
    category = params.get("category")
    if category is not None:
        check_label(category, "?category")
    return category


def ranking_of(params: Params) -> str | None:
    """The ranking asked for. Invalid."""
    asked = params.get("ranking")
    if asked not in (None, "competition", "dense", "ordinal"):
        raise Invalid("must be competition, dense or ordinal", field="?ranking")
    return asked


def _read(query_string: bytes) -> BoardQuery:
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True) if query_string else []
    params = dict(pairs)
    check_names(params, *_KNOWN)
    view, ranking = _view(params, [value for name, value in pairs if name == "user"]), ranking_of(params)
    include = parse_include([value for name, value in pairs if name == "include"])
    category = category_of(params)
    bounds = [name for name in BOUNDS if name in params]
    is_past = any(name in params for name in _PAST)
    if bounds and is_past:
        raise Invalid("cannot be combined with as_of and compare_to", field=f"?{min(bounds)}")
    return BoardQuery(view, ranking, category, include, bool(bounds), is_past, params)


_parsed = lru_cache(maxsize=_QUERIES_MAX)(_read)


def _view(params: Params, users: list[str]) -> ReadArguments:
    kind = next((name for name in ("user", "around", "cursor") if name in params), "offset")
    for name in params:
        if name not in _VIEWS[kind] and name not in _EVERYWHERE:
            raise Invalid(f"cannot be combined with {kind}" if kind in params else "needs around", field=f"?{name}")
    if users:
        if len(users) > USERS_MAX:
            raise Invalid(f"at most {USERS_MAX} users", field="?user")
        for user in users:
            check_text(user, "?user", ID_BYTES_MAX)
        return "users", *dict.fromkeys(users)
    if "around" in params:
        check_text(params["around"], "?around", ID_BYTES_MAX)
        return "around", params["around"], int_of(params, "radius", 5, 0, RADIUS_MAX)
    limit = int_of(params, "limit", 10, 1, LIMIT_MAX)
    if "cursor" in params and "as_of" in params:
        return "page", parse_history_cursor(params["cursor"]), limit
    if "cursor" in params:
        return "after", *parse_cursor(params["cursor"]), limit
    return "page", int_of(params, "offset", 0, 0, 999_999_999), limit

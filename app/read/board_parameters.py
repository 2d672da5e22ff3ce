"""What a request asks of a board, as far as its parameters alone define it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from msgspec.structs import replace

from ..http.bodies import check_names, int_of
from ..model.errors import Invalid
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_label, check_text
from ..model.views import After, Around, BoardView, Page, Users
from .board_bodies import parse_cursor
from .historical_boards import parse_history_cursor
from .includes import parse_include
from .score_bounds import BOUNDS, key_bounds

#: Entries of a page; a client turns the page for more.
LIMIT_MAX = 1_000
#: Users that one question may name in its address: with ids of 128 bytes the address has its largest length.
USERS_MAX = 500
#: Neighbours on each side of a user: a page of them in all.
RADIUS_MAX = 500
#: Parsed query strings that a process caches: clients ask for boards in the same few ways, and for some more pages.
_PARSED_MAX = 1_024
#: Bytes of a query string that is cached; longer ones name many users and hardly come twice.
_PARSED_BYTES_MAX = 200
_HISTORICAL = ("as_of", "compare_to")
_EVERYWHERE = ("ranking", "category", "include", *_HISTORICAL)
_KNOWN = ("limit", "offset", "cursor", "around", "radius", "user", *_EVERYWHERE, *BOUNDS)
_VIEWS = {
    "user": {"user"},
    "around": {"around", "radius"},
    "cursor": {"cursor", "limit", *BOUNDS},
    "offset": {"offset", "limit", *BOUNDS},
}

Params = Mapping[str, str]


class BoardParameters(NamedTuple):
    """What a request asks. is_historical: it names a moment of the past. params: those whose meaning depends on the
    namespace's rules, such as bounds and moments."""

    view: BoardView
    ranking: str | None
    category: str | None
    include: frozenset[str]
    has_bounds: bool
    is_historical: bool
    params: Params

    def view_in(self, namespace: Namespace) -> BoardView:
        """The view with its bounds, in the namespace's units. Invalid."""
        view = self.view
        if not self.has_bounds:
            return view
        assert isinstance(view, Page | After), "other views are refused with bounds"
        return replace(view, bounds=key_bounds(self.params, namespace))


def parse_parameters(query_string: bytes) -> BoardParameters:
    """The parameters of a query string. Invalid."""
    return _read(query_string) if len(query_string) > _PARSED_BYTES_MAX else _parsed(query_string)


def category_of(params: Params) -> str | None:
    """The category in the parameters. Invalid."""
    category = params.get("category")
    if category is not None:
        check_label(category, "?category")
    return category


def ranking_of(params: Params) -> str | None:
    """The ranking in the parameters. Invalid."""
    ranking = params.get("ranking")
    if ranking not in (None, "competition", "dense", "ordinal"):
        raise Invalid("must be competition, dense or ordinal", field="?ranking")
    return ranking


def _read(query_string: bytes) -> BoardParameters:
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True) if query_string else []
    params = dict(pairs)
    check_names(params, *_KNOWN)
    view, ranking = _view(params, [value for name, value in pairs if name == "user"]), ranking_of(params)
    include = parse_include([value for name, value in pairs if name == "include"])
    category = category_of(params)
    bounds = [name for name in BOUNDS if name in params]
    is_historical = any(name in params for name in _HISTORICAL)
    if bounds and is_historical:
        raise Invalid("cannot be combined with as_of and compare_to", field=f"?{min(bounds)}")
    return BoardParameters(view, ranking, category, include, bool(bounds), is_historical, params)


_parsed = lru_cache(maxsize=_PARSED_MAX)(_read)


def _view(params: Params, users: list[str]) -> BoardView:
    kind = next((name for name in ("user", "around", "cursor") if name in params), "offset")
    for name in params:
        if name not in _VIEWS[kind] and name not in _EVERYWHERE:
            raise Invalid(f"cannot be combined with {kind}" if kind in params else "needs around", field=f"?{name}")
    if users:
        if len(users) > USERS_MAX:
            raise Invalid(f"at most {USERS_MAX} users", field="?user")
        for user in users:
            check_text(user, "?user", ID_BYTES_MAX)
        return Users(tuple(dict.fromkeys(users)))
    if "around" in params:
        check_text(params["around"], "?around", ID_BYTES_MAX)
        return Around(params["around"], int_of(params, "radius", 5, low=0, high=RADIUS_MAX))
    limit = int_of(params, "limit", 10, low=1, high=LIMIT_MAX)
    if "cursor" in params and "as_of" in params:
        return Page(parse_history_cursor(params["cursor"]), limit)
    if "cursor" in params:
        return After(*parse_cursor(params["cursor"]), limit)
    return Page(int_of(params, "offset", 0, low=0, high=999_999_999), limit)

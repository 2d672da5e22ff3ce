"""GET users of a namespace by the beginning of their id or of the name that its boards show."""

import base64
from typing import Any, NamedTuple

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from ..access.rate_limit import RateLimit
from ..drivers.caller import CALLER, is_stranger
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, query_int
from ..model.cursor_problem import cursor_problem
from ..model.errors import Invalid
from ..model.namespace import Namespace
from ..model.profile import fold_name
from ..model.text import NAME_CHARS_MAX, check_chars
from .authorizer import ReadAuthorizer

#: The fewest characters of a search: half of all names begin with one of a few characters.
Q_CHARS_MIN = 2
#: Users on a page: as many as a person looks through; a longer list is turned by its cursor.
LIMIT_MAX = 50
#: Users that one page checks, because hidden users and those without a grant match too. Some ms of index look-ups.
LOOKED_AT_MAX = 1_000
#: Searches that one address may make a second without a key, on average: who types a name makes fewer.
ADDRESS_SEARCHES_A_SECOND_MAX = 10
#: Such searches that one address may make at once, if it made none before: some people behind one address.
ADDRESS_SEARCHES_BURST_MAX = 50
#: Searches without a key that one process makes a second, on average, whoever asks: a fifth of a core of Postgres.
ANONYMOUS_SEARCHES_A_SECOND_MAX = 200
#: Such searches at once, if there were none before.
ANONYMOUS_SEARCHES_BURST_MAX = 400
_HIGHEST = "\U0010ffff"  # after every character, also in the order of bytes
_EVERYBODY = "everybody"  # the key of the limit that all addresses share
_BY_ROWS = "f"  # how a cursor begins that goes by rows of searchable users
_PLACE_KINDS = {"i": False, "n": True}  # or, with a user's number, behind their id or name: they may be hidden


class Place(NamedTuple):
    """Behind which a page begins. by_rows: in the order of the rows of searchable users; None: nowhere yet.
    is_name: behind that user's name or id, which the cursor does not tell: then `key` is not known."""

    key: str
    number: int
    by_rows: bool | None
    is_name: bool | None = None


class SearchLimits:
    """The rates of searches without a key: of each address, and of all together. They are theirs alone: no search by
    key and no other read is counted."""

    def __init__(self) -> None:
        self._address = RateLimit(
            ADDRESS_SEARCHES_A_SECOND_MAX,
            ADDRESS_SEARCHES_BURST_MAX,
            "searches",
            who="without a key an address may make",
        )
        self._all = RateLimit(
            ANONYMOUS_SEARCHES_A_SECOND_MAX, ANONYMOUS_SEARCHES_BURST_MAX, "searches", who="all without a key may make"
        )

    def take(self, caller: str) -> None:
        """Counts a search. RateLimited. O(1)."""
        self._address.take(caller)
        self._all.take(_EVERYBODY)


class UserSearch:
    """Searches Postgres, which finds a user once the first grant is counted by time. Whoever searches without a key
    uses connections and rates of their own (limits; None if quotas are off). StoreUnavailable, RateLimited."""

    def __init__(self, postgres: Postgres, authorizer: ReadAuthorizer, limits: SearchLimits | None) -> None:
        self._postgres = postgres
        self._authorizer = authorizer
        self._limits = limits
        self._is_filled = False

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users?q=&limit&cursor`: `{"users":[{"user_id", "display_name", "avatar"}],
        "next_cursor"}`, in the order of the ids and names that match, without case, by their bytes.

        An id and the name that the namespace's boards show match in upper and lower case. It finds users with a grant
        who are not hidden. For a key with `write` it finds all users with a grant, a profile or a state in the
        namespace, each with `hidden`. A page may be shorter than `limit` although others follow: then it has a cursor.
        Invalid. O(limit × log n), and O(LOOKED_AT_MAX × log n) where most who match are hidden.
        """
        check_query(request, "q", "limit", "cursor")
        q, limit = request.query_params.get("q", ""), query_int(request, "limit", 10, low=1, high=LIMIT_MAX)
        if len(q) < Q_CHARS_MIN:
            raise Invalid(f"needs at least {Q_CHARS_MIN} characters", field="?q")
        check_chars(q, "?q", NAME_CHARS_MAX)
        after = _parse_cursor(request.query_params.get("cursor"))

        is_counted = False
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            is_writer = admission.principal.may("write", admission.namespace.name)
            caller, postgres = CALLER.get(), self._postgres
            if is_stranger(caller):
                postgres = postgres.searches
                if self._limits is not None and not is_counted:
                    self._limits.take(caller)
                    is_counted = True
            body = await self._page(postgres, admission.namespace, q, after, limit=limit, is_writer=is_writer)
        return answer(request, body)

    async def _page(
        self, postgres: Postgres, namespace: Namespace, q: str, after: Place, *, limit: int, is_writer: bool
    ) -> dict[str, Any]:
        by_rows = await self._is_by_rows(postgres) if after.by_rows is None else after.by_rows
        rows, end = await (_by_rows if by_rows else _by_walk)(
            postgres, namespace, q, after, limit=limit, is_writer=is_writer
        )
        if len(rows) > limit:
            end = Place(rows[limit - 1]["key"], rows[limit - 1]["number"], by_rows)
        bodies = [
            {"user_id": row["name"], "display_name": row["display_name"], "avatar": row["avatar"]}
            | ({"hidden": row["hidden"]} if is_writer else {})
            for row in rows[:limit]
        ]
        return {"users": bodies, "next_cursor": None if end is None else _cursor(end)}

    async def _is_by_rows(self, postgres: Postgres) -> bool:
        """Whether each user has a row by now: after an update a persister writes those of older users."""
        if not self._is_filled:
            rows = await postgres.fetch("is_search_filled")
            self._is_filled = rows[0]["is_filled"]
        return self._is_filled


async def _by_rows(
    postgres: Postgres, namespace: Namespace, q: str, after: Place, *, limit: int, is_writer: bool
) -> tuple[list[asyncpg.Record], Place | None]:
    """The next users, one more than the limit if there are; and how far it looked if others may follow."""
    folded = fold_name(q)
    key, number = (folded, -1) if after.by_rows is None else (after.key, after.number)
    if after.is_name is not None:
        keys = await postgres.fetch("get_search_key", namespace.id, number, after.is_name)
        if not keys:  # Erased since.
            raise cursor_problem(None, "this list")
        key = keys[0]["key"]
    beginning = namespace.id, folded, folded + _HIGHEST, key, number, LOOKED_AT_MAX
    rows = await postgres.fetch("find_searchable_users", *beginning, limit + 1, is_writer)
    reach = await postgres.fetch("get_search_reach", *beginning) if len(rows) <= limit else []
    return rows, Place("", reach[0]["number"], True, reach[0]["is_name"]) if reach else None


async def _by_walk(
    postgres: Postgres, namespace: Namespace, q: str, after: Place, *, limit: int, is_writer: bool
) -> tuple[list[asyncpg.Record], Place | None]:
    """The same by a walk through the ids and names of all namespaces, in which an id matches as it is written."""
    name = fold_name(q)
    rows = await postgres.fetch(
        "search_users",
        *(namespace.id, q, q + _HIGHEST, name, name + _HIGHEST, after.key, after.number),
        *(LOOKED_AT_MAX, limit + 1, is_writer),
    )
    is_cut = rows[0]["looked"] == LOOKED_AT_MAX
    end = Place(rows[0]["last_key"], rows[0]["last_number"], False) if is_cut else None
    return [row for row in rows if row["number"] is not None], end


def _cursor(place: Place) -> str:
    if place.is_name is not None:
        return f"{'n' if place.is_name else 'i'}{place.number}"
    text = f"{_BY_ROWS if place.by_rows else ''}{place.number} {place.key}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(text: str | None) -> Place:
    """Behind which the next page begins. Invalid."""
    if text is None:
        return Place("", 0, None)
    try:
        if text[:1] in _PLACE_KINDS and text[1:].isdecimal() and text.isascii() and int(text[1:]) < 2**63:
            return Place("", int(text[1:]), True, _PLACE_KINDS[text[0]])
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode()
        number, _, key = decoded.removeprefix(_BY_ROWS).partition(" ")
        if not 0 <= int(number) < 2**63 or "\x00" in key:
            raise ValueError
        return Place(key, int(number), decoded.startswith(_BY_ROWS))
    except ValueError:
        raise cursor_problem(text, "this list") from None

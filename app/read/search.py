"""GET users of a namespace by the beginning of their id or of the name that its boards show."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

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
#: Users that one page checks, because users of other namespaces match too. Some ms of index look-ups.
LOOKED_AT_MAX = 1_000
_HIGHEST = "\U0010ffff"  # after every character, also in the order of bytes


class UserSearch:
    """Searches Postgres, which knows a user some 50 ms after the first grant. StoreUnavailable."""

    def __init__(self, postgres: Postgres, authorizer: ReadAuthorizer) -> None:
        self._postgres = postgres
        self._authorizer = authorizer

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users?q=&limit&cursor`: `{"users":[{"user_id", "display_name", "avatar"}],
        "next_cursor"}`, in the order of the ids and names that match, by their bytes.

        An id matches as it is written, a name that the namespace's boards show in upper and lower case. It finds users
        with a grant who are not hidden. For a key with `write` it finds all users with a grant, a profile or a state in
        the namespace, each with `hidden`. A page may be shorter than `limit` although others follow: then it has a
        cursor. Invalid. O(LOOKED_AT_MAX × log n).
        """
        check_query(request, "q", "limit", "cursor")
        q, limit = request.query_params.get("q", ""), query_int(request, "limit", 10, low=1, high=LIMIT_MAX)
        if len(q) < Q_CHARS_MIN:
            raise Invalid(f"needs at least {Q_CHARS_MIN} characters", field="?q")
        check_chars(q, "?q", NAME_CHARS_MAX)
        after = _parse_cursor(request.query_params.get("cursor"))

        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            is_writer = admission.principal.may("write", admission.namespace.name)
            body = await self._page(admission.namespace, q, after, limit, is_writer)
        return answer(request, body)

    async def _page(
        self, namespace: Namespace, q: str, after: tuple[str, int], limit: int, is_writer: bool
    ) -> dict[str, Any]:
        name = fold_name(q)
        rows = await self._postgres.fetch(
            "search_users",
            *(namespace.id, q, q + _HIGHEST, name, name + _HIGHEST, *after, LOOKED_AT_MAX, limit + 1, is_writer),
        )
        users = [row for row in rows if row["number"] is not None]
        cursor = None
        if len(users) > limit:
            cursor = _cursor(users[limit - 1]["key"], users[limit - 1]["number"])
        elif rows[0]["looked"] == LOOKED_AT_MAX:
            cursor = _cursor(rows[0]["last_key"], rows[0]["last_number"])
        bodies = [
            {"user_id": row["name"], "display_name": row["display_name"], "avatar": row["avatar"]}
            | ({"hidden": row["hidden"]} if is_writer else {})
            for row in users[:limit]
        ]
        return {"users": bodies, "next_cursor": cursor}


def _cursor(key: str, number: int) -> str:
    return base64.urlsafe_b64encode(f"{number} {key}".encode()).decode().rstrip("=")


def _parse_cursor(text: str | None) -> tuple[str, int]:
    """The key and the number behind which the next page begins. Invalid."""
    if text is None:
        return "", 0
    try:
        number, _, key = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode().partition(" ")
        if not 0 <= int(number) < 2**63 or "\x00" in key:
            raise ValueError
        return key, int(number)
    except ValueError:
        raise cursor_problem(text, "this list") from None

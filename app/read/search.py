"""GET users of a namespace by the beginning of their id or of the name that is shown there."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..access.keys import Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, query_int
from ..model.errors import Invalid
from ..model.namespace import Namespace
from ..model.profile import fold_name
from ..model.text import NAME_CHARS_MAX, check_chars
from .authorizer import ReadAuthorizer

#: Characters of a beginning at least: one alone begins half of all names.
Q_CHARS_MIN = 2
#: Users on a page: as many as a person looks through; a longer list is turned by its cursor.
LIMIT_MAX = 50
#: Users that one page looks at: those of other namespaces begin alike, too. Some ms of index look-ups.
LOOKED_AT_MAX = 1_000
_HIGHEST = "\U0010ffff"  # behind every character, in the order of the bytes too


class UserSearch:
    """Out of Postgres, where a user's first grant may take some 50 ms to be known. StoreUnavailable."""

    def __init__(self, postgres: Postgres, authorizer: ReadAuthorizer) -> None:
        self._postgres = postgres
        self._authorizer = authorizer

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users?q=&limit&cursor`: `{"users":[{"user_id", "display_name", "avatar"}],
        "next_cursor"}`, in the order of what was found, by its bytes.

        The id as it is written, the name that the namespace's boards show whatever its case. Those who have a grant and
        are shown; for a key with `write` also who is hidden, and who has no grant but a profile of this namespace or is
        hidden in it, each with `hidden`. A page may be shorter than `limit` though others follow: the cursor tells.
        Invalid. O(LOOKED_AT_MAX × log n).
        """
        check_query(request, "q", "limit", "cursor")
        q, limit = request.query_params.get("q", ""), query_int(request, "limit", 10, 1, LIMIT_MAX)
        if len(q) < Q_CHARS_MIN:
            raise Invalid(f"needs at least {Q_CHARS_MIN} characters", field="?q")
        check_chars(q, "?q", NAME_CHARS_MAX)
        after = _parse_cursor(request.query_params.get("cursor"))

        async def read(namespace: Namespace, principal: Principal) -> dict[str, Any]:
            return await self._found(namespace, q, after, limit, principal.may("write", namespace.name))

        return answer(request, await self._authorizer.read_as(request.scope, request.path_params["namespace"], read))

    async def _found(
        self, namespace: Namespace, q: str, after: tuple[str, int], limit: int, is_writer: bool
    ) -> dict[str, Any]:
        name = fold_name(q)
        rows = await self._postgres.fetch(
            "search_users",
            *(namespace.id, q, q + _HIGHEST, name, name + _HIGHEST, *after, LOOKED_AT_MAX, limit + 1, is_writer),
        )
        found = [row for row in rows if row["number"] is not None]
        cursor = None
        if len(found) > limit:
            cursor = _cursor(found[limit - 1]["key"], found[limit - 1]["number"])
        elif rows[0]["looked"] == LOOKED_AT_MAX:
            cursor = _cursor(rows[0]["last_key"], rows[0]["last_number"])
        users = [
            {"user_id": row["name"], "display_name": row["display_name"], "avatar": row["avatar"]}
            | ({"hidden": row["hidden"]} if is_writer else {})
            for row in found[:limit]
        ]
        return {"users": users, "next_cursor": cursor}


def _cursor(key: str, number: int) -> str:
    return base64.urlsafe_b64encode(f"{number} {key}".encode()).decode().rstrip("=")


def _parse_cursor(text: str | None) -> tuple[str, int]:
    """A key and a number behind which it goes on. Invalid."""
    if text is None:
        return "", 0
    try:
        number, _, key = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode().partition(" ")
        if not 0 <= int(number) < 2**63 or "\x00" in key:
            raise ValueError
        return key, int(number)
    except ValueError:
        raise Invalid("is not a cursor of this list", field="?cursor") from None

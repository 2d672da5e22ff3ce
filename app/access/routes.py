"""Which right each route needs: one list, held against the server's routes by a test."""

from typing import Literal, NamedTuple

Scope = Literal["read", "write", "admin"]

_SPACE = "/v1/namespaces/{namespace}"
_BOARD = f"{_SPACE}/boards/{{window}}"
_USER = f"{_SPACE}/users/{{user}}"
_GRANT = f"{_SPACE}/grants/{{grant_id}}"


class Access(NamedTuple):
    """What a call of a route needs.

    scope: of the key; None: no key is asked for. over: the name that the scope has to cover: `name` the namespace in
    the path, `each` every namespace that the request names or the answer lists, one by one, `all` the whole
    deployment (the pattern `*`). public: whether a public namespace opens it without a key.
    """

    method: str
    path: str
    scope: Scope | None
    over: Literal["name", "each", "all"] = "name"
    public: bool = False


ROUTES = (
    Access("GET", "/v1/namespaces", "read", "each", public=True),
    Access("GET", _SPACE, "read", public=True),
    Access("PUT", _SPACE, "admin"),
    Access("DELETE", _SPACE, "admin"),
    Access("GET", f"{_SPACE}/grants", "write"),
    Access("POST", f"{_SPACE}/grants", "write"),  # `admin` with ?backfill=true
    Access("POST", "/v1/grants", "write", "each"),
    Access("GET", _GRANT, "read"),
    Access("PATCH", _GRANT, "write"),  # `admin` with ?backfill=true
    Access("DELETE", _GRANT, "write"),
    Access("POST", f"{_GRANT}/restore", "write"),
    Access("POST", f"{_SPACE}/corrections", "write"),
    Access("GET", f"{_SPACE}/events", "read"),
    Access("GET", _BOARD, "read", public=True),
    Access("GET", f"{_BOARD}/stats", "read", public=True),
    Access("GET", f"{_BOARD}/count", "read", public=True),
    Access("GET", f"{_BOARD}/random", "read", public=True),
    Access("GET", f"{_BOARD}/at/{{position}}", "read", public=True),
    Access("GET", f"{_BOARD}/percentile/{{percentile}}", "read", public=True),
    Access("GET", f"{_BOARD}/rank-of/{{score}}", "read", public=True),
    Access("POST", "/v1/boards", "read", "each", public=True),
    Access("GET", "/v1/stats", "read", "each", public=True),
    Access("POST", "/v1/stats", "read", "each", public=True),
    Access("POST", f"{_SPACE}/ranks", "read", public=True),
    Access("POST", f"{_SPACE}/totals", "read", public=True),
    Access("GET", f"{_SPACE}/activity", "read", public=True),
    Access("POST", f"{_SPACE}/activity", "read", public=True),
    Access("GET", f"{_SPACE}/trends", "read", public=True),
    Access("GET", f"{_SPACE}/users", "read", public=True),
    Access("GET", _USER, "read", public=True),
    Access("GET", f"{_USER}/activity", "read", public=True),
    Access("GET", f"{_USER}/grants", "read"),
    Access("GET", f"{_USER}/explain", "read"),
    Access("PUT", _USER, "write"),
    Access("POST", f"{_USER}/hide", "admin"),
    Access("POST", f"{_USER}/unhide", "admin"),
    Access("GET", "/v1/users/{user}", "read", "all"),
    Access("PUT", "/v1/users/{user}", "write", "all"),
    Access("DELETE", "/v1/users/{user}", "admin", "all"),
    Access("POST", "/v1/users/{user}/hide", "admin", "all"),
    Access("POST", "/v1/users/{user}/unhide", "admin", "all"),
    Access("GET", "/v1/users/{user}/standings", "read", "each", public=True),
    Access("GET", "/healthz", None),
    Access("GET", "/readyz", None),
    Access("GET", "/metrics", None),
    Access("GET", "/openapi.json", None),
    Access("GET", "/", None),
)

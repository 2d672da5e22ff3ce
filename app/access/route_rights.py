"""Which right each route needs: one list, held against the server's routes by a test."""

from typing import Literal, NamedTuple

Scope = Literal["read", "write", "admin"]

_SPACE = "/v1/namespaces/{namespace}"
_BOARD = f"{_SPACE}/boards/{{window}}"
_USER = f"{_SPACE}/users/{{user}}"
_GRANT = f"{_SPACE}/grants/{{grant_id}}"


class RouteRight(NamedTuple):
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
    RouteRight("GET", "/v1/namespaces", "read", "each", public=True),
    RouteRight("GET", _SPACE, "read", public=True),
    RouteRight("PUT", _SPACE, "admin"),
    RouteRight("DELETE", _SPACE, "admin"),
    RouteRight("GET", f"{_SPACE}/grants", "write"),
    RouteRight("POST", f"{_SPACE}/grants", "write"),  # `admin` with ?backfill=true
    RouteRight("POST", "/v1/grants", "write", "each"),
    RouteRight("GET", _GRANT, "read"),
    RouteRight("PATCH", _GRANT, "write"),  # `admin` with ?backfill=true
    RouteRight("DELETE", _GRANT, "write"),
    RouteRight("POST", f"{_GRANT}/restore", "write"),
    RouteRight("POST", f"{_SPACE}/corrections", "write"),
    RouteRight("GET", f"{_SPACE}/events", "read"),
    RouteRight("GET", _BOARD, "read", public=True),
    RouteRight("GET", f"{_BOARD}/stats", "read", public=True),
    RouteRight("GET", f"{_BOARD}/count", "read", public=True),
    RouteRight("GET", f"{_BOARD}/random", "read", public=True),
    RouteRight("GET", f"{_BOARD}/at/{{position}}", "read", public=True),
    RouteRight("GET", f"{_BOARD}/percentile/{{percentile}}", "read", public=True),
    RouteRight("GET", f"{_BOARD}/rank-of/{{score}}", "read", public=True),
    RouteRight("POST", "/v1/boards", "read", "each", public=True),
    RouteRight("GET", "/v1/stats", "read", "each", public=True),
    RouteRight("POST", "/v1/stats", "read", "each", public=True),
    RouteRight("POST", f"{_SPACE}/ranks", "read", public=True),
    RouteRight("POST", f"{_SPACE}/totals", "read", public=True),
    RouteRight("GET", f"{_SPACE}/activity", "read", public=True),
    RouteRight("POST", f"{_SPACE}/activity", "read", public=True),
    RouteRight("GET", f"{_SPACE}/trends", "read", public=True),
    RouteRight("GET", f"{_SPACE}/users", "read", public=True),
    RouteRight("GET", _USER, "read", public=True),
    RouteRight("GET", f"{_USER}/activity", "read", public=True),
    RouteRight("GET", f"{_USER}/grants", "read"),
    RouteRight("GET", f"{_USER}/explain", "read"),
    RouteRight("PUT", _USER, "write"),
    RouteRight("POST", f"{_USER}/hide", "admin"),
    RouteRight("POST", f"{_USER}/unhide", "admin"),
    RouteRight("GET", "/v1/users/{user}", "read", "all"),
    RouteRight("PUT", "/v1/users/{user}", "write", "all"),
    RouteRight("DELETE", "/v1/users/{user}", "admin", "all"),
    RouteRight("POST", "/v1/users/{user}/hide", "admin", "all"),
    RouteRight("POST", "/v1/users/{user}/unhide", "admin", "all"),
    RouteRight("GET", "/v1/users/{user}/standings", "read", "each", public=True),
    RouteRight("GET", "/healthz", None),
    RouteRight("GET", "/readyz", None),
    RouteRight("GET", "/metrics", None),
    RouteRight("GET", "/openapi.json", None),
    RouteRight("GET", "/", None),
)

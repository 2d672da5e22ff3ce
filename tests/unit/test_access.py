"""Every route says which right it needs."""

from starlette.routing import Route, WebSocketRoute

from app.access.route_rights import ROUTES
from app.server import Server
from app.settings import Settings


def test_every_route_has_its_right_and_every_right_its_route() -> None:
    served = {
        (method, route.path.replace(":id}", "}"))
        for route in Server(Settings(), 1).routes()
        if isinstance(route, Route)
        if (methods := route.methods or ({"POST"} if route.path.endswith("grants") else None))
        for method in methods - {"HEAD"}
    }
    assert served == {(access.method, access.path) for access in ROUTES}
    assert len(ROUTES) == len({(access.method, access.path) for access in ROUTES})


def test_what_is_watched_is_judged_elsewhere() -> None:
    """A WebSocket names namespaces in its messages; tests/hostile/test_rights.py asks each of its views."""
    sockets = [route.path for route in Server(Settings(), 1).routes() if isinstance(route, WebSocketRoute)]
    assert sockets == ["/v1/live"]


def test_nothing_is_written_without_a_key() -> None:
    assert [access for access in ROUTES if access.public and access.scope != "read"] == []

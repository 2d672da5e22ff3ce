from starlette.routing import Route

from app.openapi import document
from app.server import Server
from app.settings import Settings


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    served = {
        (route.path.replace(":id}", "}"), method.lower())
        for route in Server(Settings(), 1).routes()
        if isinstance(route, Route)
        if (methods := route.methods or ({"POST"} if route.path.endswith("grants") else None))
        for method in methods - {"HEAD"}
    }
    described = {(path, method) for path, operations in document()["paths"].items() for method in operations}
    hidden = {("/", "get"), ("/metrics", "get"), ("/openapi.json", "get")}
    assert served - hidden == described

"""The table of routes, and what is made of it: Starlette's routes, OpenAPI, the fast path."""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute

from app import fast_path
from app.fast_path import FastPath
from app.openapi import document
from app.routes import ROUTES
from app.server import Server
from app.services import build_services
from app.settings import Settings

DOCUMENT = document()
NO_FIELDS: dict[str, Any] = {"query_string": b"", "headers": []}


def server() -> Server:
    return Server(build_services(Settings(), 1))


def test_every_route_stands_once() -> None:
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES})


def test_the_table_is_what_is_served() -> None:
    served = {
        (method, route.path.replace(":id}", "}"))
        for route in server().routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert served == {(route.method, route.path) for route in ROUTES}


def test_what_is_watched_is_judged_elsewhere() -> None:
    """A WebSocket names namespaces in its messages; tests/hostile/test_rights.py asks each of its views."""
    assert not [route for route in server().routes() if isinstance(route, WebSocketRoute)]
    taken: list[str] = []

    async def live(scope: Any, receive: Any, send: Any) -> None:
        taken.append(scope["path"])

    async def other(scope: Any, receive: Any, send: Any) -> None:
        pass

    front = FastPath(other, server().handlers, live, server().services.cors)
    for path in ("/v1/live", "/v1/live/", "/v1/lives", "/", "/v1/namespaces/race/grants"):
        asyncio.run(front({"type": "websocket", "path": path}, None, None))  # type: ignore[arg-type]
    assert taken == ["/v1/live"]


def test_nothing_is_written_without_a_key() -> None:
    assert [route for route in ROUTES if route.required.is_public and route.required.scope != "read"] == []


def test_every_route_but_the_pages_is_described() -> None:
    described = {(path, method.upper()) for path, operations in DOCUMENT["paths"].items() for method in operations}
    hidden = {
        (path, "GET")
        for path in (
            "/",
            "/console",
            "/docs",
            "/wall/{namespace}/{window}",
            "/metrics",
            "/openapi.json",
            "/asyncapi.json",
        )
    }
    assert {(route.path, route.method) for route in ROUTES} - hidden == described


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT))):
        place: Any = DOCUMENT
        for name in reference.split("/"):
            place = place[name]


#: Of these any query is taken: probes, scrapers and browsers add what they like.
_ANY_QUERY = {
    "/",
    "/console",
    "/docs",
    "/wall/{namespace}/{window}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
}


def test_a_parameter_that_the_table_does_not_name_is_refused_by_those_it_does() -> None:
    """What a handler takes is what OpenAPI says. It is checked before the key is, and without any store."""

    async def ask() -> dict[tuple[str, str], tuple[int, str, set[str]]]:
        transport = httpx.ASGITransport(server().app())
        refusals = {}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for route in ROUTES:
                if route.path not in _ANY_QUERY:
                    url = re.sub(r"{\w+}", "x", route.path)
                    answer = (await client.request(route.method, url, params={"no_such": "1"})).json()
                    hint = answer["detail"].removeprefix("there is no such parameter here").removeprefix("; there are ")
                    names = set(hint.split(", ")) if hint else set()
                    refusals[route.method, route.path] = answer["status"], answer["field"], names
        return refusals

    table = {
        (route.method, route.path): (422, "?no_such", set(route.query))
        for route in ROUTES
        if route.path not in _ANY_QUERY
    }
    assert asyncio.run(ask()) == table


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_a_wrong_method_is_refused_with_the_right_ones(path: str) -> None:
    taken = {method.upper() for method in DOCUMENT["paths"][path]}
    taken |= {"HEAD"} if "GET" in taken else set()
    wrong = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - taken

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(server().app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.request(method, re.sub(r"{\w+}", "x", path)) for method in wrong]

    answers = [(answer.status_code, set(answer.headers["allow"].split(", "))) for answer in asyncio.run(ask())]
    assert answers == [(405, taken)] * len(wrong)


@pytest.mark.parametrize(
    ("method", "path", "hot"),
    [
        ("POST", "/v1/namespaces/race/grants", ("/v1/namespaces/{namespace}/grants", {"namespace": "race"})),
        (
            "GET",
            "/v1/namespaces/race/boards/day",
            ("/v1/namespaces/{namespace}/boards/{window}", {"namespace": "race", "window": "day"}),
        ),
        ("GET", "/v1/namespaces/race/grants", None),
        ("HEAD", "/v1/namespaces/race/boards/day", None),
        ("POST", "/v1/namespaces//grants", None),
        ("POST", "/v1/namespaces/race/grants/", None),
        ("GET", "/v1/namespaces/race/boards/day/stats", None),
        ("GET", "/v2/namespaces/race/boards/day", None),
        ("POST", "/v1/grants", None),
    ],
)
def test_the_fast_path_takes_hot_routes_alone(method: str, path: str, hot: Any) -> None:
    """What it answers, with which parameters; everything else goes to the application behind it."""
    seen: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        seen.append(None)

    def endpoint_of(pattern: str) -> Any:
        async def endpoint(scope: Any, receive: Any, send: Any) -> None:
            seen.append((pattern, scope["path_params"]))

        return endpoint

    front = FastPath(behind, server().handlers, behind, server().services.cors)
    front._endpoints = {route.path: endpoint_of(route.path) for route in ROUTES if route.is_hot}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    for _ in range(2):
        asyncio.run(front(scope, None, None))  # type: ignore[arg-type]
    assert seen == [hot, hot]


def test_parameters_of_one_request_are_not_those_of_the_next() -> None:
    first, second = (fast_path._hot_route("POST", "/v1/namespaces/race/grants") for _ in range(2))
    assert first is second, "the table is asked once for each path"
    seen = []

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["path_params"]))
        scope["path_params"]["namespace"] = "spoilt"

    front = FastPath(endpoint, server().handlers, endpoint, server().services.cors)
    front._endpoints = dict.fromkeys(front._endpoints, endpoint)
    path = "/v1/namespaces/race/grants"
    for _ in range(2):
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
        }
        asyncio.run(front(scope, None, None))  # type: ignore[arg-type]
    assert seen == [{"namespace": "race"}] * 2

import asyncio
import re

import httpx
import pytest
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


@pytest.mark.parametrize("path", document()["paths"])
def test_a_method_that_a_path_does_not_take_is_told_those_it_does(path: str) -> None:
    taken = {method.upper() for method in document()["paths"][path]}
    taken |= {"HEAD"} if "GET" in taken else set()
    wrong = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - taken

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(Server(Settings(), 1).app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.request(method, re.sub(r"{\w+}", "x", path)) for method in wrong]

    told = [(answer.status_code, set(answer.headers["allow"].split(", "))) for answer in asyncio.run(ask())]
    assert told == [(405, taken)] * len(wrong)

"""What a page of another origin may read and open: a table of cases, by raw requests to the application."""

import asyncio
from typing import Any

import httpx
import pytest

from app.access.cors import PREFLIGHT_S_MAX, Cors
from app.model.errors import Forbidden
from app.model.namespace import Namespace, Rules
from app.model.origins import Origins, frame_ancestors, parse_origins
from app.server import Server
from app.services import build_services
from app.settings import Settings, SettingsError, read_settings

GAME, ELSEWHERE = "https://game.example", "https://elsewhere.example"
EXPOSED = "ETag, Retry-After, RateLimit, X-Request-Id"
SPACES = {"open": Rules(visibility="public"), "closed": Rules(), "shadow": Rules(visibility="public", mode="shadow")}
KEY = {"Authorization": "Bearer lb_x_0123456789abcdef"}


def ask(method: str, path: str, origins: str = "", **headers: str) -> httpx.Response:
    """The answer of a server without stores, which knows three namespaces."""

    async def send() -> httpx.Response:
        server = Server(build_services(Settings(cors_origins=origins), 1))
        for number, (name, rules) in enumerate(SPACES.items(), 1):
            server.services.namespace_cache._namespaces[name] = Namespace(number, name, 0, 1, rules)
        transport = httpx.ASGITransport(server.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://scores.example") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


BOARD = "/v1/namespaces/{}/boards/all?no_such=1"  # Refused before a store is asked.


@pytest.mark.parametrize(
    ("method", "path", "headers", "origins", "allowed"),
    [
        # A public namespace is open to all pages, for reads without a key.
        ("GET", BOARD.format("open"), {}, "", "*"),
        ("HEAD", BOARD.format("open"), {}, "", "*"),
        ("GET", BOARD.format("%6Fpen"), {}, "", "*"),
        ("GET", "/v1/namespaces/open?x=1", {}, "", "*"),
        ("GET", BOARD.format("open"), {}, GAME, "*"),
        ("GET", BOARD.format("open"), KEY, "", None),
        ("GET", BOARD.format("open"), KEY, GAME, GAME),
        ("POST", "/v1/namespaces/open/totals?x=1", {}, "", None),
        ("POST", "/v1/namespaces/open/totals?x=1", {}, GAME, GAME),
        ("DELETE", "/v1/namespaces/open?x=1", {}, "", None),
        # Others are not, whatever is in them.
        ("GET", BOARD.format("closed"), {}, "", None),
        ("GET", BOARD.format("closed"), {}, GAME, GAME),
        ("GET", BOARD.format("shadow"), {}, "", None),
        ("GET", BOARD.format("missing"), {}, "", None),
        ("GET", "/v1/namespaces?x=1", {}, "", None),
        ("GET", "/healthz", {}, "", None),
        ("GET", "/healthz", {}, GAME, GAME),
        ("GET", "/no/such/path", {}, GAME, GAME),
        ("PUT", "/healthz", {}, GAME, GAME),
        # Not listed, nearly listed, off.
        ("GET", "/healthz", {}, ELSEWHERE, None),
        ("GET", "/healthz", {}, "http://game.example", None),
        ("GET", "/healthz", {}, "https://game.example:8443", None),
        ("GET", "/healthz", {}, "https://game.example.evil.example", None),
        ("GET", "/healthz", {}, f"{ELSEWHERE}, https://GAME.example:443", GAME),
        ("GET", "/healthz", {}, "https://game.example:*", GAME),
        ("GET", BOARD.format("open"), {}, "none", None),
    ],
)
def test_who_may_read(method: str, path: str, headers: dict[str, str], origins: str, allowed: str | None) -> None:
    answer = ask(method, path, origins, Origin=GAME, **headers)
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert answer.headers.get("access-control-expose-headers") == (None if allowed is None else EXPOSED)
    assert ("Origin" in answer.headers.get("vary", "")) == (origins != "none")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", [BOARD.format("open"), "/healthz"])
def test_who_sends_no_origin_gets_no_fields(path: str) -> None:
    assert not [name for name in ask("GET", path, GAME).headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "asks", "origins", "allowed"),
    [
        ("/v1/namespaces/open/boards/all", "GET", "", "*"),
        ("/v1/namespaces/missing/boards/all", "GET", "", "*"),  # Not told here: the request is judged when it comes.
        ("/v1/namespaces/open/grants", "POST", "", None),
        ("/v1/tokens", "POST", "", None),
        ("/v1/grants", "GET", "", None),
        ("/v1/tokens", "POST", GAME, GAME),
        ("/v1/namespaces/open/grants", "POST", GAME, GAME),
        ("/v1/namespaces/open/boards/all", "GET", GAME, GAME),
        ("/v1/namespaces/open/boards/all", "GET", "none", None),
        ("/v1/tokens", "POST", ELSEWHERE, None),
    ],
)
def test_a_preflight_is_answered_without_a_store(path: str, asks: str, origins: str, allowed: str | None) -> None:
    answer = ask("OPTIONS", path, origins, Origin=GAME, **{"Access-Control-Request-Method": asks})
    assert answer.headers.get("access-control-allow-origin") == allowed
    if allowed is None:
        assert answer.status_code == 405
        return
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-max-age"] == str(PREFLIGHT_S_MAX)
    assert asks in answer.headers["access-control-allow-methods"]
    assert ("Authorization" in answer.headers["access-control-allow-headers"]) == (allowed == GAME)
    assert answer.headers["vary"] == "Origin"


def test_options_that_is_no_preflight_is_no_method() -> None:
    assert ask("OPTIONS", "/v1/tokens", GAME).status_code == 405
    assert ask("OPTIONS", "/v1/tokens", GAME, Origin=GAME).status_code == 405


@pytest.mark.parametrize(
    ("origin", "host", "origins", "is_taken"),
    [
        (None, "scores.example", "", True),
        (None, "scores.example", "none", True),
        ("https://scores.example", "scores.example", "", True),
        ("https://scores.example", "SCORES.example", "none", True),
        ("http://localhost:8000", "localhost:8000", "", True),
        ("http://localhost:8001", "localhost:8000", "", False),
        ("http://localhost:5173", "localhost:8000", "http://localhost:*", True),
        ("http://localhost.evil.example:1", "localhost:8000", "http://localhost:*", False),
        (GAME, "scores.example", "", False),
        (GAME, "scores.example", GAME, True),
        (GAME, "scores.example", "none", False),
        ("null", "scores.example", GAME, False),
        ("null", "", GAME, False),
        ("https://", "", "", False),
    ],
)
def test_a_websocket_is_judged_by_its_origin(origin: str | None, host: str, origins: str, is_taken: bool) -> None:
    headers = [(b"host", host.encode())] + ([] if origin is None else [(b"origin", origin.encode())])
    cors = Cors(parse_origins(origins), lambda name: True)
    scope: Any = {"type": "websocket", "headers": headers}
    if is_taken:
        cors.check_socket(scope)
        return
    with pytest.raises(Forbidden, match="LEADERBOARD_CORS_ORIGINS"):
        cors.check_socket(scope)


@pytest.mark.parametrize(
    "text",
    ["*", "game.example", "https://game.example/", "https://game.example/path", "https://a b", "ftp://a", "null",
     "https://u:p@a", "https://a,none", "https://a\r\nx: y", "https://a:", "https://a:port", "https://*.a"],
)  # fmt: skip
def test_a_wrong_origin_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="LEADERBOARD_CORS_ORIGINS"):
        read_settings({"LEADERBOARD_CORS_ORIGINS": text})


def test_origins_are_read_in_their_normal_form() -> None:
    assert parse_origins(" https://A.example:443,http://b:80 , http://[::1]:9 ,") == Origins(
        frozenset({"https://a.example", "http://b", "http://[::1]:9"})
    )


@pytest.mark.parametrize(
    ("text", "directive"),
    [
        ("none", "'none'"),
        ("", "'none'"),
        ("self", "'self'"),
        ("self, https://school.example", "'self' https://school.example"),
        ("https://*.school.example:8443", "https://*.school.example:8443"),
    ],
)
def test_who_may_frame_the_page_is_a_setting(text: str, directive: str) -> None:
    assert frame_ancestors(text) == directive
    for page in pages(Settings(frame_ancestors=text), "/", "/web/index.html"):
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert f"frame-ancestors {directive};" in page.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["console", "docs"])
def test_nobody_may_frame_a_strict_page_under_either_address(name: str) -> None:
    for page in pages(Settings(frame_ancestors="https://school.example"), f"/{name}", f"/web/{name}/index.html"):
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")
        assert page.headers["referrer-policy"] == "no-referrer"


def pages(settings: Settings, *paths: str) -> list[httpx.Response]:
    app = Server(build_services(settings, 1)).app()

    async def fetch() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://scores.example") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(fetch())


@pytest.mark.parametrize(
    "text", ["*", "'self'; script-src *", "https://a;b", "none,self", "https://a\nb", "javascript:x"]
)
def test_a_wrong_frame_ancestor_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="LEADERBOARD_FRAME_ANCESTORS"):
        read_settings({"LEADERBOARD_FRAME_ANCESTORS": text})

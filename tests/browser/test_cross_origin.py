"""A browser on pages of other origins: of a listed one (localhost), and of one that is not (127.0.0.1)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.conftest import Names, Stack, running_stack
from tests.support.event_streams import events
from tests.support.page_view import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

ASK = """async ([url, init]) => {
  try {
    const answer = await fetch(url, init);
    return { status: answer.status, etag: answer.headers.get("etag"), body: await answer.json().catch(() => null) };
  } catch (error) { return { refused: error.name }; }
}"""
WATCH = """([url, token, namespace]) => new Promise((resolve) => {
  const heard = [], socket = new WebSocket(url, "leaderboard.v1");
  const say = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => {
    if (token) say({ type: "auth", token });
    say({ type: "subscribe", id: 1, namespace, window: "all" });
  };
  socket.onmessage = ({ data }) => {
    heard.push(JSON.parse(data).type);
    if (heard.at(-1) === "snapshot" || heard.at(-1) === "error") { socket.close(); resolve(heard); }
  };
  socket.onclose = ({ code }) => resolve([...heard, code]);
})"""

STREAM = """(url) => {
  const source = new EventSource(url), heard = [];
  for (const type of ["snapshot", "uptodate", "delta", "drain"])
    source.addEventListener(type, ({ lastEventId, data }) => heard.push([type, lastEventId, JSON.parse(data)]));
  Object.assign(window, { source, heard });
}"""
REFUSED = """(url) => new Promise((resolve) => {
  const source = new EventSource(url);
  source.onopen = () => resolve(false);
  source.onerror = () => resolve(source.readyState === EventSource.CLOSED);
})"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"LEADERBOARD_CORS_ORIGINS": "http://localhost:*"}
    with running_stack(tmp_path_factory.mktemp("cors"), tmp_path_factory, settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def spaces(stack: Stack) -> dict[str, str]:
    """A public and a private namespace, each with a grant."""
    made = {kind: f"{Names().fresh()}-{kind}" for kind in ("public", "private")}
    with stack.client() as api:
        for kind, name in made.items():
            assert api.put(f"/v1/namespaces/{name}", json={"visibility": kind}).status_code == 201
            grant = {"grant_id": "g", "user_id": "ann", "amount": 1}
            assert api.post(f"/v1/namespaces/{name}/grants", json=grant).status_code == 201
    return made


@pytest.fixture(scope="module")
def token(stack: Stack, spaces: dict[str, str]) -> str:
    with stack.client() as api:
        answer: httpx.Response = api.post("/v1/tokens", json={"user_id": "ann", "namespaces": list(spaces.values())})
        return str(answer.json()["token"])


def board(stack: Stack, space: str) -> str:
    return f"{stack.url}/v1/namespaces/{space}/boards/all"


@pytest.mark.parametrize("origin", ["listed", "other"])
def test_any_page_reads_a_public_board(
    stack: Stack, pages: dict[str, Page], spaces: dict[str, str], origin: str
) -> None:
    page, url = pages[origin], board(stack, spaces["public"])
    first = page.evaluate(ASK, [url, {}])
    assert (first["status"], first["body"]["total"]) == (200, 1)
    assert first["etag"], "it is exposed"
    # With a header that needs a preflight.
    again = page.evaluate(ASK, [url, {"headers": {"If-None-Match": first["etag"]}, "cache": "no-store"}])
    assert again["status"] == 304
    wrong = page.evaluate(ASK, [f"{url}?no_such=1", {}])
    assert (wrong["status"], wrong["body"]["code"]) == (422, "invalid"), "a problem is readable"


def test_a_listed_page_uses_a_token(stack: Stack, pages: dict[str, Page], spaces: dict[str, str], token: str) -> None:
    init = {"headers": {"Authorization": f"Bearer {token}"}}
    answer = pages["listed"].evaluate(ASK, [board(stack, spaces["private"]), init])
    assert (answer["status"], answer["body"]["total"]) == (200, 1)
    refused = pages["listed"].evaluate(ASK, [board(stack, spaces["private"]), {}])
    assert (refused["status"], refused["body"]["code"]) == (401, "unauthorized")
    grants = pages["listed"].evaluate(ASK, [f"{stack.url}/v1/tokens", {"method": "POST", "body": "{}"} | init])
    assert grants["status"] == 403


def test_another_page_reads_nothing_with_a_token(
    stack: Stack, pages: dict[str, Page], spaces: dict[str, str], token: str
) -> None:
    init = {"headers": {"Authorization": f"Bearer {token}"}}
    for space in spaces.values():
        assert pages["other"].evaluate(ASK, [board(stack, space), init]) == {"refused": "TypeError"}
    assert pages["other"].evaluate(ASK, [board(stack, spaces["private"]), {}]) == {"refused": "TypeError"}
    assert pages["other"].evaluate(ASK, [f"{stack.url}/healthz", {}]) == {"refused": "TypeError"}


def test_a_websocket_is_opened_by_a_listed_page_alone(
    stack: Stack, pages: dict[str, Page], spaces: dict[str, str], token: str
) -> None:
    url = stack.url.replace("http", "ws") + "/v1/live"
    assert pages["listed"].evaluate(WATCH, [url, token, spaces["private"]]) == ["ready", "snapshot"]
    assert pages["listed"].evaluate(WATCH, [url, None, spaces["public"]]) == ["snapshot"]
    assert pages["other"].evaluate(WATCH, [url, None, spaces["public"]]) == [1006]


def test_a_refused_websocket_is_403_before_the_upgrade(stack: Stack) -> None:
    fields = {
        "Origin": "http://127.0.0.1:1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    answer = httpx.get(f"{stack.url}/v1/live", headers=fields)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "LEADERBOARD_CORS_ORIGINS" in answer.json()["detail"]
    assert "sec-websocket-accept" not in answer.headers


def heard(page: Page, *kinds: str) -> list[Any]:
    """The events of a page's stream, once there are so many."""
    page.wait_for_function("(count) => heard.length >= count", arg=len(kinds))
    events: list[Any] = page.evaluate("() => heard")
    assert [kind for kind, _, _ in events] == [*kinds]
    return events


def test_an_event_source_of_any_page_watches_a_public_board_and_comes_back(
    stack: Stack, pages: dict[str, Page], spaces: dict[str, str]
) -> None:
    """Nothing but what browsers have: they send the id of the last event by themselves."""
    for page in pages.values():
        page.evaluate(STREAM, f"{board(stack, spaces['public'])}/events?limit=5")
        heard(page, "snapshot")
    with stack.client() as api:
        grant = {"grant_id": "more", "user_id": "bob", "amount": 2}
        assert api.post(f"/v1/namespaces/{spaces['public']}/grants", json=grant).status_code == 201
    for page in pages.values():
        *_, (_, event_id, delta) = heard(page, "snapshot", "delta")
        assert [entry["user_id"] for entry in delta["upsert"]] == ["bob", "ann"]
        assert event_id == f"{event_id[0]}-{delta['version']}-all"
    stack.restart()
    for page in pages.values():
        *_, (_, before, _), (_, behind, _) = heard(page, "snapshot", "delta", "drain", "uptodate")
        assert before == behind == event_id
        page.evaluate("() => source.close()")


@pytest.mark.parametrize("origin", ["listed", "other"])
def test_an_event_source_opens_no_private_board_and_asks_no_more(
    stack: Stack, pages: dict[str, Page], spaces: dict[str, str], origin: str
) -> None:
    assert pages[origin].evaluate(REFUSED, f"{board(stack, spaces['private'])}/events") is True


@pytest.mark.parametrize(
    ("origin", "kind", "has_token", "query", "status", "allowed"),
    [
        ("http://localhost:1", "public", False, "", 200, "*"),
        ("http://127.0.0.1:1", "public", False, "", 200, "*"),
        ("http://127.0.0.1:1", "public", False, "?limit=x", 422, "*"),
        ("http://127.0.0.1:1", "public", True, "", 200, None),
        ("http://127.0.0.1:1", "private", True, "", 200, None),
        ("http://127.0.0.1:1", "private", False, "", 401, None),
        ("http://localhost:1", "private", True, "", 200, "http://localhost:1"),
        ("http://localhost:1", "private", False, "", 401, "http://localhost:1"),
    ],
)
def test_the_head_of_a_stream_tells_who_may_read_it(
    stack: Stack,
    spaces: dict[str, str],
    token: str,
    origin: str,
    kind: str,
    has_token: bool,
    query: str,
    status: int,
    allowed: str | None,
) -> None:
    path, bearer = f"{spaces[kind]}/boards/all/events{query}", f"Bearer {token}" if has_token else None
    with events(stack.port, path, origin=origin, authorization=bearer) as stream:
        fields = stream.fields
        assert (stream.status, fields.get("access-control-allow-origin")) == (status, allowed)
        assert ("access-control-expose-headers" in fields) == (allowed is not None)
        assert "Origin" in fields["vary"]

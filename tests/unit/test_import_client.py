"""What passes is asked again; the rest of an answer is not."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.transfer import import_client
from app.transfer.import_client import ImportClient, ImportStop, MemberResult, path_segment
from app.transfer.import_replacement import Replacement

OVERLOADED = {"code": "overloaded", "detail": "busy", "retryable": True}
CONFLICT = {"code": "grant_conflict", "detail": "other", "retryable": False}


class Server:
    """Answers a request by a function of its number and of its members."""

    def __init__(self, answer: Callable[[int, list[Any]], list[Any]]) -> None:
        self._answer = answer
        self.requests: list[list[Any]] = []
        self.keys: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"user_id": "ann"})
        text = request.content
        members = json.loads(text) if text[:1] == b"[" else [json.loads(line) for line in text.splitlines()]
        self.requests.append(members)
        self.keys.append(request.headers.get("idempotency-key"))
        return httpx.Response(200, json={"results": self._answer(len(self.requests), members)})


async def with_client(server: Server, work: Callable[[ImportClient], Any], patience_s: float = 5) -> Any:
    transport = httpx.MockTransport(server)
    async with ImportClient("http://s", None, connections=1, patience_s=patience_s, transport=transport) as client:
        return await work(client)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_client, "_PAUSE_S_MIN", 0.0)


@pytest.mark.parametrize(
    ("text", "segment"), [("a/b c", "a%2Fb%20c"), (".", "%2E"), ("..", "%2E%2E"), ("a.b", "a.b"), ("...", "%2E%2E%2E")]
)
def test_a_segment_of_a_path_is_no_direction(text: str, segment: str) -> None:
    assert path_segment(text) == segment
    assert httpx.Request("GET", f"http://s/v1/{path_segment(text)}/x").url.raw_path == f"/v1/{segment}/x".encode()


@pytest.mark.parametrize(
    ("status", "text", "lag"),
    [(200, b'{"lag_seq": 5}', 5), (200, b'{"lag_seq": null}', 0), (503, b'{"lag_seq": 5}', 0), (200, b"<html>", 0)],
)
def test_how_far_the_ledger_is_behind_as_far_as_the_server_tells(status: int, text: bytes, lag: int) -> None:
    async def ask() -> int:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, content=text))
        async with ImportClient("http://s", None, connections=1, transport=transport) as client:
            return await client.lag()

    assert asyncio.run(ask()) == lag


@pytest.mark.parametrize("is_member", [True, False])
def test_a_long_wait_is_told_but_not_at_each_try(monkeypatch: pytest.MonkeyPatch, is_member: bool) -> None:
    monkeypatch.setattr(import_client, "NOTICE_S", -1.0)
    notices: list[str] = []
    number = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal number
        number += 1
        if number in (1, 9):
            return httpx.Response(200, json={"results": [{"status": "applied"}]})
        if is_member:
            return httpx.Response(200, json={"results": [{"status": "rejected", "error": OVERLOADED}]})
        return httpx.Response(429, json=OVERLOADED)

    async def work() -> None:
        transport = httpx.MockTransport(answer)
        async with ImportClient("http://s", None, connections=1, transport=transport, notice=notices.append) as client:
            for _ in range(2):
                await client.send("/x", [b"{}"])

    asyncio.run(work())
    assert notices == ["http://s: overloaded: busy; asks again for up to 600 s"]


@pytest.mark.parametrize("method", ["send", "correct"])
def test_members_with_a_passing_cause_are_sent_again_alone(method: str) -> None:
    def answer(number: int, members: list[Any]) -> list[Any]:
        busy = {"b"} if number < 3 else set()
        return [{"status": "rejected", "error": OVERLOADED} if one in busy else {"status": one} for one in members]

    server = Server(answer)
    bodies = [json.dumps(name).encode() for name in "abc"]
    results = asyncio.run(with_client(server, lambda client: getattr(client, method)("/x", bodies)))
    assert results == [MemberResult("a"), MemberResult("b"), MemberResult("c")]
    assert server.requests == [["a", "b", "c"], ["b"], ["b"]]
    # A key is of one body: with the same key, another body would be refused.
    assert len(set(server.keys)) == (3 if method == "correct" else 1)


@pytest.mark.parametrize("method", ["send", "correct"])
def test_a_cause_that_does_not_pass_stops_the_import(method: str) -> None:
    server = Server(lambda number, members: [{"status": "rejected", "error": OVERLOADED} for _ in members])
    with pytest.raises(ImportStop, match="overloaded: busy; gave up after 0 s"):
        asyncio.run(with_client(server, lambda client: getattr(client, method)("/x", [b'"a"']), patience_s=0))


def test_an_edit_that_cannot_be_made_now_is_no_refused_row() -> None:
    server = Server(lambda number, members: [{"status": "rejected", "error": OVERLOADED} for _ in members])
    body = b'{"grant_id":"g","user_id":"ann","amount":1}'

    async def replace(client: ImportClient) -> Any:
        error = import_client.MemberError("grant_conflict")
        return await Replacement(client, "n").replace([body], [MemberResult("rejected", error)])

    with pytest.raises(ImportStop):
        asyncio.run(with_client(server, replace, patience_s=0))


def test_an_answer_that_lacks_members_stops_the_import() -> None:
    with pytest.raises(ImportStop, match="answered 0 members of 1"):
        asyncio.run(with_client(Server(lambda number, members: []), lambda client: client.send("/x", [b'"a"'])))


@pytest.mark.parametrize("text", [b"<html>Sign in</html>", b'{"status": "ok"}', b"[]", b""])
def test_what_is_no_leaderboard_stops_the_import(text: bytes) -> None:
    """A wrong --url, or a proxy that wants to be asked first."""

    async def send() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=text))
        async with ImportClient("http://s", None, connections=1, transport=transport) as client:
            await client.send("/x", [b'"a"'])

    with pytest.raises(ImportStop, match="right --url"):
        asyncio.run(send())


def test_an_answer_whose_coding_is_broken_is_asked_for_again() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    async def send() -> None:
        transport = httpx.MockTransport(answer)
        async with ImportClient("http://s", None, connections=1, patience_s=0, transport=transport) as client:
            await client.send("/x", [b'"a"'])

    with pytest.raises(ImportStop, match="DecodingError"):
        asyncio.run(send())


@pytest.mark.parametrize(
    "url", ["localhost:8000", "s", "ftp://s", "http://", "http://[::1", "http://s:99999", "http://s\n"]
)
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(ImportStop, match="no URL"):
        ImportClient(url, None, connections=1)


def test_a_password_in_the_url_is_in_no_message() -> None:
    async def ask() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(503))
        url = "https://ann:secret@s:8000/base"
        async with ImportClient(url, None, connections=1, patience_s=0, transport=transport) as client:
            await client.ask("GET", "/x")

    with pytest.raises(ImportStop, match=r"^https://s:8000/base: answered 503"):
        asyncio.run(ask())

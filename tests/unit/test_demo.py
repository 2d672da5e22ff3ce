"""The demonstration against a server that notes what it is sent."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.embedded.demo import GAMES, PLAYERS, Demo, grant


class Server:
    """Answers every call with `status`; a list of (method, path, body)."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 201
        noted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Authorization"] == "Bearer key"
                noted.calls.append((self.command, self.path, body))
                self.send_response(noted.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_PUT = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.http.server_port
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def saw(self, method: str) -> list[dict[str, Any]]:
        return [body for called, _, body in self.calls if called == method]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def until(ask: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def play(server: Server, said: list[str]) -> Demo:
    demo = Demo(f"http://127.0.0.1:{server.port}", "key", say=said.append)
    demo.start()
    return demo


def test_declares_its_games_and_plays_them(server: Server) -> None:
    said: list[str] = []
    demo = play(server, said)
    until(lambda: len(server.saw("POST")) >= 2)
    demo.stop()
    first = server.calls[: len(GAMES)]
    assert [(method, path) for method, path, _ in first] == [("PUT", f"/v1/namespaces/{g.namespace}") for g in GAMES]
    assert all(body["visibility"] == "public" and set(body) == {"display_name", "visibility"} for _, _, body in first)
    paths = {path for method, path, _ in server.calls if method == "POST"}
    assert paths <= {f"/v1/namespaces/{game.namespace}/grants" for game in GAMES}
    assert said == []


def test_goes_on_when_the_server_comes_back_or_is_less_busy() -> None:
    said: list[str] = []
    first = Server()
    demo = play(first, said)
    until(lambda: first.saw("POST"))
    first.status = 503
    before = len(first.calls)
    until(lambda: len(first.calls) > before)
    first.close()
    second = Server(first.port)
    until(lambda: second.saw("POST"))
    demo.stop()
    second.close()
    assert said == []


def test_a_refusal_ends_it_with_a_word(server: Server) -> None:
    said: list[str] = []
    server.status = 403
    demo = play(server, said)
    until(lambda: said)
    demo.stop()
    assert "answered 403" in said[0]
    assert len(server.calls) == 1


def test_stops_at_once_with_nobody_to_play_with() -> None:
    demo = Demo("http://127.0.0.1:9", "key", say=print)
    demo.start()
    begun = time.monotonic()
    demo.stop()
    assert time.monotonic() - begun < 0.6
    Demo("http://127.0.0.1:9", "key", say=print).stop()  # never started


def test_grants_are_small_and_never_alike() -> None:
    made = [grant(game) for game in GAMES for _ in range(200)]
    assert len({each["grant_id"] for each in made}) == len(made)
    assert {each["user_id"] for each in made} <= set(PLAYERS)
    assert all(isinstance(each["amount"], int) and 0 < each["amount"] < 10 for each in made)

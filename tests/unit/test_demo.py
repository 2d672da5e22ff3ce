"""The demonstration against a server that notes what it is sent."""

from __future__ import annotations

import http.server
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.embedded.demo import Demo
from app.embedded.demo_calls import Answer, Caller
from app.embedded.demo_cast import CAST, HIDDEN, avatar
from app.embedded.demo_games import GAMES, Game, first_grants, grant
from app.embedded.demo_story import CORRECTION_EVERY, LIVELY_GRANTS, QUIET_PAUSE_S, SUSPICIOUS_EVERY, Pace, Story
from app.model.profile import NamespaceProfile, check_display


class Server:
    """Answers every call with `status`, and a path with its body of `answers`; a list of (method, path, body)."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.answers: dict[str, bytes] = {}
        self.status = 201
        noted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # Head and body in one packet: else each answer waits 40 ms for an acknowledgement.

            def answer(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
                assert self.headers["Authorization"] == "Bearer key"
                noted.calls.append((self.command, self.path, json.loads(sent or b"{}")))
                answer = noted.answers.get(self.path.partition("?")[0], b"{}")
                self.send_response(noted.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

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

    def saw(self, method: str, end: str = "") -> list[Any]:
        return [body for called, path, body in self.calls if called == method and path.endswith(end)]

    def grants(self) -> list[dict[str, Any]]:
        """The grants that came one by one."""
        return [body for body in self.saw("POST", "/grants") if isinstance(body, dict)]


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


class StoryCaller(Caller):
    """Notes calls in place of making them; `waiting` grants are in quarantine."""

    def __init__(self, waiting: int = 0, metrics: str = "") -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.waiting, self.metrics = waiting, metrics

    def call(self, method: str, path: str, body: object = None) -> Answer:
        self.calls.append((method, path, body))
        return Answer(200, {"grants": [{"grant_id": f"g{i}"} for i in range(self.waiting)]}, "")

    def text(self, path: str) -> str:
        return self.metrics

    def went(self, method: str) -> list[str]:
        return [path for called, path, _ in self.calls if called == method]


def test_declares_its_games_fills_and_plays_them(server: Server) -> None:
    said: list[str] = []
    demo = play(server, said)
    until(lambda: len(server.grants()) >= 2)
    demo.stop()
    assert said == []
    for game in GAMES:
        path = f"/v1/namespaces/{game.namespace}"
        [sent] = server.saw("PUT", path)
        assert sent["visibility"] == "public"
        assert any(isinstance(body, list) for body in server.saw("POST", f"{game.namespace}/grants"))
        assert len(server.saw("POST", f"{game.namespace}/users/{HIDDEN}/hide")) == 1
        for number, player in enumerate(CAST):
            [profile] = server.saw("PUT", f"{game.namespace}/users/{player.user_id}")
            assert profile == {"display_name": player.display_name, "avatar": avatar(number)}


def test_a_game_that_is_there_is_not_filled_again(server: Server) -> None:
    season = {"name": "older", "starts": "2020-01-01T00:00:00Z", "ends": "2020-01-02T00:00:00Z"}
    last = {"profile": {"display_name": CAST[-1].display_name, "avatar": avatar(len(CAST) - 1)}}
    for game in GAMES:
        path = f"/v1/namespaces/{game.namespace}"
        server.answers[path] = json.dumps({"seasons": [season]}).encode()
        server.answers[f"{path}/boards/all"] = b'{"total":3}'
        server.answers[f"{path}/users/{CAST[-1].user_id}"] = json.dumps(last).encode()
    server.status = 200
    demo = play(server, [])
    until(server.grants)
    demo.stop()
    assert len(server.saw("PUT")) == len(GAMES)
    assert all(body["seasons"][0] == season for body in server.saw("PUT")), "grants may lie in it"
    assert not any(isinstance(body, list) for body in server.saw("POST"))


def test_goes_on_when_the_server_comes_back_or_is_less_busy() -> None:
    said: list[str] = []
    first = Server()
    demo = play(first, said)
    until(first.grants)
    first.status = 503
    before = len(first.calls)
    until(lambda: len(first.calls) > before)
    first.close()
    second = Server(first.port)
    until(second.grants)
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
    assert server.saw("POST") == []


def test_stops_at_once_with_nobody_to_play_with() -> None:
    demo = Demo("http://127.0.0.1:9", "key", say=print)
    demo.start()
    begun = time.monotonic()
    demo.stop()
    assert time.monotonic() - begun < 0.6
    Demo("http://127.0.0.1:9", "key", say=print).stop()  # never started


def test_grants_are_never_alike() -> None:
    made = [grant(game, random.Random(i)) for game in GAMES for i in range(200)]
    assert len({each["grant_id"] for each in made}) == len(made)
    assert {each["user_id"] for each in made} <= {player.user_id for player in CAST}


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.namespace)
def test_the_first_grants_fill_the_last_weeks(game: Game) -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    made = first_grants(game, now)
    assert len(made) <= 1_000
    assert {each["user_id"] for each in made} == {player.user_id for player in CAST}
    moments = [datetime.fromisoformat(each["granted_at"]) for each in made]
    assert now - timedelta(days=29) < min(moments) < now - timedelta(days=21)
    assert max(moments) < now
    again = first_grants(game, now)
    assert [each["amount"] for each in again] == [each["amount"] for each in made], "not the same in every run"


def test_a_season_is_there_before_its_first_grant() -> None:
    rules = GAMES[0].rules_at(datetime(2026, 12, 31, tzinfo=UTC), [])
    assert [(one["starts"], one["ends"]) for one in rules["seasons"]] == [
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
    ]
    assert all(50 < len(one["name"]) <= 64 for one in rules["seasons"])
    assert GAMES[0].rules_at(datetime(2026, 12, 31, tzinfo=UTC), rules["seasons"]) == rules


def test_names_and_pictures_are_what_a_server_takes() -> None:
    for number, player in enumerate(CAST):
        check_display(NamespaceProfile(display_name=player.display_name, avatar=avatar(number)))
    assert len({player.user_id for player in CAST}) == len(CAST)
    pictures = [avatar(number) for number in range(len(CAST))]
    assert None in pictures
    assert len({*pictures}) == len(pictures) - pictures.count(None) + 1
    assert max(len(each) for each in pictures if each) < 512, "each row of a frame has it"


def test_corrections_take_turns() -> None:
    caller = StoryCaller()
    story = Story(caller, random.Random(1))
    for _ in range(CORRECTION_EVERY * 12):
        story.go_on(GAMES[1])
    restored = [path.removesuffix("/restore") for path in caller.went("POST") if path.endswith("/restore")]
    voided = [path.partition("?reason=")[0] for path in caller.went("DELETE") if "too%20good" not in path]
    assert restored
    assert restored == voided[: len(restored)]
    assert len(voided) - len(restored) <= 1
    assert len(caller.went("PATCH")) + len(voided) + len(restored) == 12


@pytest.mark.parametrize(("waiting", "decided"), [(4, []), (5, ["g0"])])
def test_quarantine_does_not_fill(waiting: int, decided: list[str]) -> None:
    caller = StoryCaller(waiting)
    story = Story(caller, random.Random(1))
    for _ in range(SUSPICIOUS_EVERY // 2):
        story.go_on(GAMES[2])
    voided = [path for path in caller.went("DELETE") if "too%20good" in path]
    assert [path.partition("?")[0].rpartition("/")[2] for path in voided] == decided


def test_the_pace_is_lively_while_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("app.embedded.demo_story.time.monotonic", lambda: now[0])
    pace, chance = Pace(), random.Random(1)
    watched = StoryCaller(metrics="leaderboard_live_connections 2.0\n")
    alone = StoryCaller(metrics="leaderboard_live_connections 0.0\n")

    def day(caller: Caller) -> int:
        end, count = now[0] + 86_400, 0
        while now[0] < end:
            now[0] += pace.pause(chance, caller)
            count += 1
        return count

    assert pace.pause(chance, watched) < 1
    first = day(watched)
    assert LIVELY_GRANTS + 21_000 < first < LIVELY_GRANTS + 22_700
    assert day(watched) < 22_700
    assert day(alone) < 22_700
    now[0] += 11
    assert pace.pause(chance, alone) == QUIET_PAUSE_S

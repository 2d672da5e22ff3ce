"""Models that the client keeps, beside reads at the same version, while writes go on and parts are killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.embedded import free_port
from tests.conftest import KEY, Stack
from tests.support.node_program import NodeProgram
from tests.support.waits import until

pytestmark = [pytest.mark.full, pytest.mark.own_valkey, pytest.mark.timeout(400)]

SPACE = "race"
USERS = [f"u{number}" for number in range(30)] + ["a/b ü", "x" * 100]
SECONDS = 60.0
#: Each live view, and how REST is asked for the same.
VIEWS: list[tuple[dict[str, Any], str]] = [
    ({"view": {"kind": "top", "limit": 10}}, "boards/all?limit=10"),
    ({"view": {"kind": "around", "user": "u3", "radius": 2}}, "boards/all?around=u3&radius=2"),
    (
        {"view": {"kind": "users", "users": ["u1", "u5", "a/b ü"]}},
        f"boards/all?user=u1&user=u5&user={quote('a/b ü', safe='')}",
    ),
    ({"view": {"kind": "stats"}}, "boards/all/stats"),
    ({"view": {"kind": "top", "limit": 100}, "category": "red"}, "boards/all?category=red&limit=100"),
    ({"view": {"kind": "top", "limit": 5}, "window": "day"}, "boards/day?limit=5"),
]
FOLLOW = """
const live = new Leaderboard({ url: given.url, key: given.key }).connect({
  onError: (problem) => tell({ error: problem.code }),
});
given.views.forEach((view, index) => live.subscribe(
  { namespace: given.space, ...view },
  ({ version, entries, stats, total }) => tell({ index, version, entries, stats, total }),
));
"""


class Models:
    """What a program in Node has of each view: the newest state by index."""

    def __init__(self, url: str) -> None:
        views = [view for view, _ in VIEWS]
        self._program = NodeProgram(FOLLOW, url=url, key=KEY, space=SPACE, views=views)
        self.newest: dict[int, Any] = {}
        self.faults: set[str] = set()
        self.count = 0
        self._thread = threading.Thread(target=self._follow)
        self._is_over = False
        self._thread.start()

    def end(self) -> None:
        self._is_over = True
        self._program.__exit__()
        self._thread.join()

    def _follow(self) -> None:
        while not self._is_over:
            try:
                line = self._program.hear(1)
            except AssertionError:
                continue
            if "error" in line:
                self.faults.add(line["error"])
            else:
                self.newest[line["index"]] = line
                self.count += 1

    def is_at(self, index: int, page: Any) -> bool:
        """Whether a view is at the version of a page; then it says the same."""
        state = self.newest.get(index)
        if state is None or state["version"] != page["version"]:
            return False
        if "stats" in state:
            return bool({name: page[name] for name in state["stats"]} == state["stats"])
        return bool(state["entries"] == page["entries"])


class Writer(threading.Thread):
    """Grants, corrections, hides and names in any order. It stops between two reads."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self.url, self.chance, self.numbers = url, random.Random(seed), iter(range(10**9))
        self.may_write, self.has_stopped, self.is_over = threading.Event(), threading.Event(), False

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=10) as client:
            while not self.is_over:
                if not self.may_write.wait(0.05):
                    self.has_stopped.set()
                    continue
                self.has_stopped.clear()
                try:
                    self._write(client)
                except httpx.TransportError:
                    time.sleep(0.05)
        self.has_stopped.set()

    def _write(self, client: httpx.Client) -> None:
        user, base = self.chance.choice(USERS), f"/v1/namespaces/{SPACE}"
        match self.chance.randrange(40):
            case 0:
                act = self.chance.choice(["hide", "unhide"])
                if user != "u3":  # A read around a user who is not on the board is 404; a live view is empty.
                    client.post(f"{base}/users/{quote(user, safe='')}/{act}")
            case 1:
                name = self.chance.choice([None, "Ann", "Zoë"])
                client.put(f"{base}/users/{quote(user, safe='')}", json={"display_name": name})
            case 2:
                client.delete(f"{base}/grants/g{self.chance.randrange(200)}?reason=x")
            case _:
                grant = {"grant_id": f"g{next(self.numbers)}", "user_id": user, "amount": self.chance.randint(-5, 9)}
                grant |= {"category": self.chance.choice(["red", "blue"])}
                client.post(f"{base}/grants", json=grant)


@contextmanager
def second_server(stack: Stack) -> Iterator[str]:
    port = free_port()
    environment = stack.environment | {"LEADERBOARD_PORT": str(port)}
    with (stack.folder / "second.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def break_something(stack: Stack, turn: int) -> str:
    """Kills a part, and brings it back; a server also ends as it should. What it was."""
    match turn % 4:
        case 0:
            stack.kill("serve")
            stack.start("serve")
            return "kill serve"
        case 1:
            stack.restart()
            return "drain"
        case 2:
            stack.kill("redis")
            stack.start("redis")
            return "kill redis"
        case _:
            stack.kill("persist")
            stack.start("persist")
            return "kill persist"


def compare(client: httpx.Client, models: dict[str, Models], seconds: float) -> int:
    """Nobody writes: until each model of each view is what a read says. How many they were."""
    for index, (_, path) in enumerate(VIEWS):

        def agree(index: int = index, path: str = path) -> bool:
            answer = client.get(f"/v1/namespaces/{SPACE}/{path}")
            return answer.status_code == 200 and all(one.is_at(index, answer.json()) for one in models.values())

        try:
            until(agree, f"{path} is not what a read says", seconds)
        except AssertionError:
            page = client.get(f"/v1/namespaces/{SPACE}/{path}").json()
            raise AssertionError(path, page, {name: one.newest.get(index) for name, one in models.items()}) from None
    return len(VIEWS) * len(models)


def test_models_are_what_reads_say(own_stack: Stack) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with own_stack.client() as client, second_server(own_stack) as second:
        rules = {"accept_past": None, "category_boards": True}
        assert client.put(f"/v1/namespaces/{SPACE}", json=rules).status_code == 201
        grant = {"grant_id": "first", "user_id": "u3", "amount": 1, "category": "red"}
        assert client.post(f"/v1/namespaces/{SPACE}/grants", json=grant).status_code == 201
        models = {url: Models(url) for url in (own_stack.url, second)}
        writer = Writer(own_stack.url, seed)
        try:
            writer.start()
            end, turn, count = time.monotonic() + SECONDS, 0, 0
            while time.monotonic() < end:
                writer.may_write.set()
                time.sleep(0.5)
                if turn % 3 == 2:
                    print(break_something(own_stack, turn // 3), flush=True)
                time.sleep(0.5)
                writer.may_write.clear()
                assert writer.has_stopped.wait(20)
                count += compare(client, models, 40)
                turn += 1
            frames = {url: one.count for url, one in models.items()}
            faults = set().union(*(one.faults for one in models.values()))
            print(f"{turn} rounds, {count} comparisons, frames {frames}, faults {faults}")
            assert "gap" not in faults, "each change leads on from the state before it"
            assert "bad_answer" not in faults
            assert min(frames.values()) > 100
        finally:
            writer.is_over = True
            writer.may_write.set()
            writer.join()
            for one in models.values():
                one.end()

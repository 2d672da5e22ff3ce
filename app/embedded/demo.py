"""A demonstration that keeps scores moving: a thread that plays through the REST API like any client."""

from __future__ import annotations

import http.client
import json
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Seconds that a call may take. After them the call is made again: the server may be restarting.
TIMEOUT_S = 2.0
#: Seconds between two grants, at random: three to eight grants a second, so that people can follow them.
PAUSE_S_MIN, PAUSE_S_MAX = 1 / 8, 1 / 3
#: Seconds before the next try while the server is away, because it restarts.
RETRY_S = 0.5
#: Seconds that `stop` waits for a call under way. The thread ends with the process in any case.
STOP_S_MAX = 0.5
PLAYERS = (
    "badger",
    "bee",
    "bison",
    "crane",
    "dolphin",
    "eagle",
    "falcon",
    "ferret",
    "finch",
    "fox",
    "gecko",
    "gull",
    "hare",
    "heron",
    "ibex",
    "jackdaw",
    "kestrel",
    "koala",
    "lemur",
    "lynx",
    "magpie",
    "marten",
    "newt",
    "ocelot",
    "orca",
    "otter",
    "owl",
    "panda",
    "puffin",
    "raven",
    "seal",
    "stork",
    "tapir",
    "wren",
)


@dataclass(frozen=True, slots=True)
class Game:
    """A namespace of the demonstration, with the categories, sources and amounts of its grants."""

    namespace: str
    display_name: str
    categories: tuple[str, ...]
    sources: tuple[str, ...]
    amounts: tuple[int, ...]


GAMES = (
    Game("demo-arena", "Demo: arena", ("forest", "river", "summit"), ("match", "quest"), (1, 2, 3, 5, 8)),
    Game("demo-quiz", "Demo: quiz", ("history", "nature", "science"), ("question", "streak"), (1, 2, 5)),
)


class Demo:
    """Sends grants from `start` to `stop`. Waits while the server is away. If the server refuses a call for good, it
    ends and gives the reason to `say`."""

    def __init__(self, url: str, api_key: str, *, say: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._say = say
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)

    def start(self) -> None:
        """Begin to send grants."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more grants. Waits at most half a second for a call under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        while not self._stopped.is_set():
            connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_S)
            try:
                if refusal := self._play(connection):
                    self._say(f"the demonstration ended: {refusal}")
                    return
            except (OSError, http.client.HTTPException):
                pass  # The server is away: it restarts.
            finally:
                connection.close()
            self._stopped.wait(RETRY_S)

    def _play(self, connection: http.client.HTTPConnection) -> str:
        """Send grants until stopped. Returns why the server refused a call; "" if stopped or to try later."""
        for game in GAMES:
            rules = {"display_name": game.display_name, "visibility": "public"}
            status, text = self._call(connection, "PUT", f"/v1/namespaces/{game.namespace}", rules)
            if status >= 300:
                return "" if is_temporary(status) else text
        while not self._stopped.wait(random.uniform(PAUSE_S_MIN, PAUSE_S_MAX)):
            game = random.choice(GAMES)
            status, text = self._call(connection, "POST", f"/v1/namespaces/{game.namespace}/grants", grant(game))
            if status >= 300:
                return "" if is_temporary(status) else text
        return ""

    def _call(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Mapping[str, object]
    ) -> tuple[int, str]:
        connection.request(method, path, json.dumps(body), self._headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return answer.status, f"{method} {path} answered {answer.status} {text}"


def grant(game: Game) -> dict[str, object]:
    """One random grant; its id is unique across runs."""
    return {
        "grant_id": f"demo-{uuid.uuid4()}",
        "user_id": random.choice(PLAYERS),
        "amount": random.choice(game.amounts),
        "category": random.choice(game.categories),
        "source": random.choice(game.sources),
    }


def is_temporary(status: int) -> bool:
    """Whether to try again later: the server is busy or away, or somebody deleted the namespace (it is made again)."""
    return status in (404, 408, 429) or status >= 500

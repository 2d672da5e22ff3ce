"""A demonstration that keeps scores moving: a thread that plays through the REST API like any client."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from .demo_calls import CALL_S_MAX, AwayError, Caller, RefusedError
from .demo_cast import CAST, HIDDEN, avatar
from .demo_games import GAMES, Game, first_grants
from .demo_story import Pace, Story

#: Seconds before the next try while the server is away, because it restarts.
RETRY_S = 0.5
#: Seconds that `stop` waits for a call under way. The thread ends with the process in any case.
STOP_S_MAX = 0.5


class Demo:
    """Plays from `start` to `stop`. Waits while the server is away. If the server refuses a call for good, it ends and
    gives the reason to `say`."""

    def __init__(self, url: str, api_key: str, *, say: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._say = say
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)
        self._chance = random.Random()
        self._pace = Pace()

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more grants. Waits at most half a second for a call under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        while not self._stopped.is_set():
            connection = http.client.HTTPConnection(*self._address, timeout=CALL_S_MAX)
            try:
                self._play(Caller(connection, self._headers))
            except RefusedError as refused:
                self._say(f"the demonstration ended: {refused}")
                return
            except (AwayError, OSError, http.client.HTTPException):
                pass  # The server is away: it restarts.
            finally:
                connection.close()
            self._stopped.wait(RETRY_S)

    def _play(self, caller: Caller) -> None:
        for game in GAMES:
            if self._stopped.is_set():
                return
            self._prepare(game, caller)
        story = Story(caller, self._chance)
        while not self._stopped.wait(self._pace.pause(self._chance, caller)):
            story.go_on(self._chance.choice(GAMES))

    def _prepare(self, game: Game, caller: Caller) -> None:
        """Makes the namespace, and fills a new one. One of an older release keeps the rules that its grants lock."""
        path = f"/v1/namespaces/{game.namespace}"
        now = datetime.now(UTC)
        there = caller.call("GET", path)
        seasons = there.body.get("seasons", []) if there.status == 200 else []
        made = caller.call("PUT", path, game.rules_at(now, seasons))
        if made.status >= 300 and made.body.get("code") != "rule_locked":
            made.must_do()
        if caller.call("GET", f"{path}/boards/all?limit=1").must_do().body.get("total", 0) == 0:
            caller.call("POST", f"{path}/grants", first_grants(game, now)).must_do()
        last = {"display_name": CAST[-1].display_name, "avatar": avatar(len(CAST) - 1)}
        known = caller.call("GET", f"{path}/users/{CAST[-1].user_id}").body.get("profile") or {}
        if all(known.get(field) == value for field, value in last.items()):
            return
        for number, player in enumerate(CAST):
            profile = {"display_name": player.display_name, "avatar": avatar(number)}
            caller.call("PUT", f"{path}/users/{player.user_id}", profile).must_do()
        caller.call("POST", f"{path}/users/{HIDDEN}/hide").must_do()

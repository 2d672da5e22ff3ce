"""What happens in the demonstration once its boards are there, and how fast."""

from __future__ import annotations

import random
import re
import time
from collections import deque
from urllib.parse import quote

from .demo_calls import Caller
from .demo_games import SUSPICIOUS, Game, grant, suspicious_grant

#: Seconds between two grants, at random: three to eight grants a second, so that people can follow them.
PAUSE_S_MIN, PAUSE_S_MAX = 1 / 8, 1 / 3
#: Seconds between two grants while nobody watches a board, or after `LIVELY_GRANTS`: what is recorded stays.
QUIET_PAUSE_S = 4.0
#: Grants that come fast: those of an hour and more. One comes back every `QUIET_PAUSE_S`, so that there are at most
#: 21,600 grants a day in the long run, whoever watches.
LIVELY_GRANTS = 20_000
#: Seconds between two looks whether somebody watches.
LOOK_S = 10.0
#: Grants between two corrections, and between two grants that are held in quarantine.
CORRECTION_EVERY, SUSPICIOUS_EVERY = 60, 400
#: Grants in quarantine that wait for a decision. Beyond them, the oldest one is decided.
QUARANTINED_MAX = 4
#: Grants that may be corrected: the last ones.
RECENT_MAX = 50
#: Why a grant is corrected.
REASONS = ("counted twice", "the referee looked again", "a cell of the timer was flat", "it was another animal")
_WATCHERS = re.compile(r"^leaderboard_live_connections (\S+)$", re.MULTILINE)


class Pace:
    """How long to wait before the next grant. Lively while somebody watches and there are lively grants left."""

    def __init__(self) -> None:
        self._left = float(LIVELY_GRANTS)
        self._is_watched = True
        self._looked_at = self._at = time.monotonic()

    def pause(self, chance: random.Random, caller: Caller) -> float:
        """Seconds."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) / QUIET_PAUSE_S, LIVELY_GRANTS)
        self._at = now
        if now - self._looked_at > LOOK_S:
            self._looked_at = now
            watchers = _WATCHERS.search(caller.text("/metrics"))
            self._is_watched = watchers is None or float(watchers[1]) > 0
        self._left = max(self._left - 1, 0)
        return chance.uniform(PAUSE_S_MIN, PAUSE_S_MAX) if self._is_watched and self._left >= 1 else QUIET_PAUSE_S


class Story:
    """Grants; now and then a correction, or a grant that is held in quarantine until somebody decides."""

    def __init__(self, caller: Caller, chance: random.Random) -> None:
        self._caller, self._chance = caller, chance
        self._count = 0
        self._recent: deque[tuple[str, float]] = deque(maxlen=RECENT_MAX)  # path, amount
        self._voided = ""  # path

    def go_on(self, game: Game) -> None:
        """The next grant, and what is due beside it. RefusedError, AwayError, OSError, HTTPException."""
        self._count += 1
        path = f"/v1/namespaces/{game.namespace}/grants"
        sent = grant(game, self._chance)
        self._caller.call("POST", path, sent).must_do()
        self._recent.append((f"{path}/{sent['grant_id']}", sent["amount"]))
        if self._count % CORRECTION_EVERY == 0:
            self._correct()
        if self._count % SUSPICIOUS_EVERY == SUSPICIOUS_EVERY // 2:
            self._suspect(SUSPICIOUS)

    def _correct(self) -> None:
        """An edit, a void, or the void taken back, in turn. What is refused is left: somebody else corrected it."""
        path, amount = self._recent[0]
        reason = self._chance.choice(REASONS)
        if self._voided:
            self._caller.call("POST", f"{self._voided}/restore", {"reason": "no: it did count"})
            self._voided = ""
        elif self._chance.random() < 0.5:
            self._caller.call("PATCH", path, {"amount": amount + 1, "reason": reason})
        else:
            self._caller.call("DELETE", f"{path}?reason={quote(reason)}")
            self._voided = path

    def _suspect(self, game: Game) -> None:
        """One more grant in quarantine. With too many of them there, the oldest one is voided."""
        path = f"/v1/namespaces/{game.namespace}/grants"
        self._caller.call("POST", path, suspicious_grant(game, self._chance))
        waiting = self._caller.call("GET", f"{path}?state=quarantined").body.get("grants", [])
        if len(waiting) > QUARANTINED_MAX:
            self._caller.call("DELETE", f"{path}/{waiting[0]['grant_id']}?reason={quote('too good to be true')}")

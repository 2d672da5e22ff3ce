"""Whether a store answers: its address, and one line in the log when it goes away and one when it is back."""

from functools import cache
from time import monotonic
from urllib.parse import urlsplit

import structlog

log = structlog.get_logger()

_SETTINGS = {"Redis": "LEADERBOARD_REDIS_URL", "Postgres": "LEADERBOARD_POSTGRES_URL"}


class StoreContact:
    """What a process knows of one store. Every connection to it notes here whether its calls were answered."""

    #: Whether outages are logged: processes that outlast them do, commands that end with them do not.
    is_logged = False

    def __init__(self, store: str, url: str) -> None:
        self._store = store
        self._address = address_of(url)
        self.setting = _SETTINGS[store]
        self._answered_s = -1.0
        self._away_since_s: float | None = None

    @property
    def address(self) -> str:
        """Host and port, or the path of a socket."""
        return self._address

    @property
    def silence(self) -> str:
        """The text that it does not answer, with its address and the setting that names the address."""
        return f"{self._store} does not answer at {self._address} ({self.setting})"

    def note_answer(self) -> None:
        """The store answered. O(1): every call ends here."""
        self._answered_s = now = monotonic()
        if self._away_since_s is not None:
            after_s, self._away_since_s = round(now - self._away_since_s, 1), None
            self._log("info", "is back", address=self._address, away_s=after_s)

    def note_silence(self, error: BaseException, start_s: float, lost_after_s: float | None = None) -> None:
        """A call that began at `start_s` (monotonic) was not answered. It does not count if the store answered another
        call since then.

        lost_after_s: when the broken connection last got an answer. It may have broken long before the call: if another
        connection got an answer since then, the store was away and is back, and a new connection shows its state now.
        """
        if self._away_since_s is None and self._answered_s <= (start_s if lost_after_s is None else lost_after_s):
            self._away_since_s = start_s
            words = f"{type(error).__name__}: {error}".rstrip(": ")
            self._log("warning", "is away", address=self._address, setting=self.setting, error=words)

    def _log(self, level: str, event: str, **words: object) -> None:
        if StoreContact.is_logged:
            getattr(log, level)(f"{self._store} {event}", **words)


def log_outages() -> None:
    """Makes this process log when a store goes away and when it is back."""
    StoreContact.is_logged = True


@cache
def contact(store: str, url: str) -> StoreContact:
    """The one contact of this process with a store: `Redis` or `Postgres`."""
    return StoreContact(store, url)


def address_of(url: str) -> str:
    """Host and port, or the path of a socket; without name and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return parts.netloc.rpartition("@")[2] or "the local socket"

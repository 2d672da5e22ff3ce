"""Our own parts: verbs of the program, each a process, configured through their environment."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .child import Child

# -P: a folder named app where the user stands is not ours.
PROGRAM = (sys.executable, "-P", "-m", __name__.partition(".")[0])
#: Seconds for an answer to /healthz; the next look comes soon.
PROBE_S_MAX = 0.5
#: A persister has no port to ask; one that is wrongly set up is gone by then.
PERSIST_SETTLED_S = 0.5


class Verb(Child):
    """`<program> <verb>`, its log in `<data_dir>/logs`; `settings` are asked for at every spawn."""

    def __init__(
        self, verb: str, data_dir: Path, settings: Callable[[], Mapping[str, str]], program: Sequence[str] = PROGRAM
    ) -> None:
        super().__init__(verb, data_dir.absolute() / "logs" / f"{verb}.log", (*program, verb))
        self._settings = settings

    def environment(self) -> Mapping[str, str]:
        """The caller's, and over it the settings."""
        return {**os.environ, **self._settings()}


class Serve(Verb):
    """The server; ready when its `/healthz` answers 200 at `address`."""

    def __init__(
        self,
        data_dir: Path,
        settings: Callable[[], Mapping[str, str]],
        program: Sequence[str] = PROGRAM,
        *,
        address: tuple[str, int],
    ) -> None:
        super().__init__("serve", data_dir, settings, program)
        self._address = address

    def is_ready(self) -> bool:
        """Whether the process runs and answers."""
        connection = http.client.HTTPConnection(*self._address, timeout=PROBE_S_MAX)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200 and self.returncode is None
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Persist(Verb):
    """The persister; ready when it has run for a moment."""

    def __init__(
        self, data_dir: Path, settings: Callable[[], Mapping[str, str]], program: Sequence[str] = PROGRAM
    ) -> None:
        super().__init__("persist", data_dir, settings, program)
        self._spawned = 0.0

    def spawn(self) -> None:
        """Start the process, and its moment."""
        self._spawned = time.monotonic()
        super().spawn()

    def is_ready(self) -> bool:
        """Whether it still runs after its moment."""
        return self.returncode is None and time.monotonic() - self._spawned > PERSIST_SETTLED_S

"""The application's own processes: verbs of the program, configured through their environment."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .child import Child

# -P: a folder named app in the user's working directory must not be imported instead.
PROGRAM = (sys.executable, "-P", "-m", __name__.partition(".")[0])
#: Seconds for an answer to /healthz. The next check comes soon.
PROBE_S_MAX = 0.5
#: Seconds that a persister must run to count as ready: it has no port to check, and with wrong settings it ends sooner.
PERSIST_SETTLED_S = 0.5


class Verb(Child):
    """`<program> <verb>`, its log in `<data_dir>/logs`. `settings` is called at every spawn."""

    def __init__(
        self, verb: str, data_dir: Path, settings: Callable[[], Mapping[str, str]], program: Sequence[str] = PROGRAM
    ) -> None:
        super().__init__(verb, data_dir.absolute() / "logs" / f"{verb}.log", (*program, verb))
        self._settings = settings

    def environment(self) -> Mapping[str, str]:
        """The caller's environment; the settings override it."""
        return {**os.environ, **self._settings()}


class Serve(Verb):
    """The server. It is ready when `/healthz` answers 200 at `address`."""

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
        """Whether the process runs and `/healthz` answers 200."""
        connection = http.client.HTTPConnection(*self._address, timeout=PROBE_S_MAX)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200 and self.returncode is None
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Persist(Verb):
    """The persister. It is ready when it has run for half a second."""

    def __init__(
        self, data_dir: Path, settings: Callable[[], Mapping[str, str]], program: Sequence[str] = PROGRAM
    ) -> None:
        super().__init__("persist", data_dir, settings, program)
        self._spawned = 0.0

    def spawn(self) -> None:
        """Start the process, and note when."""
        self._spawned = time.monotonic()
        super().spawn()

    def is_ready(self) -> bool:
        """Whether it still runs half a second after its start."""
        return self.returncode is None and time.monotonic() - self._spawned > PERSIST_SETTLED_S

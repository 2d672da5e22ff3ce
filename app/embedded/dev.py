"""`leaderboard dev`: Redis, Postgres, the server and the persister in one command, in the foreground."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TextIO

from ..settings import API_KEY
from .child import Child, EmbeddedError, free_port
from .demo import Demo
from .folder import DataFolder, FolderError, check_ours
from .postgres import PostgresProcess
from .supervisor import StopRequestedError, Supervisor
from .valkey import ValkeyProcess
from .verbs import PROGRAM, Persist, Serve, Verb

#: Seconds that the migration may take before the start is given up.
MIGRATE_S_MAX = 120.0
#: Seconds after the first Ctrl-C within which another one is ignored: a terminal may send one twice. Later ones mean
#: to hurry.
HURRY_AFTER_S = 0.5
#: Whose pages may use a server that is being tried out.
_LOCAL_PAGES = "http://localhost:*,http://127.0.0.1:*"
#: What the first call that `dev` prints sends, as a shell has it.
_HEADERS = '-H "Authorization: Bearer $KEY" -H "Content-Type: application/json"'
_RULES = '{"visibility": "public", "scale": 1}'


class UsageError(Exception):
    """An option's value cannot be used. The text names the option."""


class StopSignals:
    """While entered, SIGTERM, SIGINT and SIGHUP set `should_stop` instead of ending the process.

    Another signal more than half a second later sets `should_hurry`. An earlier one counts as the first one, sent twice
    (a parent may pass on what the terminal sent to all).
    """

    def __init__(self) -> None:
        self.should_stop = False
        self.should_hurry = False
        self._first_s = 0.0
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.should_stop:
            self.should_stop, self._first_s = True, now
        elif now - self._first_s > HURRY_AFTER_S:
            self.should_hurry = True


def run_dev(
    *,
    host: str,
    port: int,
    data_dir: Path,
    api_key: str | None,
    demo: bool,
    reset: bool = False,
    program: Sequence[str] = PROGRAM,
) -> int:
    """Run all parts until SIGTERM or Ctrl-C; call it from the main thread.

    `port` 0 takes a free port. `reset` deletes for good what earlier runs left in the folder. `program` is the command
    line to which `serve`, `persist` and `migrate` are added. Returns the exit code: 0 if it was stopped, 1 if a part
    could not be kept running, 2 if it was refused before any part was started.
    """
    try:
        if api_key is not None and not API_KEY.fullmatch(api_key):
            raise UsageError("--api-key (LEADERBOARD_API_KEY): must be lb_<id>_<secret of 16 or more characters>")
        if reset:
            check_ours(data_dir)
        with StopSignals() as signals, DataFolder(data_dir) as folder:
            port = _claim(host, port)
            if reset:
                folder.reset()
            dev = Dev(folder, signals, host=host, port=port, api_key=folder.api_key(api_key), program=program)
            return dev.run(demo=demo)
    except (UsageError, FolderError, EmbeddedError, OSError) as error:
        _warn(str(error))
        return 2


class Dev:
    """The parts of one run: starts them, keeps them running, ends them."""

    def __init__(
        self, folder: DataFolder, signals: StopSignals, *, host: str, port: int, api_key: str, program: Sequence[str]
    ) -> None:
        self._folder, self._signals = folder, signals
        self._host, self._port, self._api_key = host, port, api_key
        # A server that listens on every address is reached by loopback.
        near = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._url = f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
        self._valkey = ValkeyProcess(folder.path, free_port(), keep_fds=[folder.lock_fd])
        self._postgres = PostgresProcess(folder.path, free_port(), keep_fds=[folder.lock_fd])
        self._migrate = Verb("migrate", folder.path, self._settings, program)
        self._serve = Serve(folder.path, self._settings, program, address=(near, port))
        self._persist = Persist(folder.path, self._settings, program)
        self._supervisor = Supervisor(stopping=lambda: signals.should_stop, say=_warn, adopt_orphans=True)
        self._pids: dict[str, int] = {}  # of the parts that were ready last
        self._demo = Demo(self._url, api_key, say=_warn)

    def run(self, *, demo: bool) -> int:
        """Start all parts, keep them running until a stop is requested, end them. Returns the exit code."""
        try:
            self._bring_up()
            if demo:
                self._demo.start()
            self._supervisor.watch(restarted=self._write_run)
        except StopRequestedError:
            return 0
        except (EmbeddedError, OSError) as error:
            _warn(str(error))
            return 1
        finally:
            self._demo.stop()
            self._folder.forget_run()
            self._supervisor.stop(
                [self._serve],
                [self._persist],
                [self._postgres, self._valkey],
                hurry=lambda: self._signals.should_hurry,
            )

    def _bring_up(self) -> None:
        for log in (self._folder.path / "logs").glob("*.log"):
            log.replace(log.with_name(f"{log.name}.1"))
        self._supervisor.bring_up(self._valkey, self._postgres)
        self._supervisor.run(self._migrate, MIGRATE_S_MAX)
        self._supervisor.bring_up(self._serve, self._persist)
        self._write_run((self._valkey, self._postgres, self._serve, self._persist))
        _print(sys.stdout, self._banner())

    def _settings(self) -> dict[str, str]:
        return {
            "LEADERBOARD_REDIS_URL": self._valkey.url,
            "LEADERBOARD_POSTGRES_URL": self._postgres.url,
            "LEADERBOARD_HOST": self._host,
            "LEADERBOARD_PORT": str(self._port),
            "LEADERBOARD_API_KEY": self._api_key,
            "LEADERBOARD_DATA_DIR": str(self._folder.path),
            "LEADERBOARD_WEBHOOK_KEY": os.environ.get("LEADERBOARD_WEBHOOK_KEY", str(self._folder.webhook_key())),
            "LEADERBOARD_TOKEN_KEYS": os.environ.get("LEADERBOARD_TOKEN_KEYS", str(self._folder.token_key())),
            # A page that is being written comes from a server of its own on this machine.
            "LEADERBOARD_CORS_ORIGINS": os.environ.get("LEADERBOARD_CORS_ORIGINS", _LOCAL_PAGES),
            "LEADERBOARD_WEBHOOK_LOOPBACK": os.environ.get("LEADERBOARD_WEBHOOK_LOOPBACK", "on"),
            "LEADERBOARD_QUOTAS": os.environ.get("LEADERBOARD_QUOTAS", "off"),
            "LEADERBOARD_RECOVER": "off" if os.environ.get("LEADERBOARD_RECOVER") == "off" else "own",
        }

    def _write_run(self, ready: Sequence[Child]) -> None:
        self._pids.update((part.name, part.pid) for part in ready)
        self._folder.write_run(
            {
                "http": self._url,
                "redis": self._valkey.url,
                "postgres": self._postgres.url,
                "api_key": self._api_key,
                "pids": self._pids,
            }
        )

    def _recovery(self) -> str:
        """What becomes of a Redis that lost its data."""
        if self._settings()["LEADERBOARD_RECOVER"] == "off":
            return "  losses   stay (LEADERBOARD_RECOVER=off): /readyz names the command that mends them\n"
        return "  losses   what Redis loses, by FLUSHALL too, comes back from Postgres by itself, after some seconds\n"

    def _banner(self) -> str:
        return f"""
  leaderboard is up:  {self._url}  (/console corrects scores, /docs lists every call)

  In a second terminal, a first call. The key may do all (admin:*): it is for servers, never for a page or an app.

export URL={self._url} KEY={self._api_key}
curl -X PUT $URL/v1/namespaces/race {_HEADERS} -d '{_RULES}'

  data     {self._folder.path}  (kept, with the key; run.json: where each part is, logs/: what it says)
{self._recovery()}
  Ctrl-C stops it.
"""


def _claim(host: str, port: int) -> int:
    """Check that the server can listen there. Returns the port, a free one for 0. UsageError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--port: cannot listen on {host}:{port}: {reason}") from None
    return port or free_port()


def _warn(line: str) -> None:
    _print(sys.stderr, f"leaderboard dev: {line}")


def _print(stream: TextIO, text: str) -> None:
    """Write a line. A closed stream is ignored: the run goes on without a reader."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except (OSError, ValueError):
        pass

"""A child process that runs in the foreground: it is spawned, watched and ended, and never outlives its parent."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from .account import Account

LAUNCH = Path(__file__).with_name("launch.py")
#: Seconds in which a part must become ready, and in which each step of its preparation must end. After them it is
#: killed, and the start fails.
READY_S_MAX = 30.0
#: Seconds in which a part must end by itself. After them it is killed.
STOP_S_MAX = 4.0
#: Seconds to wait for the end of a process after SIGKILL. One that hangs in the kernel may end later.
KILL_S_MAX = 5.0
#: Seconds between two checks whether a part is ready.
POLL_S = 0.02
#: Bytes of a log before it is moved to `<log>.1`. A part has at most two such files.
LOG_BYTES_MAX = 32 * 1024 * 1024
EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: Ports that a process keeps for who was given them, a socket each: more than it has in use, and few of its sockets.
RESERVED_PORTS_MAX = 100
_reserved_ports: deque[socket.socket] = deque()


class EmbeddedError(Exception):
    """A part could not be started, kept running or ended. The text is shown to the user."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens. EmbeddedError if none is found.

    Who has it may not listen yet: no call of this function gives it again meanwhile, on Linux in no process.

    It lies below the range of ports for outgoing connections. In that range, a client that retries to reach a dead
    server's port may itself get this port, and then the server cannot listen there again.
    """
    try:
        end = int(EPHEMERAL_PORTS.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        end = 32768
    begin = 10240 if end > 12000 else 1024
    for _ in range(200):
        port = random.randrange(begin, max(end, begin + 1000))
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            continue
        _keep(probe)
        return port
    raise EmbeddedError("found no free port on 127.0.0.1")


def _keep(probe: socket.socket) -> None:
    """Keeps a port from other calls. Servers set SO_REUSEADDR and may listen there nevertheless; on systems other than
    Linux they could not, so there the port is given back at once."""
    if sys.platform != "linux":
        probe.close()
        return
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _reserved_ports.append(probe)
    if len(_reserved_ports) > RESERVED_PORTS_MAX:
        _reserved_ports.popleft().close()


class Child:
    """A command with a log. It ends when the process that spawned it ends.

    On Linux the death signal is sent when the spawning thread ends: spawn it from a thread that lives as long as the
    child should. The child has its own session, so Ctrl-C in a terminal reaches only the spawning process.
    """

    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL

    def __init__(
        self,
        name: str,
        log: Path,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        keep_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.account = account
        self._command = tuple(command)
        self._environment = environment
        self._keep_fds = tuple(keep_fds)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """The command line; its first word is an absolute path."""
        return self._command

    def environment(self) -> Mapping[str, str]:
        """The whole environment of the child."""
        return dict(os.environ) if self._environment is None else self._environment

    def preparation(self) -> Iterator[Child]:
        """Children that must each end with exit code 0 before this one is spawned. It is resumed after each of them."""
        return iter(())

    def is_ready(self) -> bool:
        """Whether it does its work by now. Takes at most about half a second."""
        return self.returncode is None

    @property
    def pid(self) -> int:
        """The id of the process that runs now or ran last; 0 before the first."""
        return self._process.pid if self._process is not None else 0

    @property
    def returncode(self) -> int | None:
        """The exit code. None: it runs. Negative: the signal that ended it, as in subprocess."""
        return self._process.poll() if self._process is not None else 0

    def spawn(self) -> None:
        """Start the process without waiting for it to be ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        account = self.account
        launch = (sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(self.death_signal)))
        user = (f"{account.uid}:{account.gid}", str(account.capability)) if account else ("-", "0")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*launch, *user, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment()),
                pass_fds=self._keep_fds,
                start_new_session=True,
            )

    def start(self, timeout_s: float = READY_S_MAX) -> Self:
        """Prepare, spawn and wait until it is ready. EmbeddedError with the log's last lines else."""
        for step in self.preparation():
            step.run(timeout_s)
        self.spawn()
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self.returncode is not None:
                raise EmbeddedError(self.death_report())
            if time.monotonic() > deadline:
                self.kill()
                raise EmbeddedError(f"{self.name} is not ready after {timeout_s:g} s{self.log_end()}")
            time.sleep(POLL_S)
        return self

    def run(self, timeout_s: float = READY_S_MAX) -> None:
        """Spawn it and wait for its end. EmbeddedError unless it ends in time with exit code 0."""
        self.spawn()
        if self.wait(timeout_s) is None:
            self.kill()
            raise EmbeddedError(f"{self.name} has not ended after {timeout_s:g} s{self.log_end()}")
        if self.returncode != 0:
            raise EmbeddedError(self.death_report())

    def request_stop(self) -> None:
        """Send the stop signal once. Does not wait."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end and reap it. Returns the exit code, or None if it still runs after `timeout_s`."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, timeout_s: float = STOP_S_MAX) -> None:
        """Request its end, and kill it by SIGKILL if it still runs after `timeout_s`."""
        self.request_stop()
        if self.wait(timeout_s) is None:
            self.kill()

    def kill(self) -> None:
        """End it by SIGKILL and reap it."""
        if self._process is not None:
            self._process.kill()
            self.wait(KILL_S_MAX)

    def rotate_log(self, bytes_max: int = LOG_BYTES_MAX) -> None:
        """Copy a log larger than `bytes_max` to `<log>.1` and empty it: the child goes on writing to the open file."""
        if self.log.exists() and self.log.stat().st_size > bytes_max:
            shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
            os.truncate(self.log, 0)

    def log_end(self, lines_max: int = 12) -> str:
        """The end of an error's text: `; <log> ends:` and the log's last lines, or only the log's path."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 4096))
                lines = log.read().decode("utf-8", "replace").splitlines()[-lines_max:]
        except OSError:
            lines = []
        return f"; {self.log} ends:\n" + "\n".join(f"  {line}" for line in lines) if lines else f"; see {self.log}"

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.returncode
        if code is None:
            return "still runs"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"

    def death_report(self) -> str:
        """How it ended, and the last lines of its log."""
        return f"{self.name} {self.ending()}{self.log_end()}"

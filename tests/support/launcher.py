"""`python -m app …` for tests, without its half second of imports: forked off a process that has them behind it.

What runs is the module `app` as the command line runs it, with its own arguments, environment and files, and it ends as
an interpreter ends. `tests/integration/test_dev.py` and `test_wheel.py` start the real commands.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

#: Bytes that are read of a request at a time: a command line and an environment.
READ_BYTES_MAX = 64 * 1024
#: Seconds in which the launcher must have forked.
FORK_S_MAX = 30.0


class Launched:
    """A process that the launcher forked; used as subprocess.Popen is."""

    def __init__(self, pid: int, ended: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; subprocess.TimeoutExpired."""
        code = self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("leaderboard", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """To the process, unless it has ended."""
        if self.poll() is None:
            # It may end in between; the launcher has buried it then.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._ended.settimeout(timeout)
            try:
                self.returncode = int(self._ended.recv(16))
            except (BlockingIOError, TimeoutError):
                return None
            self._ended.close()
        return self.returncode


class Launcher:
    """The process that has imported everything. It and all its children end with their creator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.launcher", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[2],
            )

    def start(
        self, verb: Sequence[str], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes] | None = None
    ) -> Launched:
        """Starts `python -m app <verb>`, both streams into `out` if there is no `err`."""
        request = (
            json.dumps({"verb": list(verb), "environment": dict(environment), "cwd": str(Path.cwd())}).encode() + b"\n"
        )
        far_end, ended = socket.socketpair()
        with self._lock, far_end:
            files = [out.fileno(), (err or out).fileno(), far_end.fileno()]
            self._control.settimeout(FORK_S_MAX)
            self._control.sendall(request[socket.send_fds(self._control, [request], files) :])
            return Launched(int(self._control.recv(16)), ended)

    def close(self) -> None:
        """Ends it."""
        self._control.close()
        self._process.wait(10)


@cache
def launcher() -> Launcher:
    """The one of this process."""
    made = Launcher()
    atexit.register(made.close)
    return made


def _serve(control: socket.socket) -> list[str]:
    """Forks until its maker is gone; returns in each child, and answers what that one is to run."""
    children: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        for listened in (control, woken):
            selector.register(listened, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if woken in ready:
                woken.recv(4096)
                _reap(children)
            if control in ready:
                request, files, _, _ = socket.recv_fds(control, READ_BYTES_MAX, 3)
                while request and not request.endswith(b"\n"):
                    request += control.recv(READ_BYTES_MAX)
                if not request:
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    os._exit(0)
                pid = os.fork()
                if pid == 0:
                    break
                children[pid] = socket.socket(fileno=files.pop())
                for file in files:
                    os.close(file)
                control.send(str(pid).encode())
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in (control, woken, wake, *children.values()):
        one.close()
    for target, file in enumerate(files[:2], 1):
        os.dup2(file, target)
    for file in files:
        os.close(file)
    order = json.loads(request)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    return list(order["verb"])


def _reap(children: dict[int, socket.socket]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            # Perhaps nobody waits for it.
            with children.pop(pid) as pipe, suppress(BrokenPipeError):
                pipe.send(str(os.waitstatus_to_exitcode(status)).encode())


def _import() -> None:
    """All that a command may need; what is missing here costs time, not more."""
    import uvicorn.lifespan.on
    import uvicorn.loops.uvloop
    import uvicorn.protocols.http.httptools_impl  # noqa: F401
    from typer.testing import CliRunner

    from app.cli import program

    # A word that is refused reads the arguments as each command does, and runs nothing.
    CliRunner().invoke(program(), ["serve", "--port", "none"])
    # What the collector does not touch is not copied into each child.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    # Whoever presses Ctrl-C stops the tests; they end us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import()
    verb = _serve(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["leaderboard", *verb]
    runpy.run_module("app", run_name="__main__", alter_sys=True)

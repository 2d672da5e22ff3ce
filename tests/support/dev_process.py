"""A `leaderboard dev` under test: started, asked, ended, and gone whatever happens to the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.embedded.account import CAP_DAC_READ_SEARCH
from app.embedded.child import LAUNCH
from tests.support.waits import until

DEV = (sys.executable, "-P", "-m", "app", "dev")
STOP_S_MAX = 5.0


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    pids: set[int] = set()
    due = [pid]
    while due:
        below = parents.get(due.pop(), [])
        pids.update(below)
        due.extend(below)
    return pids


class Dev:
    """`leaderboard dev` on a data folder; leaving the context kills what a failed test left running."""

    def __init__(
        self,
        data_dir: Path,
        *options: str,
        command: Sequence[str] = DEV,
        environment: Mapping[str, str] | None = None,
        uid: int | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.family: set[int] = set()
        self._output = data_dir.with_name(f"{data_dir.name}.output")
        # The launcher ends it with us; as another user it may still enter where the interpreter lies.
        user = ("-", "0") if uid is None else (f"{uid}:{uid}", str(CAP_DAC_READ_SEARCH))
        launch = (sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(signal.SIGKILL)), *user)
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*launch, *command, "--data-dir", str(data_dir), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = self.family | descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        until(lambda: not any(map(alive, family)), "end of what dev left behind", 10)

    @property
    def output(self) -> str:
        """What it wrote so far, to both streams."""
        return self._output.read_text()

    @property
    def run(self) -> dict[str, Any]:
        """run.json as it stands; empty while there is none."""
        try:
            return dict(json.loads((self.data_dir / "run.json").read_text()))
        except FileNotFoundError:
            return {}

    def ran_anew(self, before: Mapping[str, Any]) -> bool:
        """Whether run.json is of another run than `before`.

        It is read once: who starts on a killed one's folder takes that one's away, and writes another once ready.
        """
        return bool(self.run.get("pids", before["pids"]) != before["pids"])

    def ready(self) -> Self:
        """Wait until it says it is ready."""

        def up() -> bool:
            assert self.process.poll() is None, self.output
            return bool(self.run)

        until(up, "run.json")
        self.family |= descendants(self.process.pid)
        return self

    def kill(self, part: str) -> None:
        """Kill one part by SIGKILL and wait until it is back."""
        pid = self.run["pids"][part]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.run["pids"][part] != pid, f"{part} started again", 15)
        self.family |= descendants(self.process.pid)

    def ends(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code, having seen that all is gone within five seconds."""
        self.family |= descendants(self.process.pid)
        deadline = time.monotonic() + STOP_S_MAX
        self.process.send_signal(number)
        code = self.process.wait(STOP_S_MAX)
        until(lambda: not any(map(alive, self.family)), "end of every process", deadline - time.monotonic())
        return code

    def healthy(self) -> bool:
        """Whether the server answers."""
        with urllib.request.urlopen(f"{self.run['http']}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)

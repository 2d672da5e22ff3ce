"""Programs in Node that use the client for JavaScript. Playwright brings a Node, so there is always one."""

import json
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from playwright._impl._driver import compute_driver_executable

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients/js"
NODE = compute_driver_executable()[0]
#: What each program begins with. `tell` writes a line.
_HEAD = """
const { Leaderboard, Problem } = await import(%s);
const tell = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
const given = %s;
"""


class NodeProgram:
    """A running program. Its lines on stdout are JSON; what it writes to stderr is shown where it fails."""

    def __init__(self, text: str, *options: str, client: str = "", node: str = NODE, **given: Any) -> None:
        """text: the body of a module. client: where it loads the client from; options: of Node; given: its `given`."""
        place = json.dumps(client or (CLIENT / "live.js").as_uri())
        source = _HEAD % (place, json.dumps(given)) + text
        command = [node, "--input-type=module", *options, "--eval", source]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._lines: queue.Queue[Any] = queue.Queue()
        self._complaints: list[str] = []
        self._threads = [threading.Thread(target=read) for read in (self._read, self._read_complaints)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "NodeProgram":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def say(self, line: str) -> None:
        """Writes a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self, seconds: float = 10) -> Any:
        """Its next line."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nothing came: {self._complaints}") from None
        assert line is not None, f"it ended: {self._complaints}"
        return line

    def hear_until(self, key: str, value: Any = None, seconds: float = 10) -> Any:
        """The value of the next line that has a key, and this value where one is named."""
        deadline = time.monotonic() + seconds
        while True:
            line = self.hear(max(0.1, deadline - time.monotonic()))
            if key in line and value in (None, line[key]):
                return line[key]

    def ends(self, seconds: float = 10) -> int:
        """Its exit code, once it has ended by itself."""
        code = self._process.wait(timeout=seconds)
        assert code == 0, self._complaints
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        self._complaints += self._process.stderr

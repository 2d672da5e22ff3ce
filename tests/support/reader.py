"""Somebody who types what a page of the documentation shows, and compares what is answered with what is printed.

| block | what is done |
| --- | --- |
| `sh` | its commands are run in turn: `lb`, `curl`, `python3 FILE`, `leaderboard …`, `NAME=$(leaderboard …)` |
| `json`, `text` after it | the last command's answer, or what it prints. Without one, the command must succeed |
| any with `title="FILE"` | the file is written, beside the page's other files |
| `python`, then `jsonl` | a program that goes on, and the lines that it prints next |

Others are looked at by nobody: `text` with what to type elsewhere, `js`, `html`.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from app.embedded import free_port
from tests.documents import ROOT
from tests.support.guide_script import BASE, Block, blocks, commands, differences, parse_call, printed

_KEY = re.compile(r"(\w+)=\$\(leaderboard (.*)\)")
_CALL = re.compile(r"(?:\w+=\S+ )?(?:lb|curl) ")
_CURSORS = ("next_cursor", "next_after")


class Answer:
    """What the last command said. status: of a call that shows it, else empty. is_good: whether it succeeded."""

    def __init__(self, body: Any, status: str, is_good: bool) -> None:
        self.body, self.status, self.is_good = body, status, is_good


class Reader:
    """Reads pages, one after the other. `faults`: where they are wrong. servers: programs of pages by the address at
    which a page calls them: the file, and the variable with its key."""

    def __init__(
        self, stack: Any, client: httpx.Client, folder: Path, servers: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        self._stack, self._client, self._folder, self._servers = stack, client, folder, servers or {}
        self._page = ""
        self._names = {"URL": stack.url, "KEY": stack.key}
        self._cursor = ""
        self._answer: Answer | None = None
        self._started: dict[str, str] = {}  # where servers are instead
        self._programs: list[subprocess.Popen[str]] = []
        self.calls = 0
        self.faults: list[str] = []

    def read(self, page: Path) -> None:
        """Does what a page says."""
        self._page = page.relative_to(ROOT).as_posix()
        for block in blocks(page.read_text()):
            self._do(block)
        self._end_answer(Block("", "", "", 0))

    def close(self) -> None:
        """Ends what was started."""
        for program in self._programs:
            program.kill()
            program.communicate()

    def _do(self, block: Block) -> None:
        if block.title:
            (self._folder / block.title).write_text(block.text + "\n")
            return
        match block.language:
            case "sh":
                for command in commands(block.text):
                    self._end_answer(block)
                    self._type(command)
            case "json":
                assert self._answer is not None, f"{self._page}: line {block.line} answers no call"
                answer, self._answer = self._answer, None
                self._compare(block, answer)
            case "text" if self._answer is not None and isinstance(self._answer.body, str):
                said, self._answer = self._answer.body, None
                self._note(block, differences(block.text, said.rstrip("\n")))
            case "python":
                self._watch(block)
            case "jsonl":
                output = self._programs[-1].stdout
                assert output is not None
                for frame in re.split(r"\n(?=\{)", block.text):
                    self._note(block, differences(printed(frame), json.loads(output.readline())))

    def _end_answer(self, block: Block) -> None:
        if self._answer is not None and not self._answer.is_good:
            self._note(block, [f"the command before it failed: {self._answer.body}"])
        self._answer = None

    def _type(self, command: str) -> None:
        if match := _KEY.fullmatch(command):
            self._names[match[1]] = self._stack.run(*shlex.split(match[2])).stdout.strip()
        elif command.startswith("leaderboard ") and not command.startswith("leaderboard dev"):
            self._stack.wait_flushed()
            self._keep(self._stack.run(*shlex.split(command)[1:]))
        elif command.startswith("python3 "):
            program = [sys.executable, *shlex.split(command)[1:]]
            self._keep(subprocess.run(program, **self._way(), stdout=-1, stderr=-1, timeout=60))
        elif _CALL.match(command):
            self._call(command)

    def _keep(self, done: "subprocess.CompletedProcess[str]") -> None:
        self._answer = Answer(
            done.stdout if done.returncode == 0 else done.stdout + done.stderr, "", not done.returncode
        )

    def _call(self, command: str) -> None:
        self._stack.wait_flushed()
        call = parse_call(command, self._names, self._cursor)
        url = call.url.replace(BASE, self._stack.url)
        for address in self._servers:
            if address in url:
                url = url.replace(address, self._started.get(address) or self._start(address))
        answer = self._client.request(call.method, url, headers=call.headers, content=call.body)
        self.calls += 1
        body = answer.json() if answer.content else None
        self._answer = Answer(body, str(answer.status_code) if call.tells_status else "", answer.is_success)
        for name in _CURSORS:
            if isinstance(body, dict) and body.get(name):
                self._cursor = body[name]

    def _compare(self, block: Block, answer: Answer) -> None:
        text, shown = block.text, ""
        if match := re.search(r"(?:^|\n)(\d{3})$", text):
            text, shown = text[: match.start()], match[1]
        elif not answer.is_good and '"status"' not in text:
            shown = "2xx"
        if shown and answer.status != shown:
            self._note(block, [f"the status is {answer.status}: {json.dumps(answer.body)}"])
        elif answer.body is None:
            self._note(block, ["nothing is answered"] if text else [])
        else:
            self._note(block, differences(printed(text), answer.body))

    def _watch(self, block: Block) -> None:
        code = block.text.replace(BASE.partition("://")[2], self._stack.url.partition("://")[2])
        self._programs.append(subprocess.Popen([sys.executable, "-c", code], stdout=-1, **self._way()))

    def _start(self, address: str) -> str:
        """Starts a page's server. Returns where it is."""
        file, key = self._servers[address]
        port = str(free_port())
        way = self._way()
        way["env"]["KEY"] = self._names[key]
        program = subprocess.Popen([sys.executable, file, port], stdout=-1, **way)
        self._programs.append(program)
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        self._started[address] = f"127.0.0.1:{port}"
        return self._started[address]

    def _way(self) -> dict[str, Any]:
        return {"text": True, "cwd": self._folder, "env": os.environ | self._names | {"PYTHONUNBUFFERED": "1"}}

    def _note(self, block: Block, faults: Any) -> None:
        self.faults += [f"{self._page}:{block.line}: {fault}" for fault in faults]

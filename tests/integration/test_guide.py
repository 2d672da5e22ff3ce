"""Every call of docs/reference is made, and answers what is printed; every refusal is in the table of errors."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.model.errors import OUTCOMES, Problem
from tests.documents import ROOT
from tests.support.guide_script import BASE, Block, blocks, differences, parse_call, printed

REFERENCE = ROOT / "docs/reference"

_KEYS = re.compile(r"(\w+)=\$\(leaderboard (.*)\)")
_CURSORS = ("next_cursor", "next_after")


def pages() -> list[Path]:
    """The pages of the reference, in the order of its contents: later ones go on with what earlier ones made."""
    text = (REFERENCE / "index.md").read_text()
    return [
        REFERENCE / "index.md",
        *(REFERENCE / name for name in re.findall(r"^\| .+ \| \[.+\]\((\w[\w-]*\.md)\) \|$", text, re.M)),
    ]


def test_every_page_of_the_reference_is_in_its_contents_by_its_title() -> None:
    assert sorted(pages()) == sorted(REFERENCE.glob("*.md"))
    for title, name in re.findall(r"\[(.+?)\]\((\w[\w-]*\.md)\) \|$", (REFERENCE / "index.md").read_text(), re.M):
        assert (REFERENCE / name).read_text().partition("\n")[0] == f"# {title}"


class Reader:
    """Somebody who types what the guide shows. `faults`: where the guide is wrong."""

    def __init__(self, stack: Any, client: httpx.Client) -> None:
        self._stack = stack
        self._page = ""
        self._client = client
        self._names = {"URL": stack.url, "KEY": stack.key}
        self._cursor = ""
        self._answer: tuple[Any, str] | None = None
        self._watcher: subprocess.Popen[str] | None = None
        self.calls = 0
        self.faults: list[str] = []

    def read(self, page: Path) -> None:
        """Does what a page says."""
        self._page = page.relative_to(ROOT).as_posix()
        for block in blocks(page.read_text()):
            self._do(block)
        assert self._answer is None, f"the last call of {self._page} has no answer"

    def _do(self, block: Block) -> None:
        match block.language:
            case "sh":
                assert self._answer is None, f"{self._page}: the call before line {block.line} has no answer"
                self._type(block)
            case "json":
                assert self._answer is not None, f"{self._page}: line {block.line} answers no call"
                reply, self._answer = self._answer, None
                self._compare(block, *reply)
            case "python":
                self._watch(block)
            case "jsonl":
                assert self._watcher is not None
                assert self._watcher.stdout is not None
                for frame in re.split(r"\n(?=\{)", block.text):
                    self._note(block, differences(printed(frame), json.loads(self._watcher.stdout.readline())))

    def close(self) -> None:
        """Ends what was started."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate()

    def _type(self, block: Block) -> None:
        if match := _KEYS.fullmatch(block.text):
            command = [word.strip("'") for word in match[2].split()]
            self._names[match[1]] = self._stack.run(*command).stdout.strip()
            return
        if not re.match(r"(\w+=\S+ )?(lb|curl) ", block.text):
            return  # how to start it, and what `lb` is
        self._stack.wait_flushed()
        call = parse_call(block.text, self._names, self._cursor)
        url = call.url.replace(BASE, self._stack.url)
        answer = self._client.request(call.method, url, headers=call.headers, content=call.body)
        self.calls += 1
        body = answer.json() if answer.content else None
        self._answer = body, str(answer.status_code) if call.tells_status else ""
        for name in _CURSORS:
            if isinstance(body, dict) and body.get(name):
                self._cursor = body[name]

    def _compare(self, block: Block, body: Any, status: str) -> None:
        text, _, shown = block.text.rpartition("\n") if status else (block.text, "", "")
        if status != shown:
            self._note(block, [f"the status is {status}: {json.dumps(body)}"])
        elif body is None:
            self._note(block, ["nothing is answered"] if text else [])
        else:
            self._note(block, differences(printed(text), body))

    def _watch(self, block: Block) -> None:
        code = block.text.replace(BASE.partition("://")[2], self._stack.url.partition("://")[2])
        environment = os.environ | {"KEY": self._names["KEY"], "PYTHONUNBUFFERED": "1"}
        self._watcher = subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True, env=environment)

    def _note(self, block: Block, faults: Any) -> None:
        self.faults += [f"{self._page}:{block.line}: {fault}" for fault in faults]


@pytest.fixture
def reader(live_server: Any) -> Iterator[Reader]:
    with live_server.client(None) as client:
        reader = Reader(live_server, client)
        yield reader
        reader.close()


@pytest.mark.own_valkey  # It prints what a single Redis answers.
def test_every_call_answers_what_is_printed(reader: Reader) -> None:
    for page in pages():
        reader.read(page)
    assert "\n".join(reader.faults) == ""
    assert reader.calls > 40


def test_a_wrong_answer_is_noticed() -> None:
    shown = printed('{"at": …, "id": "g-…", "rules": {"scale": 1, …}, "list": [1, …], "no": null}')
    reply = {"at": 5, "id": "g-7", "rules": {"scale": 1, "order": "asc"}, "list": [1, {}], "no": None}
    assert list(differences(shown, reply)) == []
    changes: tuple[dict[str, Any], ...] = (
        *({"at": 5, "more": 1}, {"id": "h-7"}, {"rules": {"scale": 2}}, {"rules": {}}, {"list": [1]}, {"list": [2, 2]}),
        *({"no": False}, {"no": 0}),
    )
    for change in changes:
        assert len(list(differences(shown, reply | change))) == 1
    assert len(list(differences(shown, {name: reply[name] for name in list(reply)[1:]}))) == 1


def _text() -> str:
    return (REFERENCE / "errors.md").read_text() + (REFERENCE / "live.md").read_text()


def _refusals(kind: type[Problem]) -> Iterator[tuple[str, int]]:
    yield kind.code, kind.status
    for inner in kind.__subclasses__():
        if inner.__module__ == Problem.__module__:
            yield from _refusals(inner)


def test_the_table_of_errors_is_the_errors() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| \S", _text(), re.MULTILINE)
    assert {(code, int(status)) for code, status in rows} == set(_refusals(Problem))
    assert len(rows) == len(set(rows))
    assert {problem.code for problem, _, _ in OUTCOMES.values()} <= {code for code, _ in rows}


def test_the_codes_of_error_frames_are_in_the_table_of_errors() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| (?:`\$|–)", _text(), re.MULTILINE))
    assert {"unauthorized", "forbidden", "namespace_not_found", "board_not_found", "rate_limited"} < rows
    assert rows <= {code for code, _ in _refusals(Problem)}

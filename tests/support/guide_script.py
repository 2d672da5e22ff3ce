"""A page of the documentation as a script: its calls, and whether an answer is the one that is printed.

Placeholders, all of them `…`: as a value it matches any value; inside a string any text; as the last member of an
object the members that are not shown; in a call it is the cursor that was answered last.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ANY = "…"
BASE = "http://localhost:8000"
_BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, its line in the page. title: the file that it is, else empty."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """Every block of a page, in order."""
    for hit in _BLOCK.finditer(page):
        yield Block(hit[1], hit[2] or "", hit[3].rstrip("\n"), page.count("\n", 0, hit.start()) + 1)


def commands(text: str) -> Iterator[str]:
    """The commands of a shell's block. One goes on over lines while a quote is open, or by a backslash."""
    command = ""
    for line in text.split("\n"):
        command += f"\n{line}" if command else line
        if command.count("'") % 2 == 0 and command.count('"') % 2 == 0 and not command.endswith("\\"):
            yield command
            command = ""
    assert not command, f"a quote stays open: {command}"


@dataclass(frozen=True)
class Call:
    """One request of `lb` (with a key, and the status behind the answer) or of a plain `curl`."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None
    tells_status: bool


def parse_call(command: str, names: dict[str, str], cursor: str) -> Call:
    """A call as the shell would make it. `names`: the shell's variables."""
    words = shlex.split(_expand(command.replace("\\\n", " "), names))
    headers: dict[str, str] = {}
    key = names["KEY"]
    while "=" in words[0]:
        key = words.pop(0).partition("=")[2]
    tool, method, url, body = words.pop(0), None, None, None
    assert tool in ("lb", "curl"), command
    if tool == "lb":
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(":")
            headers[name.lower()] = value.strip()
        elif word in ("-d", "--data-binary"):
            body = words.pop(0)
        elif word != "-s":
            assert url is None, f"{word!r} is not understood"
            url = word
    assert url is not None, command
    return Call(method or ("GET" if body is None else "POST"), url.replace(ANY, cursor), headers, body, tool == "lb")


def _expand(command: str, names: dict[str, str]) -> str:
    """Variables outside single quotes."""
    parts = re.split(r"('[^']*')", command)
    return "".join(
        part if i % 2 else re.sub(r"\$(\w+)", lambda space: names[space[1]], part) for i, part in enumerate(parts)
    )


def printed(text: str) -> Any:
    """JSON with placeholders."""
    text = text.replace(f'"{ANY}"', ANY)
    text = re.sub(rf"([{{,]\s*){ANY}(\s*}})", rf'\1"{ANY}":0\2', text)
    return json.loads(re.sub(rf"(?<=[\[:,\s]){ANY}(?=[\s,}}\]])", f'"{ANY}"', text))


def differences(shown: Any, reply: Any, path: str = "$") -> Iterator[str]:
    """Where an answer is not what is printed."""
    if shown == ANY:
        return
    if isinstance(shown, dict) and isinstance(reply, dict):
        open_ended = ANY in shown
        for name in shown.keys() | (set() if open_ended else reply.keys()):
            if name == ANY:
                continue
            if name not in reply or name not in shown:
                yield f"{path}.{name} is {'not answered' if name in shown else 'not printed'}"
            else:
                yield from differences(shown[name], reply[name], f"{path}.{name}")
    elif isinstance(shown, list) and isinstance(reply, list) and len(shown) == len(reply):
        for i, (one, other) in enumerate(zip(shown, reply, strict=True)):
            yield from differences(one, other, f"{path}[{i}]")
    elif isinstance(shown, str) and isinstance(reply, str) and ANY in shown:
        if not re.fullmatch(".*".join(map(re.escape, shown.split(ANY))), reply):
            yield f"{path} is {reply!r}, printed as {shown!r}"
    elif shown != reply or isinstance(shown, bool) != isinstance(reply, bool):
        yield f"{path} is {reply!r}, printed as {shown!r}"

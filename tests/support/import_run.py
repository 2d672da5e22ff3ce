"""Runs `leaderboard import` against a running system, in this process."""

import json
import re
from pathlib import Path
from typing import Any

from tests.support.command_here import command_here


class Imported:
    """What an import printed. counts: the numbers of its first line by their words."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr
        self.lines = stdout.splitlines()
        words = re.findall(r"([\d,]+) ([a-z][^,]*)", self.lines[0].replace(":", ",")) if self.lines else []
        self.counts = {name.strip(): int(number.replace(",", "")) for number, name in words}


def import_here(stack: Any, *words: str | Path) -> Imported:
    """Of a file, with flags."""
    environment = {**stack.environment, "LEADERBOARD_URL": stack.url}
    done = command_here(environment, "import", "--quiet", *map(str, words))
    assert done.exception is None or done.exit_code in (1, 2), done.exception
    error = "" if done.exception is None else str(done.exception)
    return Imported(done.exit_code, done.stdout, done.stderr + error)


def scores(client: Any, namespace: str, window: str = "all") -> dict[str, float]:
    """Everybody's score on a board."""
    board = client.get(f"/v1/namespaces/{namespace}/boards/{window}?limit=1000").json()
    return {entry["user_id"]: entry["score"] for entry in board["entries"]}


def rows_done(state: Path) -> int:
    """How many rows an import's state says are done."""
    try:
        text = state.read_bytes()
    except FileNotFoundError:
        return 0
    return int(json.loads(text)["rows"]) if text else 0

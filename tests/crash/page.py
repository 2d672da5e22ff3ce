"""The table of docs/reliability.md: each fault, what is promised, what was seen, and the command that makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.crash.faults import Fault
from tests.crash.run import Figures
from tests.crash.table import FAULTS

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
HEAD = "| fault | promise | seen | `make crash ARGS=…` |\n| --- | --- | --- | --- |"
_ROW = re.compile(r"^\| (.+?) \| (.+?) \| .+? \| `(?:--(?:cluster|sentinel) )?--fault (\w+)` \|$", re.MULTILINE)


def table(figures: Mapping[type[Fault], Figures]) -> str:
    """The lines of the faults that a run has met."""
    rows = [_row(fault, figures[fault].line()) for fault in FAULTS if fault in figures]
    return "\n".join([HEAD, *rows])


def rows_of(page: str) -> list[tuple[str, str, str]]:
    """Name, promise and class of each fault that a page lists."""
    return _ROW.findall(page)


def _row(fault: type[Fault], seen: str) -> str:
    words = f"--{fault.topology} " if fault.topology else ""
    return f"| {fault.name} | {fault.promise} | {seen} | `{words}--fault {fault.__name__}` |"

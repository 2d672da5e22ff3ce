"""The progress of a verification or a rebuild: a bar on a terminal, else a line from time to time."""

import sys
from time import monotonic
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Columns
from rich.text import Text

from ..model.text import count_text

#: Seconds between two lines about a verification's progress, without a terminal.
LINE_S = 5.0


class NullProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def begin(self, users: int) -> None:
        """The number of users to compare."""

    def at(self, what: str) -> None:
        """What is checked now."""

    def resume(self, users: int) -> None:
        """So many users are done since before this run: they count, and not in the pace."""

    def step(self, users: int) -> None:
        """So many more users are compared."""


class ProgressLines(NullProgress):
    """Writes a line at the beginning, every five seconds, and at the end if users were compared. The ledger is checked
    before the first user. Until `begin` nobody knows how many there are."""

    def __init__(self, out: TextIO, verb: str = "compared", unit: str = "users") -> None:
        self._out = out
        self._verb = verb
        self._unit = unit
        self._began = 0.0
        self._total: int | None = None
        self._done = self._resumed = 0
        self._what = ""
        self._printed_at = 0.0

    def __exit__(self, *_: object) -> None:
        if self._done > self._resumed:
            self._print()

    def begin(self, users: int) -> None:
        """The number of users to compare."""
        self._total = users

    def at(self, what: str) -> None:
        """What is checked now."""
        self._what = what
        self._print_if_due()

    def resume(self, users: int) -> None:
        """So many users are done since before this run."""
        self._done = self._resumed = users

    def step(self, users: int) -> None:
        """So many more users are compared."""
        self._done += users
        self._print_if_due()

    def _print_if_due(self) -> None:
        if monotonic() >= self._printed_at + LINE_S:
            self._print()

    def _print(self) -> None:
        now = self._printed_at = monotonic()
        self._began = self._began or now
        unit = self._unit.removesuffix("s")
        if self._done:
            number = count_text(self._done, unit)
            if self._total is not None:
                number = f"{self._done:,} of {count_text(max(self._done, self._total), unit)}"
            line = f"{number} {self._verb}, at {self._what}{self._pace(now - self._began)}"
        else:
            number = "" if self._total is None else f"; {count_text(self._total, unit)} to be {self._verb}"
            line = f"checking {self._what}{number}"
        print(line, file=self._out, flush=True)

    def _pace(self, seconds: float) -> str:
        """Users a second since the first line, and how long the others take at that pace."""
        if seconds < 1 or self._done <= self._resumed:
            return ""
        rate = (self._done - self._resumed) / seconds
        left = "" if self._total is None else f", {max(0, self._total - self._done) / rate:,.0f} s left"
        return f"; {rate:,.0f} a second{left}"


class _PaceColumn(ProgressColumn):
    """Users a second, lately."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s")


class ProgressBar(NullProgress):
    """A bar that fills with the users done, with their pace and the time that is left."""

    def __init__(self, console: Console, unit: str = "users") -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        times = TimeElapsedColumn(), _PaceColumn(), TimeRemainingColumn()
        self._columns = Columns(*columns, *times, console=console, transient=True)
        self._task = self._columns.add_task("", total=None)

    def __enter__(self) -> Self:
        self._columns.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._columns.stop()

    def begin(self, users: int) -> None:
        """The number of users to compare."""
        self._columns.update(self._task, total=users)

    def at(self, what: str) -> None:
        """What is checked now."""
        self._columns.update(self._task, description=what)

    def resume(self, users: int) -> None:
        """So many users are done since before this run."""
        self._columns.reset(self._task, completed=users)

    def step(self, users: int) -> None:
        """So many more users are compared."""
        self._columns.advance(self._task, users)


def progress(*, quiet: bool, verb: str = "compared", unit: str = "users") -> NullProgress:
    """The progress display for stderr: none if quiet, a bar on a terminal, else lines. verb: what is done to users, or
    to what else `unit` says."""
    if quiet:
        return NullProgress()
    return ProgressBar(Console(stderr=True), unit) if sys.stderr.isatty() else ProgressLines(sys.stderr, verb, unit)

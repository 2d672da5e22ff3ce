"""How far a verification has come: a bar on a terminal, a line now and then elsewhere."""

import sys
from time import monotonic
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Columns

#: Seconds between two lines about how far a verification is, where there is no terminal.
LINE_S = 5.0


class NullProgress:
    """Nobody is told."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def begin(self, users: int) -> None:
        """How many there are."""

    def at(self, what: str) -> None:
        """What is looked at now."""

    def step(self, users: int) -> None:
        """So many more are compared."""


class ProgressLines(NullProgress):
    """A line when it begins, every five seconds, and at the end if users were compared. The ledger is checked before
    the first user."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._total = self._done = 0
        self._what = ""
        self._told = 0.0

    def __exit__(self, *_: object) -> None:
        if self._done:
            self._tell()

    def begin(self, users: int) -> None:
        """How many there are."""
        self._total = users

    def at(self, what: str) -> None:
        """What is looked at now."""
        self._what = what
        self._tell_sometimes()

    def step(self, users: int) -> None:
        """So many more are compared."""
        self._done += users
        self._tell_sometimes()

    def _tell_sometimes(self) -> None:
        if monotonic() >= self._told + LINE_S:
            self._tell()

    def _tell(self) -> None:
        self._told = monotonic()
        if self._done:
            line = f"{self._done:,} of {max(self._done, self._total):,} users compared, at {self._what}"
        else:
            line = f"checking {self._what}; {self._total:,} users are to be compared"
        print(line, file=self._out, flush=True)


class ProgressBar(NullProgress):
    """A bar that fills with the users compared."""

    def __init__(self, console: Console) -> None:
        told = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("users"))
        self._columns = Columns(*told, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._columns.add_task("", total=None)

    def __enter__(self) -> Self:
        self._columns.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._columns.stop()

    def begin(self, users: int) -> None:
        """How many there are."""
        self._columns.update(self._task, total=users)

    def at(self, what: str) -> None:
        """What is looked at now."""
        self._columns.update(self._task, description=what)

    def step(self, users: int) -> None:
        """So many more are compared."""
        self._columns.advance(self._task, users)


def progress(*, quiet: bool) -> NullProgress:
    """What suits stderr."""
    if quiet:
        return NullProgress()
    return ProgressBar(Console(stderr=True)) if sys.stderr.isatty() else ProgressLines(sys.stderr)

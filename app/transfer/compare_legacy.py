"""Totals of another system: a CSV, or a query on its Postgres. Each row is a user and a score."""

import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ..drivers.foreign_query import foreign_rows
from ..model.csv_cells import plain_text

#: Lines that are handed on together.
LINES_A_BATCH = 5_000
#: Characters of a number. Postgres holds longer ones; nobody's score is one.
_NUMBER_CHARS_MAX = 64
#: Characters of an unreadable value that a finding repeats.
_SHOWN_CHARS_MAX = 60
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class LegacyError(Exception):
    """The file or the query has not the columns that it should."""


class LegacyRow(NamedTuple):
    """A user's score. line: of the file, from 1, the header among them; of a query, the row's number."""

    line: int
    user: str
    score: Decimal


class Unreadable(NamedTuple):
    """A line that tells no score, and why."""

    line: int
    reason: str


class LegacyColumns(NamedTuple):
    """The names of the two columns."""

    user: str = "user_id"
    score: str = "score"


LegacyLine = LegacyRow | Unreadable


def read_csv(path: Path, columns: LegacyColumns, delimiter: str) -> Iterator[LegacyLine]:
    """The lines of a CSV with a header, gzipped where its name ends with .gz; `-` is stdin. A byte order mark is
    skipped. LegacyError, OSError."""
    with _open_text(path) as file:
        lines = csv.reader(file, delimiter=delimiter)
        try:
            header = next(lines, [])
            places = _places(header, columns)
            for cells in lines:
                if cells:
                    yield _of_cells(lines.line_num, cells, places)
        except (csv.Error, UnicodeDecodeError, EOFError, zlib.error) as error:
            raise LegacyError(f"line {lines.line_num + 1}: {error}") from None


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", newline="")
        return
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield file


def _places(header: Sequence[str], columns: LegacyColumns) -> tuple[int, int]:
    names = [name.strip() for name in header]
    for name in columns:
        if name not in names:
            raise LegacyError(f"there is no column {name!r} among {', '.join(map(repr, names)) or 'none'}")
    return names.index(columns.user), names.index(columns.score)


def _of_cells(line: int, cells: Sequence[str], places: tuple[int, int]) -> LegacyLine:
    if len(cells) <= max(places):
        return Unreadable(line, f"has {len(cells)} cells")
    return _of_values(line, plain_text(cells[places[0]]), cells[places[1]])


def _of_values(line: int, user: object, score: object) -> LegacyLine:
    name = "" if user is None else str(user)
    if not name or _CONTROL.search(name):
        return Unreadable(line, "names no user" if not name else "the user has control characters")
    text = "" if score is None else str(score).strip()
    try:
        number = Decimal(text[: _NUMBER_CHARS_MAX + 1])
    except InvalidOperation:
        return Unreadable(line, f"{text[:_SHOWN_CHARS_MAX]!r} is no number")
    if not number.is_finite() or len(text) > _NUMBER_CHARS_MAX or abs(number.adjusted()) > _NUMBER_CHARS_MAX:
        return Unreadable(line, f"{text[:_SHOWN_CHARS_MAX]!r} is no number that a score can be")
    return LegacyRow(line, name, number)


async def read_query(url: str, text: str, columns: LegacyColumns) -> AsyncIterator[LegacyLine]:
    """The rows of a query: the columns of these names, else the first two. LegacyError, ForeignQueryError."""
    line, places = 0, (0, 1)
    async for row in foreign_rows(url, text):
        line += 1
        if line == 1:
            names = list(row.keys())
            if len(names) < 2:
                raise LegacyError("the query must tell a user and a score")
            places = _places(names, columns) if set(columns) <= set(names) else (0, 1)
        yield _of_values(line, row[places[0]], row[places[1]])


def batches(lines: Iterable[LegacyLine]) -> Iterator[list[LegacyLine]]:
    """Lines, LINES_A_BATCH at a time."""
    some: list[LegacyLine] = []
    for line in lines:
        some.append(line)
        if len(some) == LINES_A_BATCH:
            yield some
            some = []
    if some:
        yield some

"""Totals of another system, as `leaderboard import` reads rows: from a file or a query. Each is a user and a score."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from ..model.errors import Invalid
from .source_row import SourceFault, SourceRow, value_at

#: Lines that are handed on together.
LINES_A_BATCH = 5_000
#: Characters of a number. Postgres holds longer ones; nobody's score is one.
_NUMBER_CHARS_MAX = 64
#: Characters of an unreadable value that a finding repeats.
_SHOWN_CHARS_MAX = 60
#: Decimal reads more: `1_000`, digits of other scripts, infinity.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class LegacyRow(NamedTuple):
    """A user's score. line: of the file, from 1, the header among them; of a query, the row's number."""

    line: int
    user: str
    score: Decimal


class Unreadable(msgspec.Struct, frozen=True):
    """A line that tells no score, and why."""

    line: int
    reason: str


class LegacyColumns(NamedTuple):
    """The names of the two columns."""

    user: str = "user_id"
    score: str = "score"


LegacyLine = LegacyRow | Unreadable


def legacy_lines(rows: Iterable[SourceRow], columns: LegacyColumns) -> Iterator[LegacyLine]:
    """The rows of a source. SourceFault where the first one has not these columns."""
    for number, row in enumerate(rows):
        fields = row.fields
        if fields is None:
            yield Unreadable(row.line, row.fault)
            continue
        lacking = [name for name in columns if value_at(fields, name) is None]
        if lacking and not number:
            raise SourceFault(f"there is no column {lacking[0]!r} among {', '.join(map(repr, fields)) or 'none'}")
        if lacking:
            yield Unreadable(row.line, f"has no {lacking[0]!r}")
        else:
            yield _of_values(row.line, *(_text(value_at(fields, name)) for name in columns))


def _text(value: msgspec.Raw | str | None) -> str:
    """A value as a CSV has it: a text of JSON without its quotes, a number to the digit."""
    if value is None or isinstance(value, str):
        return value or ""
    raw = bytes(value)
    plain: Any = msgspec.json.decode(raw) if raw[:1] in (b'"', b"n") else raw.decode()
    return "" if plain is None else str(plain)


def _of_values(line: int, user: str, score: str) -> LegacyLine:
    if not user or _CONTROL.search(user):
        return Unreadable(line, "names no user" if not user else "the user has control characters")
    text = score.strip()
    number = _number(text)
    if number is None:
        return Unreadable(line, f"{text[:_SHOWN_CHARS_MAX]!r} is no number")
    if len(text) > _NUMBER_CHARS_MAX or abs(number.adjusted()) > _NUMBER_CHARS_MAX:
        return Unreadable(line, f"{text[:_SHOWN_CHARS_MAX]!r} is no number that a score can be")
    return LegacyRow(line, user, number)


def _number(text: str) -> Decimal | None:
    """The number that a text is; None for any other text."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def parse_max_diff(text: str) -> Decimal:
    """A difference. Invalid."""
    number = _number(text)
    if number is None or number < 0:
        raise Invalid("must be a number of 0 or more", field="--max-diff")
    return number


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

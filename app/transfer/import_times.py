"""Times of a source as moments: with their offset as they are, without one by the clock of a zone."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from ..model.moment import parse_moment
from .source_row import RowRefused

_ZONED = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
#: ISO 8601 as databases write it: a space for the T, no seconds, a comma, more than six digits, a short offset.
_LOOSE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ]+(\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,6})\d*)?\s*(?:([Zz]|UTC)|([+-]\d\d):?(\d\d)?)?)?\s*"
)
_NUMBER = re.compile(r"-?\d{1,17}(\.\d+)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Formats of `--time-format` that are numbers: how many of them make a second.
EPOCH_FORMATS = {"epoch": 1, "epoch-ms": 1_000, "epoch-us": 1_000_000}


class ReadTime(NamedTuple):
    """A time as RFC 3339. is_twice: its local hour exists twice, and the first was taken; is_skipped: it does not
    exist, and it was moved on by what the clock skipped."""

    text: str
    moment: datetime | None = None
    is_twice: bool = False
    is_skipped: bool = False


class TimeReader:
    """Reads times of one format. form: `iso`, one of EPOCH_FORMATS, or a pattern of strptime. zone: of times without an
    offset; None: these are refused."""

    def __init__(self, form: str = "iso", zone: tzinfo | None = None) -> None:
        self._form = form
        self._zone = zone

    def read(self, text: str) -> ReadTime:
        """RowRefused."""
        if self._form == "iso" and _ZONED.fullmatch(text):
            return ReadTime(text)  # The server reads it, and says what is wrong with it.
        try:
            return self._in_utc(text, self._parse(text))
        except (ValueError, OverflowError):  # Year 1 of a zone may be before all years in UTC.
            raise _not_a_time(text, self._form) from None

    def _in_utc(self, text: str, moment: datetime) -> ReadTime:
        """OverflowError, RowRefused."""
        if moment.tzinfo is not None:
            return ReadTime(_format(moment), moment)
        if self._zone is None:
            raise RowRefused("invalid", f"granted_at {text!r} has no offset: give its zone by --timezone")
        first, second = (moment.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        at = first.astimezone(UTC)
        if first.utcoffset() == second.utcoffset():
            return ReadTime(_format(at), at)
        # In a gap the earlier offset is the smaller one; where an hour comes twice it is the larger one (PEP 495).
        is_skipped = (first.utcoffset() or timedelta()) < (second.utcoffset() or timedelta())
        return ReadTime(_format(at), at, is_twice=not is_skipped, is_skipped=is_skipped)

    def _parse(self, text: str) -> datetime:
        """ValueError."""
        if self._form in EPOCH_FORMATS:
            if not _NUMBER.fullmatch(text):
                raise ValueError
            whole, _, part = text.partition(".")
            micros = int(whole) * (1_000_000 // EPOCH_FORMATS[self._form])
            if part:
                share = int(f"{part[:6]:0<6}") // EPOCH_FORMATS[self._form]
                micros += -share if text.startswith("-") else share
            return _EPOCH + timedelta(microseconds=micros)
        if self._form != "iso":
            return datetime.strptime(text, self._form)
        match = _LOOSE.fullmatch(text)
        if match is None:
            raise ValueError
        day, clock, seconds, digits, utc, hours, minutes = match.groups()
        offset = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
        return datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ':00'}.{digits or '0':0<6}{offset}")


def moment_of(text: str) -> datetime | None:
    """The moment of an RFC 3339 text; None if it is none."""
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
    except ValueError:
        return None


def _format(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def _not_a_time(text: str, form: str) -> RowRefused:
    expected = "a time such as 2026-11-27 09:00:00" if form == "iso" else f"of the form {form}"
    return RowRefused("invalid", f"granted_at {text[:60]!r} is not {expected}")


def option_moment(text: str, option: str) -> datetime:
    """A moment that an operator gives, also as `psql` prints `now()`. Invalid for one without a zone."""
    try:
        text = TimeReader().read(text.strip()).text
    except RowRefused:
        pass
    return parse_moment(text, option)

"""Makes a grant of a row of the source: which column is which field, and what is made of its text."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, tzinfo
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from .import_row_counts import RowCounts
from .import_times import ReadTime, TimeReader, moment_of
from .source_formats import one_line
from .source_row import REFUSED_FIELDS, RowRefused, SourceRow, value_at

#: What a grant may have, as API.md names it, and the namespace in which it counts.
GRANT_FIELDS = (
    *("grant_id", "user_id", "amount", "category", "source", "source_id", "action", "granted_at", "session_id", "meta"),
    *("opening", "namespace"),
)
#: Columns that are reported as not imported, and lines with odd times: enough to see what they are.
NOTES_MAX = 30
#: Fields that are no text. All others are: a number in one of them is taken as its digits.
_NO_TEXT = frozenset(("amount", "meta", "opening"))
#: A number with a sign; JSON has no plus and no zeros in front.
_NUMBER = re.compile(r"\+?(-?)0*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)", re.ASCII)
_PLACE = re.compile(r"{([^{}]+)}")
_TRUE, _FALSE = frozenset(("true", "t", "1", "yes")), frozenset(("false", "f", "0", "no", ""))
_NULL, _OFF = b"null", msgspec.Raw(b"false")
_EMPTY = ("", msgspec.Raw(b'""'))
#: The source of an opening balance that names none, and the column of its amount where no other one is named.
OPENING, _SCORE = "opening", "score"
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

Value = msgspec.Raw | str


class MappingOptions(NamedTuple):
    """How rows become grants. columns: the column of a field, where it has another name; constants: a field that is the
    same in each row; template: of the grant ids, `{source}-{id}`; digests: a row that lacks what the template needs has
    an id of its digest; zone, time_format: of `import_times`; opening: the moment of opening balances, where each row
    is the total of a user; since ≤ granted_at < until: what is imported; skip_empty: fields without which a row is left
    out, and not refused."""

    columns: Mapping[str, str] = {}
    constants: Mapping[str, str] = {}
    namespace: str | None = None
    template: str | None = None
    digests: bool = False
    zone: tzinfo | None = None
    time_format: str = "iso"
    opening: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    skip_empty: tuple[str, ...] = ()


class MappedGrant(NamedTuple):
    """A grant as it is sent. granted_at: its text, or empty; body: JSON, with the namespace where rows name it."""

    grant_id: str
    namespace: str
    granted_at: str
    body: bytes

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return f"{self.namespace}\n{self.grant_id}"


class GrantMapping:
    """Makes grants of rows, in their order: the ids of rows without one depend on the rows before.

    twice, skipped: the first lines with a local time that exists twice, or not at all; times: how many there are;
    unused: columns that no field is made of; own_id: the id that the latest row got here, empty if it brought one;
    grant_id: the id of the latest row, also of one that is refused or left out, empty if it is not known; latest: the
    last moment among rows between `since` and `until`, where one of these is given."""

    def __init__(self, options: MappingOptions) -> None:
        self._options = options
        self.namespace = options.namespace
        self._times = TimeReader(options.time_format, options.zone)
        self._counts = RowCounts()
        self._columns = {field: options.columns.get(field, field) for field in GRANT_FIELDS}
        self._parts = None if options.template is None else _PLACE.split(options.template)
        self._has_own_ids = options.digests or (self._parts is None and options.opening is None)
        named = {*self._columns.values(), *(self._parts or ())[1::2]}
        if options.opening is not None:
            named.add(_SCORE)
        self._known = {*named, *(name.partition(".")[0] for name in named), *REFUSED_FIELDS}
        self.twice: list[int] = []
        self.skipped: list[int] = []
        self.unused: dict[str, None] = {}
        self.times: Counter[str] = Counter()
        self.own_id = self.grant_id = ""
        self.latest: datetime | None = None

    def grant(self, row: SourceRow) -> MappedGrant | None:
        """The grant of a row; None if it lies outside `since` and `until`, or lacks what `skip_empty` names.
        RowRefused."""
        fields: Mapping[str, Value] | None = row.fields
        # Counted first: the ids of later rows must not depend on which rows are mended or left out.
        self.own_id = self._own_id(row) if self._has_own_ids else ""
        self.grant_id = ""
        if fields is None:
            raise RowRefused("unreadable", row.fault)
        if _is_unmended(fields):
            raise RowRefused("unreadable", "stands in refused_text: put its cells into their columns")
        self._note_unused(fields)
        grant = self._values(fields)
        options = self._options
        for field, text in options.constants.items():
            grant[field] = _typed(field, text)
        if options.opening is not None:
            self._make_opening(fields, grant)
        if self._parts is None:
            self.grant_id = _plain(grant.get("grant_id")) or self.own_id or _opening_id(grant)
        namespace = options.namespace or _plain(grant.pop("namespace", None))
        grant.pop("namespace", None)
        if not namespace:
            raise RowRefused("invalid", "names no namespace: give --namespace, or map a column to it")
        is_empty = any(grant.get(field, "") in _EMPTY for field in options.skip_empty)
        is_inside = not is_empty and self._read_time(row.line, grant)
        if self._parts is not None:
            self.grant_id = self.own_id or self._fill(fields, grant, is_needed=is_inside)
        if not is_inside:
            return None
        grant["grant_id"] = grant_id = self.grant_id
        if options.namespace is None:
            grant["namespace"] = namespace
        try:
            at = grant.get("granted_at")
            return MappedGrant(grant_id, namespace, at if isinstance(at, str) else "", _encode(grant))
        except UnicodeEncodeError:
            raise RowRefused("unreadable", "is not UTF-8: give its --encoding") from None

    def _values(self, fields: Mapping[str, Value]) -> dict[str, Any]:
        grant: dict[str, Any] = {}
        for field, column in self._columns.items():
            value = value_at(fields, column)
            if value is not None:
                _put(grant, field, value)
        if grant.get("opening") in (False, _OFF):
            del grant["opening"]
        return grant

    def _make_opening(self, fields: Mapping[str, Value], grant: dict[str, Any]) -> None:
        """Makes the grant the total of its row, which may stand in a column `score`."""
        grant |= {"granted_at": self._options.opening, "opening": True}
        grant.setdefault("source", OPENING)
        score = value_at(fields, _SCORE)
        if "amount" not in grant and score is not None:
            _put(grant, "amount", score)

    def _read_time(self, line: int, grant: dict[str, Any]) -> bool:
        """Puts the time in; whether it is to be imported. RowRefused."""
        options = self._options
        moment: datetime | None = None
        sent = _plain(grant.get("granted_at"))
        if sent is not None and options.opening is None:
            time = self._times.read(sent)
            grant["granted_at"] = time.text
            moment = time.moment
            if time.is_twice or time.is_skipped:
                self._note_time(line, time)
            if moment is None and (options.since or options.until):
                moment = moment_of(time.text)
        if options.since is None and options.until is None:
            return True
        if moment is None:
            raise RowRefused("invalid", "has no time that could be compared with --since or --until")
        is_inside = (options.since is None or moment >= options.since) and (
            options.until is None or moment < options.until
        )
        if is_inside and (self.latest is None or moment > self.latest):
            self.latest = moment
        return is_inside

    def _note_time(self, line: int, time: ReadTime) -> None:
        name, lines = ("twice", self.twice) if time.is_twice else ("skipped", self.skipped)
        self.times[name] += 1
        if len(lines) < NOTES_MAX:
            lines.append(line)

    def _own_id(self, row: SourceRow) -> str:
        """The id of a row that has none: its digest, and how often it came before."""
        fields: Mapping[str, Value] = row.fields or {}
        if self._parts is not None and self._is_complete(fields):
            return ""
        sent = _plain(fields.get("refused_grant_id"))
        if sent:
            return sent
        if self._parts is None and _plain(value_at(fields, self._columns["grant_id"])):
            return ""
        digest = blake2b(row.text, digest_size=16).digest()
        return f"row-{digest.hex()}-{self._counts.next(digest)}"

    def _is_complete(self, fields: Mapping[str, Value]) -> bool:
        """Whether a row has all that the template needs."""
        constants, columns = self._options.constants, self._columns
        return all(
            constants.get(name) or _plain(value_at(fields, columns.get(name, name))) or _plain(value_at(fields, name))
            for name in (self._parts or ())[1::2]
        )

    def _fill(self, fields: Mapping[str, Value], grant: Mapping[str, Any], *, is_needed: bool) -> str:
        """The template with the row's values. RowRefused where one is lacking; if it is not needed, empty."""
        assert self._parts is not None
        parts = list(self._parts)
        for i in range(1, len(parts), 2):
            name = parts[i]
            value = _plain(grant.get(name)) or _plain(value_at(fields, name))
            if not value and not is_needed:
                return ""
            if not value:
                raise RowRefused("invalid", f"has no {name!r}, which its grant id is made of: see --digest-ids")
            parts[i] = value
        return "".join(parts)

    def _note_unused(self, fields: Mapping[str, Value]) -> None:
        if fields.keys() <= self._known:
            return
        for name in fields.keys() - self._known:
            if len(self.unused) < NOTES_MAX:
                self.unused[name] = None
            self._known.add(name)


def _is_unmended(fields: Mapping[str, Value]) -> bool:
    """Whether a row of a file of refused rows is still the text of a line that was no row of a CSV."""
    if not fields.get("refused_text"):
        return False
    return not any(value for name, value in fields.items() if name not in REFUSED_FIELDS)


def _put(grant: dict[str, Any], field: str, value: Value) -> None:
    """Gives a grant the value of a column, if there is one."""
    if isinstance(value, str):
        if value:
            grant[field] = _typed(field, value)
        return
    token = bytes(value)
    first = token[:1]
    if token == _NULL:
        return
    if field in _NO_TEXT:
        # Dumps write exact numbers as strings, and columns of JSON as their text.
        grant[field] = _typed(field, _text(value)) if first == b'"' else value
    elif first in b"-0123456789":
        grant[field] = token.decode()
    else:
        grant[field] = value


def _opening_id(grant: Mapping[str, Any]) -> str:
    """The id of an opening balance: a user has one in a namespace, or one in each category. RowRefused."""
    user, category = _plain(grant.get("user_id")), _plain(grant.get("category"))
    if not user:
        raise RowRefused("invalid", "names no user, whose total it could be")
    return f"opening-{user}" if category is None else f"opening-{user}:{category}"


def _plain(value: Any) -> str | None:
    """The text of a value; None where there is none. RowRefused for what is no text and no number."""
    if value is None or isinstance(value, str):
        return value
    token = bytes(value)
    if token == _NULL:
        return None
    if token[:1] == b'"':
        return _text(token)
    if token[:1] in b"{[tf":
        raise RowRefused("invalid", f"{token[:40]!r} is no text and no number")
    return token.decode()


def _typed(field: str, text: str) -> Any:
    """A text of a column as the value of a field. What it cannot be is sent as it is: the server says what is wrong."""
    match field:
        case "amount":
            number = _NUMBER.fullmatch(text.strip())
            return msgspec.Raw(f"{number[1]}{number[2]}".encode()) if number else text
        case "meta":
            return msgspec.Raw(one_line(text.encode())) if _is_object(text) else text
        case "opening":
            word = text.strip().lower()
            return True if word in _TRUE else False if word in _FALSE else text
    return text


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False

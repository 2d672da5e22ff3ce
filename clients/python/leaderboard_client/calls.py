"""One call of the REST API, without its transport: how a request is built and how its answer is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from .errors import BadAnswer, problem_of

T = TypeVar("T")
QueryValue = str | int | float | Decimal | datetime | None
Query = Mapping[str, QueryValue | Sequence[QueryValue]]

_ONE_VALUE = (str, int, float, Decimal, datetime)

JSON = "application/json"
#: Decimals go as numbers with all their digits.
_encode = msgspec.json.Encoder(decimal_format="number").encode
#: A wait that a server asks for, in whole seconds. More digits are no wait.
_RETRY_DIGITS_MAX = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def retry_after_s(self) -> float | None:
        """How long the server asks to wait, in seconds; a date is not what it sends."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() and len(text) <= _RETRY_DIGITS_MAX else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call. path: segments, not encoded; query: lists are repeated, None is left out; may_repeat: whether it does
    no harm to send it again when nobody knows what became of it; deadline_s: for all tries together, None: the
    client's."""

    method: str
    path: tuple[str, ...]
    read: Callable[[Answer], T]
    query: Query = field(default_factory=dict)
    body: bytes | None = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    may_repeat: bool = False
    deadline_s: float | None = None

    @property
    def target(self) -> str:
        """Path and query, encoded. An id may hold any character, `/` and dots included."""
        segments = "".join("/" + quote(segment, safe="").replace(".", "%2E") for segment in self.path)
        return segments + query_text(self.query)

    def answer(self, answer: Answer) -> T:
        """What a 2xx says. The server's problem otherwise."""
        if not 200 <= answer.status < 300:
            raise problem_of(answer.status, answer.content, answer.retry_after_s)
        try:
            return self.read(answer)
        except msgspec.DecodeError as error:
            raise BadAnswer("bad_answer", str(error), status=answer.status) from error


def query_text(query: Query) -> str:
    """A query with its `?`; nothing for an empty one."""
    pairs = []
    for name, value in query.items():
        values = [value] if value is None or isinstance(value, _ONE_VALUE) else value
        pairs += [(name, _text(one)) for one in values if one is not None]
    return "?" + urlencode(pairs, quote_via=quote) if pairs else ""


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC. ValueError for a time without a zone: nobody knows when that is."""
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone: datetime.now(UTC), not datetime.now()")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def encode(value: object) -> bytes:
    """A body as JSON."""
    return _encode(value)


def as_type(kind: type[T]) -> Callable[[Answer], T]:
    """Reads a body of JSON as this type. Fields that it does not know are left out, so a later server may have more."""
    decode = msgspec.json.Decoder(kind).decode
    return lambda answer: decode(answer.content)


def as_nothing(_answer: Answer) -> None:
    """Reads nothing: that it was done is enough."""


def as_object(answer: Answer) -> dict[str, Any]:
    """Reads any object."""
    return msgspec.json.decode(answer.content, type=dict[str, Any])


def _text(value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return moment_text(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)

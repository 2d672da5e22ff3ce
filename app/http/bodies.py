"""Bodies in and out: JSON or MessagePack by Content-Type and Accept, problems as RFC 9457."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..model.errors import BadRequest, Invalid, NamespaceNotFound, Problem, TooLarge, UnsupportedMediaType
from ..model.field_problem import explain
from .connections import ANSWER, CONNECTION

JSON = "application/json"
MSGPACK = "application/msgpack"
NDJSON = "application/x-ndjson"
_LINES = frozenset({NDJSON, "application/ndjson", "application/jsonl"})

#: Bytes of a body that is one object, unless a route has its own limit: rules, a profile, a correction.
BODY_BYTES_MAX = 64 * 1024
#: The name in a scope under which the headers are cached by name, from the first look-up on.
_FIELDS = "leaderboard.headers"
#: UTF-8's byte order mark, which some tools write at the beginning of a file. It is skipped.
_MARK = b"\xef\xbb\xbf"

T = TypeVar("T")

encode_json = msgspec.json.Encoder(decimal_format="number").encode
#: Characters of a media type that an error repeats.
_TYPE_CHARS_MAX = 60
#: Digits of an integer in a query.
_DIGITS_MAX = 9
# A Decimal is a number too long for MessagePack's own, which would round it.
encode_msgpack = msgspec.msgpack.Encoder(decimal_format="string").encode
_MALFORMED = re.compile(r"(JSON|MessagePack)(?: data)? is malformed: (.*)", re.DOTALL)
_BYTE = re.compile(r"\(byte (\d+)\)$")
#: Numbers that JavaScript and Python write, and that JSON does not have.
_NOT_IN_JSON = (b"NaN", b"Infinity")


def header(scope: Scope, name: bytes) -> str:
    """A request header's value: the first if there are several, the empty string if there is none."""
    fields: dict[bytes, bytes] | None = scope.get(_FIELDS)
    if fields is None:
        fields = scope[_FIELDS] = dict(reversed(scope["headers"]))
    value = fields.get(name)
    return "" if value is None else value.decode("latin-1")


def media_type(scope: Scope, *, takes_lines: bool = False) -> str:
    """The body's media type; JSON if the request names none. takes_lines: whether NDJSON (one grant a line) is taken.

    UnsupportedMediaType, also for a Content-Encoding.
    """
    named = header(scope, b"content-type")
    if named != JSON:
        named = named.partition(";")[0].strip().lower()
    coding = header(scope, b"content-encoding")
    if coding and coding.strip().lower() not in ("", "identity"):
        detail = f"send the body as it is: the coding {coding[:40]!r} is not taken"
        raise UnsupportedMediaType(detail, field="Content-Encoding", headers={"Accept-Encoding": "identity"})
    if named in ("", JSON):
        return JSON
    if named == MSGPACK:
        return named
    if takes_lines and named in _LINES:
        return NDJSON
    taken = f"{JSON}, {MSGPACK}, or {NDJSON} with one grant a line" if takes_lines else f"{JSON} or {MSGPACK}"
    raise UnsupportedMediaType(f"{named[:_TYPE_CHARS_MAX]!r} is not taken here; send {taken}", field="Content-Type")


def unmarked(body: bytes, media: str) -> bytes:
    """A text body without its byte order mark."""
    return body if media == MSGPACK else body.removeprefix(_MARK)


def wants_msgpack(scope: Scope) -> bool:
    """Whether the client accepts MessagePack."""
    return MSGPACK in header(scope, b"accept")


def encode(scope: Scope, body: Any) -> tuple[bytes, str]:
    """A body in the client's format, and its media type."""
    return (encode_msgpack(body), MSGPACK) if wants_msgpack(scope) else (encode_json(body), JSON)


def answer(request: Request, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response in the client's format."""
    data, media = encode(request.scope, body)
    return Response(data, status, headers, media)


def problem_response(scope: Scope, problem: Problem) -> Response:
    """A problem as a response."""
    if isinstance(problem, NamespaceNotFound) and problem.field is None and "namespace" in scope.get("path_params", ()):
        problem.field = "{namespace}"
    data, media = encode(scope, problem.body())
    headers = dict(problem.headers)
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(data, problem.status, headers, "application/problem+json" if media == JSON else media)


async def read_body(scope: Scope, receive: Receive, bytes_max: int) -> bytes:
    """The whole body. TooLarge as soon as it is known to exceed `bytes_max`; the connection then discards the rest.

    A body that comes in several pieces counts until its request is answered: for the accepted key, or for the client's
    address if there is none. RateLimited, Overloaded: too many bytes of bodies are in memory already.
    """
    announced = header(scope, b"content-length")
    if announced.isdigit() and int(announced) > bytes_max:
        raise _body_too_large(bytes_max)
    message = await receive()
    chunk: bytes = message.get("body", b"")
    if not message.get("more_body", False) and message["type"] == "http.request":
        if len(chunk) > bytes_max:
            raise _body_too_large(bytes_max)
        return chunk
    connection = scope.get("state", {}).get(CONNECTION)
    chunks, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise BadRequest("the connection was closed")
        size += len(chunk)
        if size > bytes_max:
            raise _body_too_large(bytes_max)
        if connection is not None:
            connection.hold(scope, len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
        chunk = message.get("body", b"")


def check_bodiless(scope: Scope) -> None:
    """Invalid if a request that takes no body has one, because a client that puts a reason there expects it to be
    read."""
    if header(scope, b"content-length") not in ("", "0") or header(scope, b"transfer-encoding"):
        raise Invalid("takes no body; what it takes stands in the query, such as ?reason=", field="$")


def _body_too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"a body of at most {bytes_max} bytes is taken here")


async def decode_body(
    request: Request, kind: type[T], default: bytes | None = None, bytes_max: int = BODY_BYTES_MAX
) -> T:
    """The body as `kind`, JSON or MessagePack. BadRequest, Invalid, TooLarge, UnsupportedMediaType."""
    media = media_type(request.scope)
    data = unmarked(await read_body(request.scope, request.receive, bytes_max), media)
    if not data and default is not None:
        media, data = JSON, default
    decoder: Any = msgspec.msgpack.Decoder(kind) if media == MSGPACK else msgspec.json.Decoder(kind)
    value: T = decode(decoder, data)
    return value


def decode(decoder: Any, data: Any) -> Any:
    """`data` as a msgspec decoder reads it. BadRequest, Invalid: the decoder's errors, with the name of the field."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        field, detail = explain(str(error), decoder.type)
        raise Invalid(detail, field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(_unreadable(data, error)) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except ValueError as error:
        raise Invalid(str(error), field="$") from None


def _unreadable(data: Any, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    text = str(error)
    if "truncated" in text:
        if not bytes(data).strip():
            return "the body is empty"
        return "a string holds a lone surrogate" if b"\\ud" in bytes(data).lower() else "the body ends too early"
    malformed = _MALFORMED.fullmatch(text)
    if malformed and (byte := _BYTE.search(text)) and bytes(data)[int(byte[1]) :].startswith(_NOT_IN_JSON):
        return f"the body is not JSON: JSON has no NaN and no Infinity (byte {byte[1]})"
    return f"the body is not {malformed[1]}: {malformed[2]}" if malformed else f"the body cannot be read: {text}"


def query_int(request: Request, name: str, default: int, *, low: int, high: int) -> int:
    """An integer query parameter. Invalid names it."""
    return int_of(request.query_params, name, default, low=low, high=high)


def int_of(params: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    """An integer among the parameters of a query. Invalid names it."""
    text = params.get(name)
    if text is None:
        return default
    if len(text) > _DIGITS_MAX or not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise Invalid(f"must be an integer from {low} to {high}", field=f"?{name}")
    return int(text)


def check_query(request: Request, *known: str) -> None:
    """Invalid for a query parameter that is not known here. None is ignored."""
    check_names(request.query_params, *known)


def check_names(params: Mapping[str, str], *known: str) -> None:
    """Invalid for a parameter that is not known."""
    for name in params:
        if name not in known:
            hint = f"; there are {', '.join(known)}" if known else ""
            raise Invalid(f"there is no such parameter here{hint}", field=f"?{name}")


async def send_response(scope: Scope, send: Send, status: int, body: bytes, media: bytes) -> None:
    """A plain answer."""
    fields = b"content-type: %b\r\ncontent-length: %d\r\n" % (media, len(body))
    if not send_whole(scope, status, fields, body):
        headers = [(b"content-type", media), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def send_whole(scope: Scope, status: int, fields: bytes, body: bytes) -> bool:
    """Sends an answer in one write if the connection can do that, else returns False; see `Cycle.answer`."""
    answer: Callable[[int, bytes, bytes], bool] | None = scope.get(ANSWER)
    return answer is not None and answer(status, fields, body)

"""What goes wrong, as exceptions: one class for each family of the server's problems, and for what is the client's own.

Problem
├── BadRequest 400, 405, 408, 414, 415, 431 · Unauthorized 401 · Forbidden 403 · NotFound 404 · Conflict 409
├── TooLarge 413: the body, the batch or the answer
├── Invalid 422: the request can be read, and is refused
├── RateLimited 429, Unavailable 502, 503, 504: the same request may succeed later
├── ServerFault 500: a defect of the server
├── Unreachable: no answer came in time. A grant may have counted: send it again with its grant_id
├── BadAnswer: an answer that is not the server's
├── TokenUnavailable: the token provider failed
└── Closed: a live connection or a batcher was closed

`code` is the stable part of a problem: the server's (`rate_limited`, `board_not_found` …) or the client's
(`unreachable`, `bad_answer`, `token_unavailable`, `closed`; live: `connection_lost`, `silence`, `gap`, `draining`,
`close_4001` …).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec


class FieldError(NamedTuple):
    """What is wrong with one part of a request. field: `$.amount` in the body, `?limit` in the query, `{user}` in the
    path."""

    field: str
    detail: str


class Problem(Exception):
    """Something went wrong. status: of HTTP, 0 without an answer; retry_after_s: seconds, None where nobody said it;
    errors: the parts of the request that are wrong; body: what was sent, with its grant_ids, so it can be sent
    again."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.errors = errors
        self.retry_after_s = retry_after_s
        self.body: bytes | None = None

    @property
    def field(self) -> str | None:
        """The first part of the request that is wrong, if the server named one."""
        return self.errors[0].field if self.errors else None

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return isinstance(self, RateLimited | Unavailable | Unreachable) or self.status == 408


class BadRequest(Problem):
    """The request cannot be read."""


class Unauthorized(Problem):
    """No valid key or token was given."""


class Forbidden(Problem):
    """The key does not allow this."""


class NotFound(Problem):
    """There is no such namespace, user, grant or board."""


class Conflict(Problem):
    """Something is there that is in the way: another grant of this id, a later revision, a frozen namespace."""


class TooLarge(Problem):
    """The request is too large."""


class Invalid(Problem):
    """A field is wrong, or a rule of the namespace refuses it."""


class RateLimited(Problem):
    """The client uses more than its share."""


class Unavailable(Problem):
    """The server cannot do it now."""


class ServerFault(Problem):
    """A defect of the server."""


class Unreachable(Problem):
    """No answer came in time."""


class BadAnswer(Problem):
    """An answer that is not the server's."""


class TokenUnavailable(Problem):
    """The token provider failed."""


class Closed(Problem):
    """It was closed."""


_FAMILIES: dict[int, type[Problem]] = {
    **dict.fromkeys((400, 405, 408, 414, 415, 431), BadRequest),
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: RateLimited,
    **dict.fromkeys((502, 503, 504), Unavailable),
    500: ServerFault,
}
_decode = msgspec.json.Decoder().decode


def problem_of(status: int, content: bytes, retry_after_s: float | None = None) -> Problem:
    """The problem that an answer of this status tells. What is no problem document, such as a proxy's page, is told by
    its status."""
    kind = _FAMILIES.get(status, BadAnswer)
    try:
        body = _decode(content)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        return kind(
            "bad_answer", f"status {status}, and no problem document", status=status, retry_after_s=retry_after_s
        )
    return problem_of_body(body, kind=kind, status=status, retry_after_s=retry_after_s)


def problem_of_body(
    body: Mapping[str, Any], *, status: int, kind: type[Problem] | None = None, retry_after_s: float | None = None
) -> Problem:
    """The problem that a document tells, such as the error of a batch's member."""
    detail = str(body.get("detail", ""))
    field = body.get("field")
    return (kind or _FAMILIES.get(status, BadAnswer))(
        str(body["code"]),
        detail,
        status=status,
        errors=() if field is None else (FieldError(str(field), detail),),
        retry_after_s=retry_after_s,
    )

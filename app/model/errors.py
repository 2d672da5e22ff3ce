"""All errors that a client can get: RFC 9457 problems, each with a stable code.

Problem
├── BadRequest 400, Unauthorized 401, Forbidden 403, MethodNotAllowed 405, UnsupportedMediaType 415, TooLarge 413
├── RequestTimeout 408, UriTooLong 414, HeadersTooLarge 431, RateLimited 429 (may be retried)
├── Internal 500 (never meant)
├── NotFound 404: NamespaceNotFound, UserNotFound, GrantNotFound, BoardNotFound
├── Conflict 409: GrantConflict (KeyConflict), NamespaceFrozen, RevisionConflict, UserIsErased
├── Unprocessable 422: Invalid, AmountScale, AmountRange, ScoreOverflow, GrantedAtRange, WindowClosed, TooFast,
│   RuleLocked, QuotaExceeded
└── Unavailable 503 (may be retried): Overloaded, StoreUnavailable, Recovering, UserErasing

A class's docstring is its title; `OUTCOMES` is the one table from an outcome of `lua/apply.lua` to its problem.
"""

from typing import Any, ClassVar


class Problem(Exception):
    """Something is wrong with the request."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return self.status in (429, 503)

    def body(self) -> dict[str, Any]:
        """Problem details as RFC 9457 defines them, with a stable `code`."""
        fields = {
            "type": f"urn:leaderboard:problem:{self.code}",
            "title": (self.__doc__ or "").strip(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.field is not None:
            fields["field"] = self.field
        return fields


class BadRequest(Problem):
    """The request cannot be read."""


class Internal(Problem):
    """Something unexpected went wrong."""

    status = 500
    code = "internal"


class Unauthorized(Problem):
    """No valid key was given."""

    status = 401
    code = "unauthorized"


class Forbidden(Problem):
    """The key does not allow this."""

    status = 403
    code = "forbidden"


class NotFound(Problem):
    """There is nothing here."""

    status = 404
    code = "not_found"


class NamespaceNotFound(NotFound):
    """There is no such namespace."""

    code = "namespace_not_found"


def no_namespace(name: str) -> NamespaceNotFound:
    """The problem of a name that no namespace has."""
    return NamespaceNotFound(f"there is no namespace {name!r}; create it with PUT /v1/namespaces/{{name}}")


class UserNotFound(NotFound):
    """There is no such user here."""

    code = "user_not_found"


class GrantNotFound(NotFound):
    """There is no such grant."""

    code = "grant_not_found"


class BoardNotFound(NotFound):
    """There is no such board."""

    code = "board_not_found"


class MethodNotAllowed(Problem):
    """The path does not take this method."""

    status = 405
    code = "method_not_allowed"


class UnsupportedMediaType(Problem):
    """The body's media type is not spoken here."""

    status = 415
    code = "unsupported_media_type"


class TooLarge(Problem):
    """The request is too large."""

    status = 413
    code = "too_large"


class RequestTimeout(Problem):
    """The request came too slowly."""

    status = 408
    code = "request_timeout"


class UriTooLong(Problem):
    """The request's path and query are too long."""

    status = 414
    code = "uri_too_long"


class HeadersTooLarge(Problem):
    """The request's header fields are too many or too long."""

    status = 431
    code = "headers_too_large"


class RateLimited(Problem):
    """This client takes more than its share."""

    status = 429
    code = "rate_limited"

    def __init__(self, detail: str, *, field: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(detail, field=field, retry_after_s=retry_after_s)


class Conflict(Problem):
    """The request contradicts what is recorded."""

    status = 409
    code = "conflict"


class GrantConflict(Conflict):
    """The grant_id is taken by a grant with other content."""

    code = "grant_conflict"


class KeyConflict(GrantConflict):
    """The Idempotency-Key is taken by another correction."""


class NamespaceFrozen(Conflict):
    """The namespace takes no writes."""

    code = "namespace_frozen"


class RevisionConflict(Conflict):
    """The grant was corrected since the caller saw it."""

    code = "revision_conflict"


class UserIsErased(Conflict):
    """The grant's user was erased."""

    code = "user_erased"


class Unprocessable(Problem):
    """The request is understood and refused."""

    status = 422
    code = "invalid"


class Invalid(Unprocessable):
    """A field is not what it should be."""


class AmountScale(Unprocessable):
    """The amount has more decimal places than the namespace keeps."""

    code = "amount_scale"


class AmountRange(Unprocessable):
    """The amount is out of range."""

    code = "amount_range"


class ScoreOverflow(Unprocessable):
    """The score would leave the range that is kept exactly."""

    code = "score_overflow"


class GrantedAtRange(Unprocessable):
    """granted_at lies too far from now."""

    code = "granted_at_range"


class WindowClosed(Unprocessable):
    """The grant lies in a window that is sealed."""

    code = "window_closed"


class TooFast(Unprocessable):
    """The user gets points faster than the namespace allows."""

    code = "velocity"


class RuleLocked(Unprocessable):
    """The rule would change what recorded scores mean."""

    code = "rule_locked"


class QuotaExceeded(Unprocessable):
    """A quota is used up."""

    code = "quota_exceeded"


class Unavailable(Problem):
    """The service cannot answer now."""

    status = 503
    code = "store_unavailable"

    def __init__(self, detail: str, *, field: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(detail, field=field, retry_after_s=retry_after_s)


class Overloaded(Unavailable):
    """Too much is waiting already."""

    code = "overloaded"


class StoreUnavailable(Unavailable):
    """A store is away."""


class NotRecorded(StoreUnavailable):
    """An operator has to decide about the grant."""


def not_recorded() -> NotRecorded:
    """The problem of a grant that is an open dead letter, or of which a correction is one."""
    return NotRecorded("the grant counts and could not be recorded: an operator has to look at it")


class Recovering(Unavailable):
    """The store lost entries that were acknowledged; writes wait for its recovery."""

    code = "recovering"


class UserErasing(Unavailable):
    """The user is being erased."""

    code = "user_erasing"


# Outcome of lua/apply.lua for one entry → problem, detail, field. `applied` and `duplicate` are receipts, and
# `stale_rules` and `stale_plan` never reach a client: the entry is planned again.
OUTCOMES: dict[str, tuple[type[Problem], str, str | None]] = {
    "grant_conflict": (GrantConflict, "this grant_id was used for a grant with other content", "$.grant_id"),
    "key_conflict": (
        KeyConflict,
        "this Idempotency-Key was used for another correction",
        "Idempotency-Key",
    ),
    "score_overflow": (ScoreOverflow, "a score or balance would leave ±(10^15 − 1) scaled units", "$.amount"),
    "amount_range": (AmountRange, "the amount lies outside the namespace's amount_min and amount_max", "$.amount"),
    "velocity": (TooFast, "the user has reached a velocity of the namespace", "$.user_id"),
    "namespace_frozen": (NamespaceFrozen, "the namespace's mode is frozen", None),
    "granted_at_range": (GrantedAtRange, "granted_at lies outside accept_past and accept_future", "$.granted_at"),
    "window_closed": (
        WindowClosed,
        "a window of this grant is sealed; an admin reaches it by backfill",
        "$.granted_at",
    ),
    "too_many_categories": (Invalid, "the namespace has 1,000 distinct categories already", "$.category"),
    "too_many_sources": (Invalid, "the namespace has 1,000 distinct sources already", "$.source"),
    "too_many_users": (QuotaExceeded, "the namespace has as many users as it may have", "$.user_id"),
    "too_many_boards": (
        QuotaExceeded,
        "a board of this grant is new, and the namespace has as many open boards as it may have",
        "$",
    ),
    "log_share": (RateLimited, "what the ledger does not hold yet is full of this namespace's grants", None),
    "unapplied": (Invalid, "nothing was applied: another member of this atomic request was refused", None),
    "stale_user": (StoreUnavailable, "the user changes faster than the ledger follows", None),
    "key_used": (StoreUnavailable, "the ledger does not hold yet what this Idempotency-Key did", None),
    "user_erasing": (
        UserErasing,
        "writes are refused until it is done; then the name belongs to a new user",
        "$.user_id",
    ),
    "log_full": (Overloaded, "the ledger is too far behind: its log is full", None),
    "corrupt": (StoreUnavailable, "a key of this grant holds something else than it should", None),
}


def problem_of(outcome: str, detail: str | None = None) -> Problem:
    """The problem for an entry's outcome; KeyError for an outcome that is not in the table."""
    kind, standard, field = OUTCOMES[outcome]
    return kind(f"{standard}: {detail}" if detail else standard, field=field)

"""What the server answers, as frozen structs. Fields that a later server adds are left out.

A score has at most 15 digits, so a float holds it exactly, and it is an int where it has no decimal places. A sum of
many scores may have more digits: it is a Decimal.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

Number = int | float


class Answer(Struct, frozen=True, kw_only=True):
    """What all of them are."""


class Fault(Answer, frozen=True):
    """Why one member of a batch was refused. retryable: the same grant may be taken later."""

    code: str
    status: int
    detail: str
    field: str | None = None
    retryable: bool = False


class Receipt(Answer, frozen=True):
    """What became of a grant: `applied`, `duplicate` (it counted before) or `quarantined`. score: on the board `all`
    after it; ranks only where they were asked for."""

    status: str
    grant_id: str
    namespace: str
    user_id: str
    score: Number | None
    previous_score: Number | None
    seq: int | None
    epoch: int | None
    ack: str
    voided: bool = False
    quarantined: bool = False
    rank: int | None = None
    previous_rank: int | None = None


class Move(Answer, frozen=True):
    """What a correction would change on one board; None: not on it."""

    window: str
    category: str | None
    user_id: str
    previous_score: Number | None
    score: Number | None
    previous_rank: int | None
    rank: int | None


class CorrectionReceipt(Answer, frozen=True):
    """What became of a correction: `applied`, `duplicate`, or `dry_run`, which has `moves` and no scores."""

    status: str
    grant_id: str
    revision: int
    user_id: str | None = None
    namespace: str | None = None
    score: Number | None = None
    previous_score: Number | None = None
    seq: int | None = None
    epoch: int | None = None
    moves: tuple[Move, ...] = ()


class Result(Answer, frozen=True):
    """What became of one member of a batch. error: only where status is `rejected`."""

    status: str
    grant_id: str | None = None
    error: Fault | None = None
    namespace: str | None = None
    user_id: str | None = None
    score: Number | None = None
    previous_score: Number | None = None
    seq: int | None = None
    epoch: int | None = None
    rank: int | None = None
    previous_rank: int | None = None
    revision: int | None = None


class BatchResult(Answer, frozen=True):
    """Results in the order of the request."""

    results: tuple[Result, ...]

    def count(self, status: str) -> int:
        """How many members have this status. O(members)."""
        return sum(result.status == status for result in self.results)

    @property
    def rejected(self) -> tuple[Result, ...]:
        """Those that were refused."""
        return tuple(result for result in self.results if result.error is not None)


class Entry(Answer, frozen=True):
    """One row of a board. position: unique, orders the list; rank: by the ranking, equal scores may share it."""

    position: int
    rank: int
    user_id: str
    score: Number
    display_name: str | None = None
    avatar: str | None = None
    rank_change: int | None = None
    streak: Mapping[str, Any] | None = None
    updated_at: datetime | None = None


class Board(Answer, frozen=True):
    """A page of a board. total: users on the whole board; count: those within bounds; missing: users that were named
    and are not on it."""

    namespace: str
    window: str
    entries: tuple[Entry, ...] = ()
    starts: datetime | None = None
    ends: datetime | None = None
    category: str | None = None
    epoch: int | None = None
    version: int | None = None
    total: int = 0
    count: int | None = None
    next_cursor: str | None = None
    missing: tuple[str, ...] = ()
    lag_seq: int | None = None
    error: Fault | None = None


class ScoreRank(Answer, frozen=True):
    """Where a score stands. better, equal: users with a better one, and with this one."""

    score: Number
    rank: int
    total: int
    better: int
    equal: int
    percentile: float | None


class Stats(Answer, frozen=True):
    """Statistics of a board; None where there are none, or where the namespace does not keep them."""

    count: int
    namespace: str = ""
    window: str = ""
    version: int | None = None
    sum: Decimal | None = None
    mean: float | None = None
    stddev: float | None = None
    min: Number | None = None
    max: Number | None = None
    percentiles: Mapping[str, float | None] = field(default_factory=dict)
    histogram: tuple[Mapping[str, Number], ...] = ()
    bands: tuple[Mapping[str, Any], ...] = ()
    band: str | None = None
    percentile: float | None = None


class UserRank(Answer, frozen=True):
    """Where a user stands on one board. gap_to_next: what is missing to the score before; None at the top."""

    rank: int
    score: Number
    percentile: float
    gap_to_next: Number | None = None
    band: str | None = None


class Streak(Answer, frozen=True):
    """Days in a row with a grant."""

    current: int
    best: int
    last_day: date | None = None


class Standing(Answer, frozen=True):
    """What a user has in one namespace. ranks: by window, None where the user is not on the board."""

    user_id: str
    score: Number
    grants: int
    namespace: str | None = None
    categories: Mapping[str, Number] = field(default_factory=dict)
    sources: Mapping[str, Number] = field(default_factory=dict)
    ranks: Mapping[str, UserRank | None] = field(default_factory=dict)
    streak: Streak | None = None
    last_granted_at: datetime | None = None
    display_name: str | None = None
    avatar: str | None = None
    hidden: bool | None = None


class Revision(Answer, frozen=True):
    """A grant at one of its revisions. user_id: None once the user is erased; verb, reason and actor: only in the list
    of a grant's revisions."""

    grant_id: str
    user_id: str | None
    amount: Number
    granted_at: datetime
    revision: int
    voided: bool = False
    quarantined: bool = False
    opening: bool = False
    category: str | None = None
    source: str | None = None
    source_id: str | None = None
    action: str | None = None
    session_id: str | None = None
    recorded_at: datetime | None = None
    seq: int | None = None
    epoch: int | None = None
    meta: Mapping[str, Any] | None = None
    verb: str | None = None
    reason: str | None = None
    actor: str | None = None


class GrantState(Revision, frozen=True):
    """A grant as it is now, with all its revisions, the grant itself first."""

    revisions: tuple[Revision, ...] = ()


class Grants(Answer, frozen=True):
    """A page of grants. lag_seq: entries that the ledger lacks; score: in an explanation, what these add up to."""

    grants: tuple[Revision, ...]
    next_cursor: str | None = None
    lag_seq: int | None = None
    score: Number | None = None


class Activity(Answer, frozen=True):
    """Grants between two moments: how many count, and their sum."""

    count: int
    sum: Decimal
    user_id: str | None = None
    lag_seq: int | None = None


class Trend(Answer, frozen=True):
    """One hour or day of a namespace."""

    at: datetime
    grants: int
    sum: Decimal
    users: int
    mean: float
    board_mean: float | None = None


class UserMatch(Answer, frozen=True):
    """A user whom a search gives."""

    user_id: str
    display_name: str | None = None
    avatar: str | None = None
    hidden: bool | None = None


class Profile(Answer, frozen=True):
    """What a user is called. timezone: of the deployment's profile alone."""

    user_id: str
    display_name: str | None = None
    avatar: str | None = None
    timezone: str | None = None
    opt_out: bool = False


class Visibility(Answer, frozen=True):
    """Whether a user is hidden. pending: partitions that still have to follow."""

    user_id: str
    hidden: bool
    opt_out: bool = False
    pending: int = 0


class ClientToken(Answer, frozen=True):
    """A token for the browser or the phone of one user."""

    token: str
    token_id: str
    user_id: str
    namespaces: tuple[str, ...]
    expires_at: datetime


class ApiKey(Answer, frozen=True):
    """An API key. key: the secret, in the answer that makes it and in no later one."""

    id: str
    scopes: tuple[str, ...]
    name: str | None = None
    key: str | None = None
    created_at: datetime | None = None
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_secret_until: datetime | None = None
    is_own: bool = False


class Readiness(Answer, frozen=True):
    """Whether writes are taken. lag_seq: entries that the ledger lacks, None where nobody knows."""

    status: str
    degraded: tuple[str, ...] = ()
    lag_seq: int | None = None

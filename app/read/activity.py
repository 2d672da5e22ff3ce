"""Activity and trends: grants and amounts in a stretch of time, from the ledger's counts."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from ..access.keys import Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, decode_body, query_int
from ..model.cursor_problem import cursor_problem
from ..model.errors import Invalid, UserNotFound
from ..model.micros import EARLIEST, LATEST, from_micros, to_micros
from ..model.moment import SentMoment, read_moment
from ..model.namespace import Namespace
from ..model.score import sum_of
from ..model.text import ID_BYTES_MAX, check_text
from ..store.boards import user_exists_call
from ..store.log import lag_behind
from ..store.read_batcher import ReadBatcher
from ..store.visibility import hidden_among
from .authorizer import ReadAuthorizer
from .conditional import answer_with_etag
from .grant_history import moment_of
from .totals import USERS_BYTES_MAX, USERS_MAX, check_users

#: Buckets of a page: six weeks of hours. A client turns the page for more.
LIMIT_MAX = 1_000
LAG_HEADER = "Lag-Seq"
_RANGE = ("since", "until", "by")


class UserActivityRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Users and a stretch of time, `since` ≤ t < `until`; an absent bound is open."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=USERS_MAX)]
    since: SentMoment | UnsetType = UNSET
    until: SentMoment | UnsetType = UNSET
    by: Literal["granted", "recorded"] = "granted"


class TimeRange(msgspec.Struct, frozen=True):
    """A stretch of time, `since` ≤ t < `until`; None: open. by: the time of a grant that counts, `granted` or
    `recorded`."""

    since: datetime | None
    until: datetime | None
    by: str

    @property
    def arguments(self) -> tuple[datetime, datetime, bool]:
        """The bounds as arguments of a query, and whether the time of recording counts."""
        return self.since or EARLIEST, self.until or LATEST, self.by == "recorded"


class ActivityHandlers:
    """Counts and sums of live grants by time. `lag_seq`: entries that the ledger lacks. StoreUnavailable."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher, authorizer: ReadAuthorizer) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._authorizer = authorizer

    async def of_user(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/activity`. UserNotFound, also for a user who is hidden from the
        caller."""
        time_range = _range(request)
        user = request.path_params["user"]
        check_text(user, "{user}", ID_BYTES_MAX)
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace = admission.namespace
            rows, lag = await self._fetch(namespace, "get_user_activity", *time_range.arguments, [user])
            is_known = bool(rows) or await self._is_known(namespace, user)
            if not is_known or await self._hidden_from(admission.principal, namespace, [user]):
                raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
            count = _count_body(namespace, rows[0] if rows else None)
            body = _range_body(namespace, time_range) | {"user_id": user} | count | {"lag_seq": lag}
        return answer_with_etag(request, None, body)

    async def of_users(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/activity`: many users at once, in their order; `missing`: users without a grant in
        the ledger, and for a caller without the scope `read` hidden users."""
        check_query(request)
        name = request.path_params["namespace"]
        await self._authorizer.check(request.scope, name)
        sent = await decode_body(request, UserActivityRequest, bytes_max=USERS_BYTES_MAX)
        users = check_users(sent.users)
        time_range = _time_range(_moment(sent.since, "since"), _moment(sent.until, "until"), sent.by, "$.")
        async for admission in self._authorizer.admissions(request.scope, name):
            namespace = admission.namespace
            rows, lag = await self._fetch(namespace, "get_user_activity", *time_range.arguments, users)
            hidden = await self._hidden_from(admission.principal, namespace, users)
            counts = {row["name"]: _count_body(namespace, row) for row in rows if row["name"] not in hidden}
            body = _range_body(namespace, time_range) | {
                "users": [{"user_id": user, **counts[user]} for user in users if user in counts],
                "missing": [user for user in users if user not in counts],
                "lag_seq": lag,
            }
        return answer(request, body)

    async def of_all(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/activity`: all of its users together."""
        time_range = _range(request)
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace = admission.namespace
            (row,), lag = await self._fetch(namespace, "get_namespace_activity", *time_range.arguments)
            body = _range_body(namespace, time_range) | _count_body(namespace, row) | {"lag_seq": lag}
        return answer_with_etag(request, None, body)

    async def trends(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/trends`: the buckets that begin in a stretch of time and have live grants, oldest
        first. The body is a list; `lag_seq` and the link to the next page are in the headers `Lag-Seq` and `Link`."""
        check_query(request, "bucket", "since", "until", "limit", "cursor")
        parameters, bucket = request.query_params, request.query_params.get("bucket", "day")
        if bucket not in ("hour", "day"):
            raise Invalid("must be hour or day", field="?bucket")
        limit = query_int(request, "limit", 100, low=1, high=LIMIT_MAX)
        time_range = _time_range(moment_of(parameters, "since"), moment_of(parameters, "until"), "granted", "?")
        since, until, _ = time_range.arguments
        if "cursor" in parameters:
            since = max(since, _parse_cursor(parameters["cursor"]))
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace = admission.namespace
            rows, lag = await self._fetch(namespace, "get_trends", int(bucket == "hour"), since, until, limit + 1)
            buckets = [_bucket(namespace, row) for row in rows[:limit]]
        headers = {LAG_HEADER: str(lag)}
        if len(rows) > limit:
            next_parameters = urlencode({**parameters, "cursor": _cursor(rows[limit]["at"])})
            headers["Link"] = f'<?{next_parameters}>; rel="next"'
        return answer_with_etag(request, None, buckets, is_heavy=not lag, headers=headers)

    async def _fetch(self, namespace: Namespace, query: str, *args: Any) -> tuple[list[asyncpg.Record], int]:
        """The rows of a named query about a namespace, and how many entries were not counted when it began."""
        offset = await self._postgres.fetch_one("get_counted_offset", namespace.partition)
        rows = await self._postgres.fetch(query, namespace.id, *args)
        return rows, await lag_behind(self._batcher, namespace.partition, offset)

    async def _is_known(self, namespace: Namespace, user: str) -> bool:
        return bool(await self._batcher.call(user_exists_call(namespace, user)))

    async def _hidden_from(self, principal: Principal, namespace: Namespace, users: list[str]) -> set[str]:
        """Those of the users who are hidden from a principal."""
        if principal.may("read", namespace.name):
            return set()
        return await hidden_among(self._batcher.call, namespace, users)


def _range(request: Request) -> TimeRange:
    check_query(request, *_RANGE)
    parameters: Mapping[str, str] = request.query_params
    by = parameters.get("by", "granted")
    if by not in ("granted", "recorded"):
        raise Invalid("must be granted or recorded", field="?by")
    return _time_range(moment_of(parameters, "since"), moment_of(parameters, "until"), by, "?")


def _moment(sent: msgspec.Raw | UnsetType, name: str) -> datetime | None:
    return None if isinstance(sent, UnsetType) else read_moment(sent, f"$.{name}")


def _time_range(since: datetime | None, until: datetime | None, by: str, where: str) -> TimeRange:
    """Reads a stretch of time. Invalid if the end lies before the beginning."""
    if since is not None and until is not None and since > until:
        raise Invalid("must not be later than until", field=f"{where}since")
    return TimeRange(since, until, by)


def _range_body(namespace: Namespace, time_range: TimeRange) -> dict[str, Any]:
    since, until = _utc(time_range.since), _utc(time_range.until)
    return {"namespace": namespace.name, "since": since, "until": until, "by": time_range.by}


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _count_body(namespace: Namespace, row: asyncpg.Record | None) -> dict[str, Any]:
    if row is None:
        return {"count": 0, "sum": 0}
    return {"count": row["grants"], "sum": sum_of(int(row["amount"]), namespace.rules.scale)}


def _bucket(namespace: Namespace, row: asyncpg.Record) -> dict[str, Any]:
    return {
        "at": row["at"],
        "grants": row["grants"],
        "sum": sum_of(int(row["amount"]), namespace.rules.scale),
        "users": row["users"],
        "mean": _mean(namespace, row["amount"], row["grants"]),
        "board_mean": _mean(namespace, row["score"], row["scores"]),
    }


def _mean(namespace: Namespace, units: Decimal | None, count: int | None) -> float | None:
    """The mean as a client reads it; None without values."""
    return float(units.scaleb(-namespace.rules.scale) / count) if units is not None and count else None


def _cursor(at: datetime) -> str:
    return base64.urlsafe_b64encode(str(to_micros(at)).encode()).decode().rstrip("=")


def _parse_cursor(text: str) -> datetime:
    try:
        at = from_micros(int(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)))
        if not EARLIEST <= at < LATEST:
            raise ValueError
        return at
    except (ValueError, OverflowError):
        raise cursor_problem(text, "this list") from None

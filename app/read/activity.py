"""GET activity and trends: what was granted in any stretch of time, out of the ledger's own counts."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlencode

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from ..access.keys import Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, decode_body, query_int
from ..model.errors import Invalid, UserNotFound
from ..model.micros import EARLIEST, LATEST, from_micros, to_micros
from ..model.moment import SentMoment, read_moment
from ..model.namespace import Namespace
from ..model.score import sum_of
from ..model.text import ID_BYTES_MAX, check_text
from ..store import keys
from ..store.log import lag_behind
from ..store.read_batcher import ReadBatcher
from ..store.visibility import hidden_among
from .authorizer import ReadAuthorizer
from .conditional import answer_with_etag
from .grant_history import moment_of
from .totals import USERS_BYTES_MAX, USERS_MAX, UserList, check_users

#: Buckets of a page: six weeks of hours. A client turns the page for more.
LIMIT_MAX = 1_000
LAG_HEADER = "Lag-Seq"
_RANGE = ("since", "until", "by")

T = TypeVar("T")


class UserActivityRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose activity is asked for, and when: `since` ≤ t < `until`, each open where it is absent."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=USERS_MAX)]
    since: SentMoment | UnsetType = UNSET
    until: SentMoment | UnsetType = UNSET
    by: Literal["granted", "recorded"] = "granted"


class TimeRange(msgspec.Struct, frozen=True):
    """A stretch of time, `since` ≤ t < `until`; None: open. by: which time of a grant is meant."""

    since: datetime | None
    until: datetime | None
    by: str

    @property
    def arguments(self) -> tuple[datetime, datetime, bool]:
        """The bounds as the ledger is asked for them, and whether the time of recording is meant."""
        return self.since or EARLIEST, self.until or LATEST, self.by == "recorded"


class ActivityHandlers:
    """Counts and sums of live grants by time. What comes from the ledger carries lag_seq. StoreUnavailable."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher, authorizer: ReadAuthorizer) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._authorizer = authorizer

    async def of_user(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/activity`. UserNotFound, of who is hidden from the caller too."""
        asked = _range(request)
        user = request.path_params["user"]
        check_text(user, "{user}", ID_BYTES_MAX)

        async def read(namespace: Namespace, principal: Principal) -> dict[str, Any]:
            found, lag = await self._fetch(namespace, "get_user_activity", *asked.arguments, [user])
            is_known = bool(found) or await self._is_known(namespace, user)
            if not is_known or await self._hidden_from(principal, namespace, [user]):
                raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
            counted = _count_body(namespace, found[0] if found else None)
            return _range_body(namespace, asked) | {"user_id": user} | counted | {"lag_seq": lag}

        return answer_with_etag(request, None, await self._read(request, read))

    async def of_users(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/activity`: many users' at once, in the order asked; `missing`: those without a
        grant in the ledger, for a caller without the scope `read` those who are hidden, too."""
        check_query(request)
        await self._authorizer.admit(request.scope, request.path_params["namespace"])
        body = await decode_body(request, UserActivityRequest, bytes_max=USERS_BYTES_MAX)
        users = check_users(UserList(body.users))
        since, until = (_moment(getattr(body, name), name) for name in ("since", "until"))
        asked = _time_range(since, until, body.by, "$.")

        async def read(namespace: Namespace, principal: Principal) -> dict[str, Any]:
            rows, lag = await self._fetch(namespace, "get_user_activity", *asked.arguments, users)
            hidden = await self._hidden_from(principal, namespace, users)
            found = {row["name"]: row for row in rows if row["name"] not in hidden}
            return _range_body(namespace, asked) | {
                "users": [{"user_id": user, **_count_body(namespace, found[user])} for user in users if user in found],
                "missing": [user for user in users if user not in found],
                "lag_seq": lag,
            }

        return answer(request, await self._read(request, read))

    async def of_all(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/activity`: all of its users together."""
        asked = _range(request)

        async def read(namespace: Namespace, _: Principal) -> dict[str, Any]:
            (row,), lag = await self._fetch(namespace, "get_namespace_activity", *asked.arguments)
            return _range_body(namespace, asked) | _count_body(namespace, row) | {"lag_seq": lag}

        return answer_with_etag(request, None, await self._read(request, read))

    async def trends(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/trends`: the buckets that begin in a stretch of time and hold live grants, oldest
        first. A list: what else there is to say stands in the headers `Lag-Seq` and `Link`."""
        check_query(request, "bucket", "since", "until", "limit", "cursor")
        query, bucket = request.query_params, request.query_params.get("bucket", "day")
        if bucket not in ("hour", "day"):
            raise Invalid("must be hour or day", field="?bucket")
        limit = query_int(request, "limit", 100, 1, LIMIT_MAX)
        asked = _time_range(moment_of(query, "since"), moment_of(query, "until"), "granted", "?")
        since, until, _ = asked.arguments
        if "cursor" in query:
            since = max(since, _parse_cursor(query["cursor"]))

        async def read(namespace: Namespace, _: Principal) -> tuple[list[dict[str, Any]], str | None, int]:
            rows, lag = await self._fetch(namespace, "get_trends", int(bucket == "hour"), since, until, limit + 1)
            cursor = _cursor(rows[limit]["at"]) if len(rows) > limit else None
            return [_bucket(namespace, row) for row in rows[:limit]], cursor, lag

        buckets, cursor, lag = await self._read(request, read)
        headers = {LAG_HEADER: str(lag)}
        if cursor is not None:
            following = urlencode({**query, "cursor": cursor})
            headers["Link"] = f'<?{following}>; rel="next"'
        return answer_with_etag(request, None, buckets, is_heavy=not lag, headers=headers)

    async def _fetch(self, namespace: Namespace, query: str, *args: Any) -> tuple[list[asyncpg.Record], int]:
        """The rows of a named query about a namespace, and the entries that were not counted before it."""
        offset = await self._postgres.fetch_one("get_counted_offset", namespace.partition)
        rows = await self._postgres.fetch(query, namespace.id, *args)
        return rows, await lag_behind(self._batcher, namespace.partition, offset)

    async def _is_known(self, namespace: Namespace, user: str) -> bool:
        balances = keys.balances(namespace.partition, namespace.id) + user
        return bool(await self._batcher.call(("EXISTS", balances)))

    async def _hidden_from(self, principal: Principal, namespace: Namespace, users: list[str]) -> set[str]:
        """Those of some users of whom a principal is told nothing."""
        if principal.may("read", namespace.name):
            return set()
        return await hidden_among(self._batcher.call, namespace, users)

    async def _read(self, request: Request, read: Callable[[Namespace, Principal], Awaitable[T]]) -> T:
        return await self._authorizer.read_as(request.scope, request.path_params["namespace"], read)


def _range(request: Request) -> TimeRange:
    check_query(request, *_RANGE)
    query: Mapping[str, str] = request.query_params
    by = query.get("by", "granted")
    if by not in ("granted", "recorded"):
        raise Invalid("must be granted or recorded", field="?by")
    return _time_range(moment_of(query, "since"), moment_of(query, "until"), by, "?")


def _moment(sent: msgspec.Raw | UnsetType, name: str) -> datetime | None:
    return None if isinstance(sent, UnsetType) else read_moment(sent, f"$.{name}")


def _time_range(since: datetime | None, until: datetime | None, by: str, where: str) -> TimeRange:
    """Invalid for an end before its beginning."""
    if since is not None and until is not None and since > until:
        raise Invalid("must not lie behind until", field=f"{where}since")
    return TimeRange(since, until, by)


def _range_body(namespace: Namespace, asked: TimeRange) -> dict[str, Any]:
    return {"namespace": namespace.name, "since": _utc(asked.since), "until": _utc(asked.until), "by": asked.by}


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
    """None of nothing."""
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
        raise Invalid("is not a cursor of this list", field="?cursor") from None

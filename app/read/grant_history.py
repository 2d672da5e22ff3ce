"""GET grants: one with its revisions, a user's, and those that make a score."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import check_own_user
from ..drivers.pauses import Pauses
from ..drivers.postgres import Fetch, Postgres
from ..http.bodies import answer, check_query, query_int
from ..model.board_ref import find_window
from ..model.cursor_problem import cursor_problem
from ..model.entry_kinds import QUARANTINE_VERB
from ..model.errors import GrantNotFound, StoreUnavailable, UserNotFound, not_recorded
from ..model.meta import read_meta
from ..model.micros import EARLIEST, LATEST, from_micros, to_micros
from ..model.moment import parse_moment
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..model.visibility import visible_name
from ..model.windows import Window
from ..store.boards import user_exists_call
from ..store.grant_lag import GrantLag, RecordedRevision
from ..store.ledger import Ledger
from ..store.log import lag_behind
from ..store.read_batcher import ReadBatcher
from ..store.user_balances import last_change_call
from .authorizer import ReadAuthorizer
from .csv_answers import grants_answer
from .lost_scores import with_lost_cells

#: Grants of a page; a client turns the page for more.
LIMIT_MAX = 1_000
#: Seconds that a read waits for a fresh grant to reach the ledger; after them it answers `503 store_unavailable`.
WAIT_S_MAX = 2.0
#: Seconds that `explain` waits until the ledger is counted up to the user's last change; after them its `lag_seq` says
#: how many entries are missing. Counting follows the rows within half a second, later under load.
COUNTED_S_MAX = 1.0

PageKey = tuple[datetime, int]  # of a grant among a user's: granted_at and seq
_FIRST: PageKey = (LATEST, 0)  # before which all lie


class GrantHistory:
    """Grants from the ledger. `lag_seq`: entries that it lacks.

    A grant shows more than a board does: its `meta`, who acted and why; also grants of hidden users and in quarantine.
    So each read needs a key with the scope `read`, also in a public namespace.
    """

    def __init__(
        self,
        *,
        postgres: Postgres,
        batcher: ReadBatcher,
        authorizer: ReadAuthorizer,
        clock: Callable[[], int],
    ) -> None:
        self._postgres = postgres
        self._ledger = Ledger(postgres)
        self._batcher = batcher
        self._authorizer = authorizer
        self._clock = clock

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/grants/{grant_id}`."""
        check_query(request)
        grant_id = _path_id(request, "grant_id")
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"], "read"):
            body = await self.read_grant(admission.namespace, grant_id)
            if admission.principal.user not in (None, body["user_id"]):
                raise no_grant(admission.namespace, grant_id)  # The same as for one that does not exist.
        return answer(request, body)

    async def of_user(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/grants`."""
        check_query(request, "since", "until", "cursor", "limit")
        limit = query_int(request, "limit", 100, low=1, high=LIMIT_MAX)
        user = _path_id(request, "user")
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"], "read"):
            check_own_user(admission.principal, user)
            body = await self._page(admission.namespace, user, request.query_params, limit)
        return grants_answer(request, admission.namespace, body)

    async def explain(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}/explain`: which grants make a score."""
        check_query(request, "window", "cursor", "limit")
        limit = query_int(request, "limit", LIMIT_MAX, low=1, high=LIMIT_MAX)
        user, parameters = _path_id(request, "user"), request.query_params
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"], "read"):
            check_own_user(admission.principal, user)
            window = find_window(admission.namespace, parameters.get("window", "all"), self._clock(), "?window")
            body = await self._explanation(admission.namespace, user, window, parameters, limit)
        return answer(request, body)

    async def read_grant(self, namespace: Namespace, grant_id: str) -> dict[str, Any]:
        """One grant with its revisions. It waits for a fresh grant to reach the ledger. GrantNotFound,
        StoreUnavailable."""
        pauses, lag = Pauses(WAIT_S_MAX), GrantLag(self._batcher, self._ledger, namespace)
        while True:
            rows = await self._postgres.fetch("get_revisions", namespace.id, grant_id)
            lacking = await lag.look({grant_id: _recorded(rows)})
            if lacking.dead:
                raise not_recorded()
            if not lacking.behind:
                if not rows:
                    raise no_grant(namespace, grant_id)
                revisions = [_revision_body(namespace, row) for row in rows]
                return {**grant_body(namespace, rows[-1]), "meta": revisions[0]["meta"], "revisions": revisions}
            if not lacking.is_settled:
                if pauses.are_over:
                    raise StoreUnavailable("the grant is not in the ledger yet")
                await pauses.next()

    async def _page(self, namespace: Namespace, user: str, parameters: Mapping[str, str], limit: int) -> dict[str, Any]:
        """A user's grants, newest granted_at first. UserNotFound; O(log n + limit)."""
        since, until = moment_of(parameters, "since") or EARLIEST, moment_of(parameters, "until") or LATEST
        before = min(_parse_cursor(parameters.get("cursor")), (until, 0))
        offset = await self._postgres.fetch_one("get_offset", namespace.partition)
        rows = await self._postgres.fetch("get_grant_history", namespace.id, user, since, *before, limit + 1)
        if not rows and not await self._is_known(namespace, user):
            raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
        has_more, rows = len(rows) > limit, rows[:limit]
        return {
            "grants": [grant_body(namespace, row) for row in rows],
            "next_cursor": _cursor(rows[-1]) if has_more else None,
            "lag_seq": await lag_behind(self._batcher, namespace.partition, offset),
        }

    async def _explanation(
        self, namespace: Namespace, user: str, window: Window, parameters: Mapping[str, str], limit: int
    ) -> dict[str, Any]:
        """The live grants that make a user's score, newest first, and the score. If one grant decides, only that one
        and its equals; `lost`: the part of the score that entries made which Postgres lost, where there is one. All
        are as of the seq up to which the ledger is counted by time. It waits for the user's last change; lag_seq is the
        number of entries that are still missing. UserNotFound; O(log n + limit + days with grants in the window)."""
        before = _parse_cursor(parameters.get("cursor"))
        await self._wait_until_counted(namespace, user)
        async with self._postgres.snapshot() as fetch:
            (offset,) = await fetch("get_counted_offset", namespace.partition)
            units, rows = await _explain(fetch, namespace, user, window, before, limit + 1)
            lost = await fetch("get_lost_cells_of_user", namespace.id, user)
        lag = await lag_behind(self._batcher, namespace.partition, offset)
        if units is None and not await self._is_known(namespace, user):
            raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
        explained = with_lost_cells(namespace, window.name, units, rows[:1], lost)
        rows = [] if explained.hides_grants else rows
        has_more, rows = len(rows) > limit, rows[:limit]
        return {
            "namespace": namespace.name,
            "user_id": user,
            "window": window.name,
            "score": namespace.number_or_none(explained.score),
            **({} if explained.lost is None else {"lost": namespace.number(explained.lost)}),
            "grants": [grant_body(namespace, row) for row in rows],
            "next_cursor": _cursor(rows[-1]) if has_more else None,
            "lag_seq": lag,
        }

    async def _wait_until_counted(self, namespace: Namespace, user: str) -> None:
        """Waits until the ledger is counted up to the user's last change, at most COUNTED_S_MAX."""
        raw = await self._batcher.call(last_change_call(namespace.partition, namespace.id, user))
        last, pauses = int(raw or 0), Pauses(COUNTED_S_MAX)
        while True:
            offset = await self._postgres.fetch_one("get_counted_offset", namespace.partition)
            if (offset is not None and offset["seq"] >= last) or pauses.are_over:
                return
            await pauses.next()

    async def _is_known(self, namespace: Namespace, user: str) -> bool:
        return bool(await self._batcher.call(user_exists_call(namespace, user)))


async def _explain(
    fetch: Fetch, namespace: Namespace, user: str, window: Window, before: PageKey, limit: int
) -> tuple[int | None, list[asyncpg.Record]]:
    """A score in scaled units, and its grants after a cursor; None without any grant."""
    shows = namespace.aggregation.shows
    at = namespace.id, user, namespace.partition, window.name
    if shows == "equal":
        rows = await fetch("get_best_grants", *at, *before, limit)
        first = rows or await fetch("get_best_grants", *at, *_FIRST, 1)
        return first[0]["amount"] if first else None, rows
    starts = EARLIEST if window.starts is None else from_micros(window.starts)
    ends = LATEST if window.ends is None else from_micros(window.ends)
    if shows == "last":
        rows = await fetch("get_live_grants", *at, starts, ends, 0, 1)
        return rows[0]["amount"] if rows else None, [row for row in rows if _place(row) < before]
    counted = await fetch("get_user_activity", namespace.id, starts, ends, False, [user])
    if window.name == "all":
        counted = [*counted, *await fetch("get_opening_sum", namespace.id, user)]
    units = sum(int(row["amount"]) for row in counted) if any(row["grants"] for row in counted) else None
    return units, await fetch("get_live_grants", *at, starts, *min(before, (ends, 0)), limit)


def _place(row: asyncpg.Record) -> PageKey:
    return row["granted_at"], row["seq"]


def no_grant(namespace: Namespace, grant_id: str) -> GrantNotFound:
    """The problem of an id that no grant has, or none that the caller may see."""
    return GrantNotFound(f"there is no grant {grant_id!r} in {namespace.name!r}")


def grant_body(namespace: Namespace, row: asyncpg.Record) -> dict[str, Any]:
    """A grant as a list of grants shows it."""
    return {
        "grant_id": row["grant_id"],
        "user_id": visible_name(row["user"]),
        "amount": namespace.number(row["amount"]),
        "category": row["category"],
        "source": row["source"],
        "source_id": row["source_id"],
        "action": row["action"],
        "session_id": row["session_id"],
        "granted_at": row["granted_at"],
        "recorded_at": row["recorded_at"],
        "voided": row["voided"],
        "quarantined": row["verb"] == QUARANTINE_VERB,
        "opening": row["opening"],
        "revision": row["revision"],
        "epoch": row["epoch"],
        "seq": row["seq"],
        "meta": read_meta(row["meta"]),
    }


def _revision_body(namespace: Namespace, row: asyncpg.Record) -> dict[str, Any]:
    """One revision: the grant after it, and what was done, why, and by which key."""
    change = {"verb": row["verb"] or "grant", "reason": row["reason"], "actor": row["actor"]}
    return {**grant_body(namespace, row), **change}


def _recorded(rows: Sequence[asyncpg.Record]) -> RecordedRevision:
    """What the ledger has of a grant, of which these are the revisions in order."""
    return RecordedRevision(rows[-1]["revision"], rows[-1]["has_open_letter"]) if rows else RecordedRevision()


def _path_id(request: Request, name: str) -> str:
    """An id in the path. Invalid if no client could have written it."""
    value: str = request.path_params[name]
    check_text(value, f"{{{name}}}", ID_BYTES_MAX)
    return value


def moment_of(parameters: Mapping[str, str], name: str) -> datetime | None:
    """A moment among the parameters; None if it is absent. Invalid, naming it."""
    text = parameters.get(name)
    if text is None:
        return None
    return parse_moment(text, f"?{name}")


def _cursor(row: asyncpg.Record) -> str:
    micros = to_micros(row["granted_at"])
    return base64.urlsafe_b64encode(f"{micros} {row['seq']}".encode()).decode().rstrip("=")


def _parse_cursor(text: str | None) -> PageKey:
    """The cursor at the end of a page: the next page has older grants. Invalid."""
    if text is None:
        return _FIRST
    try:
        micros, seq = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).split()
        if not 0 <= int(seq) < 2**63:
            raise ValueError
        return from_micros(int(micros)), int(seq)
    except (ValueError, OverflowError):
        raise cursor_problem(text, "this list") from None

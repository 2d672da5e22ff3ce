"""GET grants of a namespace: those in quarantine, those of one source, and those that count."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from ..drivers.postgres import Postgres
from ..http.bodies import check_query, query_int
from ..model.cursor_problem import cursor_problem
from ..model.errors import Invalid
from ..model.text import check_label
from ..store.log import lag_behind
from ..store.read_batcher import ReadBatcher
from .authorizer import ReadAuthorizer
from .csv_answers import grants_answer
from .grant_history import grant_body
from .live_grants import LiveGrants

#: Grants of a page; a client turns the page for more.
LIMIT_MAX = 1_000


class GrantLists:
    """Lists from the ledger, for a key with the scope `write`."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher, authorizer: ReadAuthorizer) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._authorizer = authorizer

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/grants?state=&source=&source_id=&since=&until=&cursor&limit`: `{"grants":[…],
        "next_cursor", "lag_seq"}`, each grant in its current state.

        `state=quarantined`: grants that wait for a decision; `source` and `source_id`: grants that have both. In the
        order of the entries that put them on the list. `state=live`: grants that count, of one source, granted since
        and before; user by user, each one's newest first, without erased users. Invalid, Unauthorized, Forbidden,
        NamespaceNotFound, StoreUnavailable. O(log n + limit), and O(corrections) of a source's grants.
        """
        check_query(request, "state", "source", "source_id", "since", "until", "cursor", "limit")
        parameters, limit = request.query_params, query_int(request, "limit", 100, low=1, high=LIMIT_MAX)
        is_live = parameters.get("state") == "live"
        page = LiveGrants.of(parameters, limit) if is_live else RecordedGrants.of(parameters, limit)
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"], "write"):
            namespace = admission.namespace
            offset = await self._postgres.fetch_one("get_offset", namespace.partition)
            rows = await self._postgres.fetch(page.query, namespace.id, *page.arguments)
            body = {
                "grants": [grant_body(namespace, row) for row in page.grants(rows)],
                "next_cursor": page.next_cursor(rows),
                "lag_seq": await lag_behind(self._batcher, namespace.partition, offset),
            }
        return grants_answer(request, namespace, body)


class RecordedGrants(NamedTuple):
    """A page of grants in quarantine, or of one source, behind a seq. One row more tells if there is a next page."""

    query: str
    source: tuple[str, str] | None
    after: int
    limit: int

    @classmethod
    def of(cls, parameters: Mapping[str, str], limit: int) -> Self:
        """Invalid."""
        for name in ("since", "until"):
            if name in parameters:
                raise Invalid("is for state=live alone", field=f"?{name}")
        source = _source_of(parameters.get("source"), parameters.get("source_id"))
        state = parameters.get("state")
        if state not in (None, "quarantined"):
            raise Invalid("must be live or quarantined", field="?state")
        if state is None and source is None:
            raise Invalid("say which grants: state=live or quarantined, or a source and a source_id", field="?state")
        name = "get_grants_of_source" if state is None else "get_quarantined_grants"
        if state is not None and source is not None:
            name = "get_quarantined_grants_of_source"
        return cls(name, source, _parse_cursor(parameters.get("cursor")), limit)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Of the query, behind the namespace."""
        return self.after, self.limit + 1, *(self.source or ())

    def grants(self, rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
        """Those that are shown."""
        return rows[: self.limit]

    def next_cursor(self, rows: Sequence[asyncpg.Record]) -> str | None:
        """Where the next page begins; None where there is none."""
        return _cursor(rows[self.limit - 1]["seq"]) if len(rows) > self.limit else None


def _source_of(source: str | None, source_id: str | None) -> tuple[str, str] | None:
    """The source and its source_id; both or neither. Invalid."""
    if source is None and source_id is None:
        return None
    for field, text in (("?source", source), ("?source_id", source_id)):
        if text is None:
            raise Invalid("source and source_id name one source together", field=field)
        check_label(text, field)
    assert source is not None
    assert source_id is not None
    return source, source_id


def _cursor(seq: int) -> str:
    return base64.urlsafe_b64encode(b"%d" % seq).decode().rstrip("=")


def _parse_cursor(text: str | None) -> int:
    """The seq behind which the next page begins. Invalid."""
    if text is None:
        return 0
    try:
        seq = int(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        if not 0 <= seq < 2**63:
            raise ValueError
        return seq
    except ValueError:
        raise cursor_problem(text, "this list") from None

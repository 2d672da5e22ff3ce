"""GET grants of a namespace: those in quarantine, and those of one source."""

import base64

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

#: Grants of a page; a client turns the page for more.
LIMIT_MAX = 1_000


class GrantLists:
    """Lists from the ledger, oldest first, for a key with the scope `write`."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher, authorizer: ReadAuthorizer) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._authorizer = authorizer

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/grants?state=quarantined&source=&source_id=&cursor&limit`: `{"grants":[…],
        "next_cursor", "lag_seq"}`, each grant in its current state.

        `state`: grants that wait for a decision; `source` and `source_id`: grants that have both. In the order of the
        entries that put them on the list. Invalid, Unauthorized, Forbidden, NamespaceNotFound, StoreUnavailable. O(log
        n + limit), and O(corrections) of a source's grants.
        """
        check_query(request, "state", "source", "source_id", "cursor", "limit")
        parameters = request.query_params
        source = _source_of(parameters.get("source"), parameters.get("source_id"))
        state = parameters.get("state")
        if state not in (None, "quarantined"):
            raise Invalid("must be quarantined", field="?state")
        if state is None and source is None:
            raise Invalid("say which grants: state=quarantined, or a source and a source_id", field="?state")
        limit, after = query_int(request, "limit", 100, low=1, high=LIMIT_MAX), _parse_cursor(parameters.get("cursor"))
        name = "get_grants_of_source" if state is None else "get_quarantined_grants"
        if state is not None and source is not None:
            name = "get_quarantined_grants_of_source"

        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"], "write"):
            namespace = admission.namespace
            offset = await self._postgres.fetch_one("get_offset", namespace.partition)
            rows = await self._postgres.fetch(name, namespace.id, after, limit + 1, *(source or ()))
            body = {
                "grants": [grant_body(namespace, row) for row in rows[:limit]],
                "next_cursor": _cursor(rows[limit - 1]["seq"]) if len(rows) > limit else None,
                "lag_seq": await lag_behind(self._batcher, namespace.partition, offset),
            }
        return grants_answer(request, namespace, body)


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

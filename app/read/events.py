"""GET events: what happened in a namespace, from two sources. Each is read in the order of its commits."""

import re
from collections.abc import Sequence
from heapq import merge
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import check_no_token, check_reader, principal_of, require_scope
from ..access.keys import Keyring
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, query_int
from ..model.cursor_problem import cursor_problem
from ..model.errors import Invalid, no_namespace
from ..model.event import OF_AUDIT, OF_LEDGER, AuditEvent, Event, LedgerEvent
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_label, check_text
from ..store.event_rows import audit_event, ledger_event
from ..store.log import lag_behind
from ..store.namespace_cache import namespace_from_row
from ..store.read_batcher import ReadBatcher

#: Events of a page; a client turns the page for more.
LIMIT_MAX = 1_000
#: Entries of an actor or a session that one page scans for the requested types: a look-up each, some 10 ms in all.
LOOK_ENTRIES_MAX = 2_000
#: The largest seq that Postgres can store.
_SEQ_MAX = 2**63 - 1

_CURSOR = re.compile(r"\d{1,19}\.\d{1,19}\.\d{1,19}", re.ASCII)
_KINDS = {str(kind.__struct_config__.tag): name for name, kind in OF_LEDGER.items()}
_TYPES = (*_KINDS, *OF_AUDIT)


class Cursor(NamedTuple):
    """How far each source was read: a seq of the ledger and an id of the audit, both of one namespace."""

    namespace_id: int
    seq: int
    audit_id: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor that str() wrote. Invalid."""
        if _CURSOR.fullmatch(text) is not None:
            cursor = cls(*map(int, text.split(".")))
            if cursor.namespace_id < 2**31 and max(cursor) < 2**63:
                return cursor
        raise cursor_problem(text, "this list", field="?after", source="next_after")

    def __str__(self) -> str:
        return f"{self.namespace_id}.{self.seq}.{self.audit_id}"

    def past(self, event: Event) -> "Cursor":
        """The cursor behind an event."""
        if isinstance(event, LedgerEvent):
            return self._replace(seq=event.seq)
        assert isinstance(event, AuditEvent)
        return self._replace(audit_id=event.audit_id)


class EventParameters(NamedTuple):
    """The events of a request: types by name; actor and session_id narrow them."""

    types: Sequence[str]
    actor: str | None
    session_id: str | None
    limit: int

    @classmethod
    def parse(cls, request: Request) -> "EventParameters":
        """The parameters. Invalid."""
        check_query(request, "after", "type", "actor", "session_id", "limit")
        parameters = request.query_params
        types = tuple(dict.fromkeys(parameters.getlist("type"))) or _TYPES
        for name in types:
            if name not in _TYPES:
                raise Invalid(f"is none of {', '.join(_TYPES)}", field="?type")
        if "actor" in parameters:
            check_text(parameters["actor"], "?actor", ID_BYTES_MAX)
        if "session_id" in parameters:
            check_label(parameters["session_id"], "?session_id")
        limit = query_int(request, "limit", 100, low=1, high=LIMIT_MAX)
        return cls(types, parameters.get("actor"), parameters.get("session_id"), limit)


class EventHandlers:
    """A namespace's events, oldest first, of a deleted one too."""

    def __init__(self, postgres: Postgres, batcher: ReadBatcher, keyring: Keyring) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._keyring = keyring

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/events`. Events name actors, so a public namespace's need a key, too."""
        ask, after = EventParameters.parse(request), request.query_params.get("after")
        cursor = None if after is None else Cursor.parse(after)
        name = request.path_params["namespace"]
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "read", name)
        check_no_token(principal, "events, which tell of every user's grants")
        namespace = await self._named(name, cursor)
        body = await self._read(namespace, cursor or Cursor(namespace.id, 0, 0), ask)
        # The read of the lag has also updated this process about revoked keys, so rights are checked again.
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "read", name)
        check_reader(principal, namespace)
        return answer(request, body)

    async def _named(self, name: str, cursor: Cursor | None) -> Namespace:
        """The namespace that has the name, or had it last, or to which a cursor belongs. Invalid, NamespaceNotFound."""
        check_text(name, "{namespace}", ID_BYTES_MAX)
        row = await self._postgres.fetch_one(
            "find_namespace_by_name", name, None if cursor is None else cursor.namespace_id
        )
        if row is not None:
            return namespace_from_row(row)
        if cursor is not None:
            raise cursor_problem(str(cursor), "this namespace", field="?after", source="next_after")
        raise no_namespace(name)

    async def _read(self, namespace: Namespace, cursor: Cursor, ask: EventParameters) -> dict[str, Any]:
        """Events behind a cursor, and the cursor behind the last of them, from which later events are read.

        Each source is read in its own order, not by clock, so that no event that is committed late is skipped. `at`
        only decides how the two sources are merged. A page may be short or empty and its cursor still move on, by the
        entries that were scanned.
        """
        offset = await self._postgres.fetch_one("get_offset", namespace.partition)
        scan_end = await self._scan_end(cursor, ask)
        of_ledger = await self._of_ledger(namespace, cursor, ask, scan_end)
        of_audit = await self._of_audit(namespace, cursor, ask)
        events = list(merge(of_ledger, of_audit, key=lambda event: event.at))[: ask.limit]
        for event in events:
            cursor = cursor.past(event)
        if (
            scan_end is not None
            and len(of_ledger) < ask.limit
            and cursor.seq >= (of_ledger[-1].seq if of_ledger else 0)
        ):
            cursor = cursor._replace(seq=scan_end)
        return {
            "events": events,
            "next_after": str(cursor),
            "lag_seq": await lag_behind(self._batcher, namespace.partition, offset),
        }

    async def _scan_end(self, cursor: Cursor, ask: EventParameters) -> int | None:
        """The last seq that a page scans of an actor's or a session's entries, if more follow; None: it scans all."""
        if (ask.actor is None and ask.session_id is None) or not set(ask.types) & _KINDS.keys():
            return None
        narrowed = (ask.actor, ask.session_id, LOOK_ENTRIES_MAX)
        (row,) = await self._postgres.fetch("count_scanned_entries", cursor.namespace_id, cursor.seq, *narrowed)
        return int(row["seq"]) if row["entries"] == LOOK_ENTRIES_MAX else None

    async def _of_ledger(
        self, namespace: Namespace, cursor: Cursor, ask: EventParameters, scan_end: int | None
    ) -> list[LedgerEvent]:
        kinds = [_KINDS[name] for name in ask.types if name in _KINDS]
        if not kinds:
            return []
        narrowed = (ask.actor, ask.session_id, ask.limit, _SEQ_MAX if scan_end is None else scan_end)
        rows = await self._postgres.fetch("get_ledger_events", namespace.id, cursor.seq, kinds, *narrowed)
        return [ledger_event(namespace, row) for row in rows]

    async def _of_audit(self, namespace: Namespace, cursor: Cursor, ask: EventParameters) -> list[AuditEvent]:
        types = [name for name in ask.types if name in OF_AUDIT]
        if not types or ask.session_id is not None:
            return []
        rows = await self._postgres.fetch(
            "get_audit_events", cursor.namespace_id, cursor.audit_id, types, ask.actor, ask.limit
        )
        return [audit_event(namespace, row) for row in rows]

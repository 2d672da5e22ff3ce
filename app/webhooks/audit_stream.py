"""Events of the audit: drift, and the phases of a move. They are rare, and are looked for every few seconds."""

import asyncio
from collections import deque
from time import monotonic
from typing import Any

import msgspec

from ..drivers.postgres import Fetch
from ..model.webhook import AUDIT_TYPES, WebhookSettings, is_covered, like_pattern
from ..model.webhook_message import Message, message_of
from ..store.event_rows import audit_event
from ..store.namespace_cache import namespace_from_row
from .stream import Head, StreamState

#: Seconds between two looks: each asks for every namespace of the deployment.
LOOK_AUDIT_S = 5.0
#: Events of one look.
EVENTS_A_LOOK_MAX = 100
#: The partition under which a webhook's offset in the audit is kept.
AUDIT_PARTITION = -1
_ALL_NAMES = "%"


class AuditEnd:
    """How far the audit's events for webhooks go, looked up once for all of them. Their ids are in the order of their
    commits, see EVENTS_LOCK."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._types = sorted(AUDIT_TYPES)
        self._last: int | None = None
        self._looked_s = float("-inf")
        self._turn = asyncio.Lock()

    async def last(self) -> int:
        """The id of the last event, LOOK_AUDIT_S ago at most. O(1), or O(namespaces × log n) then. asyncpg's errors."""
        async with self._turn:
            if self._last is None:
                rows = await self._fetch("get_oldest_webhook_offsets")
                self._last = next((row["seq"] for row in rows if row["partition"] == AUDIT_PARTITION), 0)
            if monotonic() - self._looked_s >= LOOK_AUDIT_S:
                while rows := await self._fetch(
                    "find_webhook_audit", self._types, _ALL_NAMES, self._last, EVENTS_A_LOOK_MAX
                ):
                    self._last = rows[-1]["id"]
                self._looked_s = monotonic()
            return self._last


class AuditStream:
    """The audit's events of some types, by id."""

    name = "audit"
    failing_state = "failing"

    def __init__(self, fetch: Fetch, settings: WebhookSettings, end: AuditEnd, offset: int) -> None:
        self._fetch = fetch
        self._settings = settings
        self._types = [name for name in settings.types if name in AUDIT_TYPES]
        self._end = end
        self._offset = offset
        self._waiting: deque[Head] = deque()

    async def head(self) -> Head | None:
        """See Stream. O(namespaces × log n) where the audit has a new event of any namespace."""
        if self._types and not self._waiting and (last := await self._end.last()) > self._offset:
            pattern = like_pattern(self._settings.namespaces)
            bounds = self._offset, EVENTS_A_LOOK_MAX
            for row in await self._fetch("find_webhook_audit", self._types, pattern, *bounds):
                place = {"stream": self.name, "namespace_id": row["namespace_id"], "id": row["id"]}
                self._waiting.append(Head(f"msg_a-{row['id']}", row["type"], place))
            if not self._waiting:
                self._offset = last
        return self._waiting[0] if self._waiting else None

    async def render(self, head: Head) -> Message | None:
        """See Stream."""
        rows = await self._fetch("get_webhook_audit", head.place["namespace_id"], head.place["id"])
        if not rows:
            return None
        (space,) = await self._fetch("get_webhook_namespace", head.place["namespace_id"])
        namespace = namespace_from_row(space)
        if not is_covered(namespace.name, self._settings.namespaces):
            return None
        data: dict[str, Any] = msgspec.structs.asdict(audit_event(namespace, rows[0]))
        if "actor" not in self._settings.include:
            del data["actor"]
        return message_of(head.message_id, head.type, rows[0]["at"], {"namespace": namespace.name, **data})

    def state_behind(self, head: Head, *, is_dropped: bool) -> StreamState:
        """See Stream."""
        return StreamState(AUDIT_PARTITION, 0, head.place["id"])

    def pass_head(self, head: Head, *, is_dropped: bool) -> None:
        """See Stream."""
        self._waiting.popleft()
        self._offset = head.place["id"]

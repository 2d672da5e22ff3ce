"""Events of the audit: drift, and the phases of a move. They are rare, and are looked for every few seconds."""

from collections import deque
from time import monotonic
from typing import Any

import msgspec

from ..drivers.postgres import Fetch
from ..model.webhook import AUDIT_TYPES, WebhookSettings, is_covered, like_pattern
from ..model.webhook_message import Message, message_of
from ..store.event_rows import audit_event
from ..store.namespace_cache import namespace_from_row
from .delivery_session import DelivererSession
from .stream import Head

#: Seconds between two looks: each asks for every namespace of the webhook.
LOOK_AUDIT_S = 5.0
#: Events of one look.
EVENTS_A_LOOK_MAX = 100
#: The partition under which a webhook's offset in the audit is kept.
AUDIT_PARTITION = -1


class AuditStream:
    """The audit's events of some types, by id. Their ids are in the order of their commits, see EVENTS_LOCK."""

    name = "audit"
    failing_state = "failing"

    def __init__(self, session: DelivererSession, number: int, settings: WebhookSettings, offset: int) -> None:
        self._session = session
        self._number = number
        self._settings = settings
        self._types = [name for name in settings.types if name in AUDIT_TYPES]
        self._offset = offset
        self._looked_s = float("-inf")
        self._waiting: deque[Head] = deque()

    async def head(self) -> Head | None:
        """See Stream. O(namespaces × log n)."""
        if self._types and not self._waiting and monotonic() - self._looked_s >= LOOK_AUDIT_S:
            self._looked_s = monotonic()
            pattern = like_pattern(self._settings.namespaces)
            bounds = self._offset, EVENTS_A_LOOK_MAX
            for row in await self._session.fetch("find_webhook_audit", self._types, pattern, *bounds):
                place = {"stream": self.name, "namespace_id": row["namespace_id"], "id": row["id"]}
                self._waiting.append(Head(f"msg_a-{row['id']}", row["type"], place))
        return self._waiting[0] if self._waiting else None

    async def render(self, head: Head) -> Message | None:
        """See Stream."""
        rows = await self._session.fetch("get_webhook_audit", head.place["namespace_id"], head.place["id"])
        if not rows:
            return None
        (space,) = await self._session.fetch("get_webhook_namespace", head.place["namespace_id"])
        namespace = namespace_from_row(space)
        if not is_covered(namespace.name, self._settings.namespaces):
            return None
        data: dict[str, Any] = msgspec.structs.asdict(audit_event(namespace, rows[0]))
        if "actor" not in self._settings.include:
            del data["actor"]
        return message_of(head.message_id, head.type, rows[0]["at"], {"namespace": namespace.name, **data})

    async def settle(self, head: Head, fetch: Fetch) -> None:
        """See Stream."""
        self._waiting.popleft()
        self._offset = head.place["id"]
        await fetch("put_webhook_offsets", self._number, [AUDIT_PARTITION], [0], [self._offset])

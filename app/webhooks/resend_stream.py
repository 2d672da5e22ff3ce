"""Messages that a client asked for once more, each made anew by the stream that it came from."""

import json
from collections.abc import Collection, Mapping

from ..drivers.postgres import Fetch
from ..model.webhook_message import Message
from .delivery_session import DelivererSession
from .stream import Head, Stream


class ResendStream:
    """Sends again what waits for it. requests: the numbers of webhooks of which something does; the deliverer keeps it
    up to date. origins: the streams that messages come from, by name."""

    name = "resend"
    failing_state = "resend"

    def __init__(
        self, session: DelivererSession, number: int, requests: Collection[int], origins: Mapping[str, Stream]
    ) -> None:
        self._session = session
        self._number = number
        self._requests = requests
        self._origins = origins

    async def head(self) -> Head | None:
        """See Stream. O(log n)."""
        if self._number not in self._requests:
            return None
        rows = await self._session.fetch("get_webhook_resend", self._number)
        return Head(rows[0]["message_id"], rows[0]["type"], json.loads(rows[0]["place"])) if rows else None

    async def render(self, head: Head) -> Message | None:
        """See Stream."""
        return await self._origins[head.place["stream"]].render(head)

    async def settle(self, head: Head, fetch: Fetch) -> None:
        """See Stream. What may not go out any more stays given up."""
        await fetch("drop_webhook_resend", self._number, head.message_id)

"""Messages that a client asked for once more, each made anew by the stream that it came from."""

import json
from collections.abc import Collection, Mapping

from ..drivers.postgres import Fetch
from ..model.webhook_message import Message
from .stream import Head, Stream, StreamState


class ResendStream:
    """Sends again what waits for it. requests: the numbers of webhooks of which something does; the deliverer keeps it
    up to date. origins: the streams that messages come from, by name."""

    name = "resend"
    failing_state = "resend"

    def __init__(self, fetch: Fetch, number: int, requests: Collection[int], origins: Mapping[str, Stream]) -> None:
        self._fetch = fetch
        self._number = number
        self._requests = requests
        self._origins = origins

    async def head(self) -> Head | None:
        """See Stream. O(log n)."""
        if self._number not in self._requests:
            return None
        rows = await self._fetch("get_webhook_resend", self._number)
        return Head(rows[0]["message_id"], rows[0]["type"], json.loads(rows[0]["place"])) if rows else None

    async def render(self, head: Head) -> Message | None:
        """See Stream."""
        return await self._origins[head.place["stream"]].render(head)

    def state_behind(self, head: Head, *, is_dropped: bool) -> StreamState:
        """See Stream. Its message's delivery says all."""
        return StreamState()

    def pass_head(self, head: Head, *, is_dropped: bool) -> None:
        """See Stream. The next one is asked for."""

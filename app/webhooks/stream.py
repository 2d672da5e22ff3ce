"""What a stream of messages to one webhook does."""

from typing import Any, NamedTuple, Protocol

from ..drivers.postgres import Fetch
from ..model.webhook_message import Message


class Head(NamedTuple):
    """The first message of a stream that waits. place: what it is made from, each time anew: no name of a user."""

    message_id: str
    type: str
    place: dict[str, Any]


class Stream(Protocol):
    """Messages in their order. Each is made from the stores just before it is sent, so that nothing goes out of who
    was erased meanwhile. failing_state: of a delivery between two attempts."""

    name: str
    failing_state: str

    async def head(self) -> Head | None:
        """The first message that waits; of the ledger and the audit the same until it is settled. asyncpg's errors."""

    async def render(self, head: Head) -> Message | None:
        """The message itself; None where nothing may go out any more."""

    async def settle(self, head: Head, fetch: Fetch) -> None:
        """Goes on behind a message, in the transaction of `fetch`: it was delivered, given up or dropped."""

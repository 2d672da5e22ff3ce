"""What a stream of messages to one webhook does."""

from typing import Any, NamedTuple, Protocol

from ..model.webhook_message import Message


class Head(NamedTuple):
    """The first message of a stream that waits. place: what it is made from, each time anew: no name of a user."""

    message_id: str
    type: str
    place: dict[str, Any]


class StreamState(NamedTuple):
    """What is kept of a stream behind a message. partition, epoch, seq: the message's place; top: of a board as it was
    told (JSON), under top_version."""

    partition: int | None = None
    epoch: int | None = None
    seq: int | None = None
    top: str | None = None
    top_version: int | None = None


class Stream(Protocol):
    """Messages in their order. Each is made from the stores just before it is sent, so that nothing goes out of who
    was erased meanwhile. failing_state: of a delivery between two attempts."""

    name: str
    failing_state: str

    async def head(self) -> Head | None:
        """The first message that waits; of the ledger and the audit the same until it is passed. asyncpg's errors."""

    async def render(self, head: Head) -> Message | None:
        """The message itself; None where nothing may go out any more. asyncpg's errors."""

    def state_behind(self, head: Head, *, is_dropped: bool) -> StreamState:
        """What is to be kept once a message was delivered or given up; is_dropped: or nothing may go out of it."""

    def pass_head(self, head: Head, *, is_dropped: bool) -> None:
        """Goes on behind a message: its state is kept."""

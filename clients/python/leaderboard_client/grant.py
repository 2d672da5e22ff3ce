"""A grant as it is sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from msgspec import Struct, field
from msgspec.structs import replace


def new_id() -> str:
    """A grant_id of 122 random bits."""
    return uuid4().hex


class Grant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points for one user. It counts once, however often it is sent, by its `grant_id`: choose it yourself where your
    own program may run twice, such as `race-1061-hamilton`; without one it gets a random one.

    amount: at most the decimal places of the namespace; a Decimal keeps all its digits. granted_at: with a zone;
    without it the server's time counts when the grant arrives. namespace: only where a batch is for several ones.
    """

    user_id: str
    amount: int | float | Decimal
    grant_id: str = field(default_factory=new_id)
    namespace: str | None = None
    category: str | None = None
    source: str | None = None
    source_id: str | None = None
    action: str | None = None
    granted_at: datetime | None = None
    session_id: str | None = None
    meta: Mapping[str, Any] | None = None
    opening: bool = False

    def __post_init__(self) -> None:
        if self.granted_at is not None and self.granted_at.tzinfo is None:
            raise ValueError("granted_at needs a zone: datetime.now(UTC), not datetime.now()")

    def stamped(self, namespace: str | None = None) -> "Grant":
        """The same grant with a time, that of this machine where it has none, and with its namespace. For grants that
        wait before they are sent: they count on the day on which they were made."""
        return replace(self, granted_at=self.granted_at or datetime.now(UTC), namespace=namespace or self.namespace)


class Correction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of many corrections. op: `edit`, `void` or `restore`; only an edit has fields, and those that it lacks
    stay."""

    op: str
    grant_id: str
    amount: int | float | Decimal | None = None
    granted_at: datetime | None = None
    category: str | None = None
    source: str | None = None
    source_id: str | None = None
    action: str | None = None
    session_id: str | None = None
    reason: str | None = None
    revision: int | None = None

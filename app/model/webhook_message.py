"""Messages to webhooks, signed as Standard Webhooks has it."""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Message(NamedTuple):
    """What a receiver gets. id: the same at each attempt; place: what it is made from anew (JSON)."""

    id: str
    type: str
    body: bytes


def message_of(message_id: str, kind: str, at: datetime, data: dict[str, Any]) -> Message:
    """A message about one event. kind: its type; at: when it was recorded."""
    return Message(message_id, kind, _encode({"type": kind, "timestamp": at, "data": data}))


def signature_headers(message: Message, secrets: Sequence[bytes], now_s: int) -> list[tuple[bytes, bytes]]:
    """The headers by which a receiver checks a message: one signature for each secret. now_s: seconds since 1970."""
    signed = f"{message.id}.{now_s}.".encode() + message.body
    signatures = [b"v1," + b64encode(hmac.digest(secret, signed, "sha256")) for secret in secrets]
    return [
        (b"webhook-id", message.id.encode()),
        (b"webhook-timestamp", b"%d" % now_s),
        (b"webhook-signature", b" ".join(signatures)),
    ]

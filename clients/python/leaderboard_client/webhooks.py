"""Verifies webhooks: messages of the server to a URL of yours, signed by Standard Webhooks."""

import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

#: Seconds by which a message's time may differ from now: as Standard Webhooks has it.
TOLERANCE_S = 300.0


class WrongSignature(Exception):
    """The message is not the server's, or too old to be believed."""


class Message(Struct, frozen=True, kw_only=True):
    """One message. id: the same one comes again if your answer was lost; remember the ids of some days. data: the
    event, as `GET …/events` tells it."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


def verify(body: bytes, headers: Mapping[str, str], secret: str, *, now: float | None = None) -> Message:
    """The message of a request whose signature is right. body: as it came, not decoded; secret: `whsec_…`, which the
    server showed once; now: seconds since 1970. WrongSignature."""
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, moment, signatures = (named[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
        age = abs((time.time() if now is None else now) - int(moment))
    except (KeyError, ValueError):
        raise WrongSignature("the headers webhook-id, webhook-timestamp and webhook-signature are needed") from None
    if age > TOLERANCE_S:
        raise WrongSignature(f"the message is {age:.0f} s off")
    key = b64decode(secret.removeprefix("whsec_"))
    expected = b64encode(hmac.digest(key, f"{message_id}.{moment}.".encode() + body, sha256))
    # Two signatures while the secret changes.
    if not any(hmac.compare_digest(f"v1,{expected.decode()}", one) for one in signatures.split()):
        raise WrongSignature("no signature fits")
    return Message(id=message_id, **msgspec.json.decode(body, type=dict[str, Any]))

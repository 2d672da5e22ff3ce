"""Secrets of webhooks: what they sign, and how they are kept."""

import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from app.access.secret_box import SecretBox
from app.model.webhook import new_secret, secret_bytes, secret_text
from app.model.webhook_message import message_of, signature_headers
from app.model.webhook_problem import NotConfigured


def test_a_signature_is_what_the_library_verifies() -> None:
    first, second = new_secret(), new_secret()
    message = message_of("msg_1", "granted", datetime.now(UTC), {"grant_id": "ü"})
    headers = {
        name.decode(): value.decode() for name, value in signature_headers(message, [first, second], int(time.time()))
    }
    for secret in (first, second):
        assert Webhook(secret_text(secret)).verify(message.body, headers)["data"] == {"grant_id": "ü"}
    assert secret_bytes(secret_text(first)) == first


def test_a_secret_is_opened_by_a_key_that_sealed_it_for_the_same_webhook() -> None:
    old, new = SecretBox([b"a" * 32]), SecretBox([b"b" * 32, b"a" * 32])
    sealed = old.seal(b"secret", "w")
    assert new.open(sealed, "w") == b"secret"
    assert b"secret" not in sealed
    for box, webhook in ((SecretBox([b"b" * 32]), "w"), (old, "other"), (SecretBox([]), "w")):
        with pytest.raises(NotConfigured, match="LEADERBOARD_WEBHOOK_KEY"):
            box.open(sealed, webhook)

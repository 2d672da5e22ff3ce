"""Encrypts the secrets of webhooks, so that who reads Postgres cannot sign in this deployment's name."""

import binascii
import os
from base64 import b64decode
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.webhook_problem import NotConfigured
from ..settings import Settings, SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Bytes of a key: AES-256.
KEY_BYTES = 32
#: Bytes of a nonce of AES-GCM.
_NONCE_BYTES = 12
_NAME = "LEADERBOARD_WEBHOOK_KEY"


class SecretBox:
    """Seals and opens secrets, each for the webhook whose id it is bound to. keys: the first seals, all open."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys

    @cached_property
    def _ciphers(self) -> "list[AESGCM]":
        # Imported here: most processes never see a secret, and it takes as long as all else of a command.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return [AESGCM(key) for key in self._keys]

    @property
    def is_usable(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def require(self) -> None:
        """NotConfigured without a key."""
        if not self._keys:
            raise NotConfigured(f"webhooks need {_NAME}: a file with 32 random bytes in base64, or these themselves")

    def seal(self, secret: bytes, webhook_id: str) -> bytes:
        """A secret, encrypted. NotConfigured."""
        self.require()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret, webhook_id.encode())

    def open(self, sealed: bytes, webhook_id: str) -> bytes:
        """A secret in clear. NotConfigured, also where another key sealed it."""
        from cryptography.exceptions import InvalidTag

        self.require()
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], webhook_id.encode())
            except InvalidTag:
                continue
        raise NotConfigured(f"{_NAME} does not open the secret of the webhook {webhook_id!r}: another key sealed it")


def read_secret_box(settings: Settings) -> SecretBox:
    """The box of the settings: keys or names of files, separated by commas. SettingsError."""
    texts = (settings.webhook_key or "").split(",") if settings.webhook_key else []
    return SecretBox([_read_key(text.strip()) for text in texts])


def _read_key(text: str) -> bytes:
    key = _decode(text)
    if key is None:
        try:
            key = _decode(Path(text).read_text().strip())
        except (OSError, UnicodeDecodeError, ValueError):
            raise SettingsError(
                f"{_NAME}: is neither {KEY_BYTES} bytes in base64 nor a file that can be read"
            ) from None
    if key is None:
        raise SettingsError(f"{_NAME}: its file must hold {KEY_BYTES} bytes in base64")
    return key


def _decode(text: str) -> bytes | None:
    try:
        key = b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None

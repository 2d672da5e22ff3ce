"""The keys that sign client tokens. A key's kind fixes its algorithm: 32 bytes or more in base64 sign by HS256, a
private Ed25519 key in PEM signs by EdDSA. What a token says of its own algorithm decides nothing."""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ..model.webhook_problem import NotConfigured
from ..settings import Settings, SettingsError

NAME = "LEADERBOARD_TOKEN_KEYS"
#: Bytes of a secret for HS256 at least, as many as its hash has.
SECRET_BYTES_MIN = 32
#: Bytes of a key's file: a PEM of an Ed25519 key has 119.
_FILE_BYTES_MAX = 4 * 1024
_PEM = b"-----BEGIN"
#: Characters of a kid, and of the proof of an API key: 64 bits in hex digits. The latter is checked behind a signature.
_DIGEST_CHARS = 16


class TokenKey(NamedTuple):
    """A key. kid: its name in a token, made of the key itself. sign, verify: what the library takes. secret: bytes that
    nobody else has."""

    kid: str
    algorithm: str
    sign: Any
    verify: Any
    secret: bytes

    def proof_of(self, key_hash: str) -> str:
        """What a token holds of the API key that made it, so that it dies with that key's secret, not with its id
        alone."""
        return _digest(self.secret, b"api key " + key_hash.encode())

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """Whether a signature of a text is this key's."""
        import jwt

        return jwt.get_algorithm_by_name(self.algorithm).verify(text, self.verify, signature)


class TokenKeys:
    """All of them: the first signs, all verify."""

    def __init__(self, keys: Sequence[TokenKey] = ()) -> None:
        self._keys = keys
        self.by_kid: Mapping[str, TokenKey] = {key.kid: key for key in keys}

    def first(self) -> TokenKey:
        """The key that signs. NotConfigured without one."""
        if not self._keys:
            raise NotConfigured(f"client tokens need {NAME}: a file with 32 random bytes in base64, or an Ed25519 key")
        return self._keys[0]


def read_token_keys(settings: Settings) -> TokenKeys:
    """The keys of the settings: names of files, separated by commas. SettingsError, which shows no value: it could be a
    secret in the wrong place."""
    names = settings.token_keys.split(",") if settings.token_keys else []
    return TokenKeys([_read(Path(name.strip()), f"{NAME}: file {i}") for i, name in enumerate(names, 1)])


def secret_key(secret: bytes) -> TokenKey:
    """A key of HS256."""
    return TokenKey(_digest(secret, b"kid"), "HS256", secret, secret, secret)


def _read(path: Path, what: str) -> TokenKey:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1).strip()
    except (OSError, ValueError):
        raise SettingsError(f"{what} cannot be read") from None
    if data.startswith(_PEM):
        return _ed25519_key(data, what)
    try:
        secret = b64decode(data.replace(b"-", b"+").replace(b"_", b"/"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(data) > _FILE_BYTES_MAX or len(secret) < SECRET_BYTES_MIN:
        raise SettingsError(f"{what} must hold {SECRET_BYTES_MIN} bytes or more in base64, or an Ed25519 key in PEM")
    return secret_key(secret)


def _ed25519_key(data: bytes, what: str) -> TokenKey:
    # Imported here: it takes as long as all else of a command.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"{what} must hold a private Ed25519 key without a password, if it is a PEM")
    public, secret = private.public_key(), private.private_bytes_raw()
    return TokenKey(sha256(public.public_bytes_raw()).hexdigest()[:_DIGEST_CHARS], "EdDSA", private, public, secret)


def _digest(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, sha256).hexdigest()[:_DIGEST_CHARS]

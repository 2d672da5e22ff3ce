"""The digest key: the secret of a deployment with which digests of what clients sent, and of ledger rows, are made.

It stands in a setting or in a file, and never in a store: who has a dump of the ledger cannot try names until a digest
fits. Both stores hold a proof of it, by which a process with another key is refused.
"""

import os
import secrets
from hashlib import blake2b
from pathlib import Path

from ..settings import DIGEST_KEY_CHARS_MIN, Settings, SettingsError

_FILE = "digest_key"
_PROOF = b"digest key"


def digest_key_path(settings: Settings) -> Path:
    """Where a key lies that is not a setting."""
    return settings.data_dir / _FILE


def read_digest_key(settings: Settings) -> bytes:
    """64 bytes made of the key; none where neither the setting nor the file gives one. SettingsError."""
    text = settings.digest_key
    if text is None:
        path = digest_key_path(settings)
        try:
            text = path.read_text().strip()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SettingsError(
                f"LEADERBOARD_DIGEST_KEY: not given, and {path} cannot be read: {error.strerror}"
            ) from None
        if len(text) < DIGEST_KEY_CHARS_MIN:
            raise SettingsError(f"{path}: must hold {DIGEST_KEY_CHARS_MIN} or more characters")
    return blake2b(text.encode()).digest()


def make_digest_key(settings: Settings) -> Path:
    """Writes a new key into the data folder, for its owner alone. SettingsError."""
    path = digest_key_path(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SettingsError(
            f"LEADERBOARD_DIGEST_KEY: not given, and a new one cannot be written to {path}: {error.strerror}"
        ) from None
    return path


def proof_of(key: bytes, deployment: str) -> str:
    """What a deployment's stores hold of its key; empty without a key."""
    return blake2b(deployment.encode(), key=key, digest_size=16, person=_PROOF).hexdigest() if key else ""


def check_digest_key(settings: Settings, deployment: str, proof: str) -> bytes:
    """The key, if it is the one of the deployment. SettingsError."""
    key = read_digest_key(settings)
    if proof_of(key, deployment) == proof:
        return key
    path = digest_key_path(settings)
    where = "LEADERBOARD_DIGEST_KEY" if settings.digest_key is not None else str(path)
    if not key:
        what = f"not given, and there is no {path}: give the key that the deployment was made with, or bring the file"
        raise SettingsError(f"LEADERBOARD_DIGEST_KEY: {what}")
    raise SettingsError(f"{where}: is not the digest key of deployment {deployment}")

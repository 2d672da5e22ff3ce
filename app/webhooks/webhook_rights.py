"""Whether a webhook may be told: by the rights that its key has now."""

from collections.abc import Sequence
from typing import Protocol

from ..access.keys import Principal, hash_key
from ..model.webhook import WebhookSettings
from ..settings import API_KEY


class OwnedWebhook(Protocol):
    """A webhook with the key that made it."""

    @property
    def key_id(self) -> str:
        """The key's id."""

    @property
    def key_hash(self) -> str | None:
        """The hash of its token."""

    @property
    def settings(self) -> WebhookSettings:
        """What it does."""


class Judge:
    """Judges by a key's scopes. bootstrap: the token of LEADERBOARD_API_KEY, which no table has."""

    def __init__(self, bootstrap: str | None) -> None:
        match = None if bootstrap is None else API_KEY.fullmatch(bootstrap)
        self._bootstrap_id = None if match is None else match[1]
        self._bootstrap_hash = None if bootstrap is None else hash_key(bootstrap)

    def refusal(self, webhook: OwnedWebhook, scopes: Sequence[str] | None) -> str | None:
        """Why a webhook may not be told; None: it may. scopes: those of its key in the table; None: it has no such key,
        or it is revoked."""
        key_id = webhook.key_id
        if scopes is None and key_id == self._bootstrap_id and webhook.key_hash == self._bootstrap_hash:
            scopes = ("admin:*",)
        if scopes is None:
            return f"the key {key_id} that made it is revoked, or is not this persister's LEADERBOARD_API_KEY"
        if not Principal(key_id, tuple(scopes)).covers("admin", webhook.settings.namespaces):
            return f"the key {key_id} that made it is not admin of {webhook.settings.namespaces}"
        return None

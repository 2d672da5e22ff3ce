"""The webhooks of the deployment, as Postgres has them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from ..access.keys import Principal
from ..access.secret_box import SecretBox
from ..drivers.postgres import Fetch, Postgres
from ..model.errors import Forbidden, QuotaExceeded
from ..model.webhook import (
    AUDIT_TYPES,
    WebhookRequest,
    WebhookSettings,
    like_pattern,
    new_secret,
    read_webhook,
    secret_bytes,
    secret_text,
)
from ..model.webhook_problem import NotConfigured, WebhookConflict, WebhookNotFound
from ..store.event_rows import EVENTS_LOCK

#: Webhooks of a deployment: the one persister that delivers has a task and some queries a second for each.
WEBHOOKS_MAX = 1_000
#: Webhooks of one key.
KEY_WEBHOOKS_MAX = 100
#: Seconds for which the secret before the present one signs, too: in a day a receiver gets its new one.
PREVIOUS_SECRET_S = 86_400.0
#: Messages of a page of deliveries.
PAGE_MAX = 1_000
# The advisory lock of who makes or changes a webhook.
_LOCK = 0x6C62_0010
_LAST_NUMBER = 2**63 - 1
_settings = msgspec.json.Decoder(WebhookSettings).decode
_encode = msgspec.json.Encoder().encode


class KeyOwner(NamedTuple):
    """The key by whose rights a webhook is judged. token_hash: of its token, where no table has the key."""

    principal: Principal
    token_hash: str | None


class WebhookChange(NamedTuple):
    """What a change of a webhook made. secret: the new one, which is shown once; None: it stayed."""

    webhook: dict[str, Any]
    secret: str | None
    is_new: bool


class WebhookRegistry:
    """Makes, changes and lists webhooks. Each method may raise StoreUnavailable.

    takes_loopback: whether receivers on this machine are taken.
    """

    def __init__(self, postgres: Postgres, box: SecretBox, *, takes_loopback: bool) -> None:
        self._postgres = postgres
        self._box = box
        self._takes_loopback = takes_loopback

    async def put(self, webhook_id: str, sent: WebhookRequest, owner: KeyOwner) -> WebhookChange:
        """Makes a webhook, or replaces what it does. Invalid, Forbidden, WebhookConflict, QuotaExceeded,
        NotConfigured."""
        settings = read_webhook(sent, takes_loopback=self._takes_loopback)
        check_rights(owner.principal, settings.namespaces)
        self._box.require()
        async with self._postgres.transaction() as fetch:
            await fetch("lock_webhooks", _LOCK)
            rows = await fetch("get_webhook", webhook_id)
            secret = await self._write(fetch, webhook_id, rows[0] if rows else None, sent, settings, owner)
            (row,) = await fetch("get_webhook", webhook_id)
        return WebhookChange(webhook_view(row), secret, not rows)

    async def _write(
        self,
        fetch: Fetch,
        webhook_id: str,
        row: asyncpg.Record | None,
        sent: WebhookRequest,
        settings: WebhookSettings,
        owner: KeyOwner,
    ) -> str | None:
        """The new secret, if there is one."""
        key = owner.principal.id, owner.token_hash
        text = _encode(settings).decode()
        await fetch("lock_events", EVENTS_LOCK)
        if row is None:
            await self._check_room(fetch, owner.principal.id)
            secret = new_secret() if sent.secret is None else secret_bytes(sent.secret)
            await fetch("create_webhook", webhook_id, *key, text, self._box.seal(secret, webhook_id))
            return secret_text(secret)
        former = _settings(row["settings"])
        if not owner.principal.covers("admin", former.namespaces):
            raise WebhookConflict("this id is taken", field="{id}")
        await _pass_audit(fetch, webhook_id, former)
        is_new = sent.rotate or sent.secret is not None
        before = self._secret_before(row, webhook_id, is_needed=not is_new)
        after = before if not is_new else new_secret() if sent.secret is None else secret_bytes(sent.secret)
        sealed = self._box.seal(after, webhook_id)
        await fetch("update_webhook", webhook_id, *key, text, sealed, after != before, PREVIOUS_SECRET_S)
        return None if after == before else secret_text(after)

    def _secret_before(self, row: asyncpg.Record, webhook_id: str, *, is_needed: bool) -> bytes:
        """The present secret. Empty where it cannot be opened and is not needed: a new one takes its place."""
        try:
            return self._box.open(bytes(row["secret"]), webhook_id)
        except NotConfigured:
            if is_needed:
                raise
            return b""

    async def _check_room(self, fetch: Fetch, key_id: str) -> None:
        (count,) = await fetch("count_webhooks", key_id)
        if count["webhooks"] >= WEBHOOKS_MAX:
            raise QuotaExceeded(f"the deployment has {WEBHOOKS_MAX} webhooks already")
        if count["of_key"] >= KEY_WEBHOOKS_MAX:
            raise QuotaExceeded(f"the key has made {KEY_WEBHOOKS_MAX} webhooks already")

    async def get(self, webhook_id: str, principal: Principal) -> dict[str, Any]:
        """One webhook. WebhookNotFound, also for one that the principal may not see."""
        return webhook_view(await self._row(webhook_id, principal))

    async def list_all(self, principal: Principal) -> list[dict[str, Any]]:
        """The webhooks that a principal may see, by id. O(webhooks)."""
        rows = await self._postgres.fetch("get_webhooks")
        return [webhook_view(row) for row in rows if _may_see(principal, row)]

    async def delete(self, webhook_id: str, principal: Principal) -> None:
        """Deletes a webhook. What is under way is sent. WebhookNotFound."""
        await self._row(webhook_id, principal)
        await self._postgres.fetch("delete_webhook", webhook_id)

    async def deliveries(
        self, webhook_id: str, principal: Principal, *, state: str | None, before: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """A webhook's latest messages, the latest first. WebhookNotFound."""
        await self._row(webhook_id, principal)
        bound = _LAST_NUMBER if before is None else before
        rows = await self._postgres.fetch("get_webhook_deliveries", webhook_id, state, bound, limit)
        return [dict(row) for row in rows]

    async def resend(self, webhook_id: str, principal: Principal, message_ids: Sequence[str] | None) -> list[str]:
        """Has messages sent once more, or all that were given up. Returns the ids of those. WebhookNotFound."""
        await self._row(webhook_id, principal)
        ids = None if message_ids is None else list(message_ids)
        rows = await self._postgres.fetch("request_resend", webhook_id, ids)
        return [row["message_id"] for row in rows]

    async def _row(self, webhook_id: str, principal: Principal) -> asyncpg.Record:
        row = await self._postgres.fetch_one("get_webhook", webhook_id)
        if row is None or not _may_see(principal, row):
            raise WebhookNotFound(f"there is no webhook {webhook_id!r} that this key may see")
        return row


def check_rights(principal: Principal, namespaces: str) -> None:
    """Forbidden unless a principal is admin of every namespace that a pattern matches."""
    if not principal.covers("admin", namespaces):
        raise Forbidden(f"the key needs the scope admin:{namespaces}, or admin with a pattern that covers it")


async def _pass_audit(fetch: Fetch, webhook_id: str, former: WebhookSettings) -> None:
    """Has a webhook begin here with events of the audit for which it did not ask before; unless some wait for which it
    did. The caller has the lock of events. O(namespaces × types × log n)."""
    types = [name for name in former.types if name in AUDIT_TYPES]
    (offset,) = await fetch("get_webhook_audit_offset", webhook_id)
    if not types or not await fetch("find_webhook_audit", types, like_pattern(former.namespaces), offset["seq"], 1):
        await fetch("pass_webhook_audit", webhook_id)


def webhook_view(row: asyncpg.Record) -> dict[str, Any]:
    """A webhook as a client reads it, without its secret."""
    until: datetime | None = row["previous_secret_until"]
    return {
        "id": row["id"],
        **msgspec.to_builtins(_settings(row["settings"])),
        "state": "active" if row["stop_reason"] is None else "stopped",
        "stop_reason": row["stop_reason"],
        "key_id": row["api_key_id"],
        "previous_secret_until": until,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _may_see(principal: Principal, row: asyncpg.Record) -> bool:
    return principal.covers("admin", _settings(row["settings"]).namespaces)

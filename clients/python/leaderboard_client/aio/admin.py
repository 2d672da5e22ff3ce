"""Namespaces, keys, tokens, events, webhooks and health."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..answers import ApiKey, ClientToken, Readiness
from ..calls import Call, Query, as_nothing, as_object, as_type, encode
from .transport import AsyncTransport

Json = Mapping[str, Any]


class _Namespaces(Struct, frozen=True):
    namespaces: tuple[dict[str, Any], ...]


class _Keys(Struct, frozen=True):
    keys: tuple[ApiKey, ...]
    next_cursor: str | None = None


class _Events(Struct, frozen=True):
    events: tuple[dict[str, Any], ...]
    next_after: str


class AsyncAdmin:
    """The calls of those who look after a deployment."""

    _transport: AsyncTransport

    async def put_namespace(self, namespace: str, rules: Json | None = None, **more: Any) -> dict[str, Any]:
        """Makes a namespace, or replaces its rules: a rule that is absent gets its default. Needs `admin`."""
        return await self._put(("v1", "namespaces", namespace), {**(rules or {}), **more})

    async def namespace(self, namespace: str) -> dict[str, Any]:
        """The rules of a namespace. NotFound."""
        return await self._object(("v1", "namespaces", namespace))

    async def namespaces(self, prefix: str | None = None) -> tuple[dict[str, Any], ...]:
        """The namespaces that the key may read."""
        call = Call(
            method="GET",
            path=("v1", "namespaces"),
            query={"prefix": prefix},
            read=as_type(_Namespaces),
            may_repeat=True,
        )
        return (await self._transport.send(call)).namespaces

    async def delete_namespace(self, namespace: str) -> None:
        """Deletes the boards of a namespace. The ledger keeps its rows."""
        await self._delete(("v1", "namespaces", namespace), {"confirm": namespace})

    async def create_key(self, scopes: Sequence[str], *, name: str | None = None) -> ApiKey:
        """An API key, whose secret (`key`) no later answer shows. Needs `admin:*`. It is not tried again: a key that
        nobody saw would stay."""
        body = {"scopes": list(scopes), "name": name}
        call = Call(method="POST", path=("v1", "keys"), body=encode(body), read=as_type(ApiKey))
        return await self._transport.send(call)

    async def api_keys(self) -> AsyncIterator[ApiKey]:
        """All keys, the oldest first, revoked ones too."""
        cursor: str | None = None
        while True:
            query: Query = {"cursor": cursor}
            call = Call(method="GET", path=("v1", "keys"), query=query, read=as_type(_Keys), may_repeat=True)
            page = await self._transport.send(call)
            for key in page.keys:
                yield key
            cursor = page.next_cursor
            if cursor is None:
                return

    async def rotate_key(self, key_id: str, *, grace_s: int = 0) -> ApiKey:
        """A new secret for a key. grace_s: for how long the old one is good, too."""
        path = ("v1", "keys", key_id, "rotate")
        call = Call(method="POST", path=path, body=encode({"grace_s": grace_s}), read=as_type(ApiKey))
        return await self._transport.send(call)

    async def revoke_key(self, key_id: str) -> None:
        """Revokes a key, for good."""
        await self._delete(("v1", "keys", key_id), {"confirm": key_id})

    async def create_token(self, user_id: str, namespaces: Sequence[str], *, expires_in_s: int = 3600) -> ClientToken:
        """A token for the browser or the phone of a user: it reads and watches, and writes nothing."""
        body = {"user_id": user_id, "namespaces": list(namespaces), "expires_in_s": expires_in_s}
        call = Call(method="POST", path=("v1", "tokens"), body=encode(body), read=as_type(ClientToken), may_repeat=True)
        return await self._transport.send(call)

    async def events(
        self, namespace: str, *, after: str | None = None, types: Sequence[str] = (), limit: int = 1000
    ) -> tuple[tuple[dict[str, Any], ...], str]:
        """Some events, the oldest first, and the cursor to go on with: the same one where nothing more is there."""
        query: Query = {"after": after, "type": list(types), "limit": limit}
        path = ("v1", "namespaces", namespace, "events")
        call = Call(method="GET", path=path, query=query, read=as_type(_Events), may_repeat=True)
        page = await self._transport.send(call)
        return page.events, page.next_after

    async def put_webhook(self, webhook_id: str, settings: Json) -> dict[str, Any]:
        """Has events sent to a URL: `{"url", "namespaces", "types"}`. A new one is answered with its `secret`."""
        return await self._put(("v1", "webhooks", webhook_id), settings)

    async def webhook(self, webhook_id: str) -> dict[str, Any]:
        """One webhook. NotFound."""
        return await self._object(("v1", "webhooks", webhook_id))

    async def webhooks(self) -> tuple[dict[str, Any], ...]:
        """Those whose namespaces the key covers."""
        return tuple((await self._object(("v1", "webhooks")))["webhooks"])

    async def delete_webhook(self, webhook_id: str) -> None:
        """Ends it."""
        await self._delete(("v1", "webhooks", webhook_id), {})

    async def deliveries(self, webhook_id: str, *, state: str | None = None) -> tuple[dict[str, Any], ...]:
        """The latest messages of a webhook."""
        path = ("v1", "webhooks", webhook_id, "deliveries")
        return tuple((await self._object(path, {"state": state}))["deliveries"])

    async def resend(self, webhook_id: str, what: Json) -> tuple[str, ...]:
        """Has messages sent once more: `{"message_ids": […]}` or `{"state": "dead"}`. The ids of these messages."""
        path = ("v1", "webhooks", webhook_id, "resend")
        call = Call(method="POST", path=path, body=encode(what), read=as_object)
        return tuple((await self._transport.send(call))["message_ids"])

    async def ready(self) -> Readiness:
        """Whether the server takes writes, and what does not work. A server that takes none says so by its status."""
        call = Call(method="GET", path=("readyz",), read=as_type(Readiness), may_repeat=True)
        return await self._transport.send(call)

    async def _object(self, path: tuple[str, ...], query: Query | None = None) -> dict[str, Any]:
        call = Call(method="GET", path=path, query=query or {}, read=as_object, may_repeat=True)
        return await self._transport.send(call)

    async def _put(self, path: tuple[str, ...], body: Json) -> dict[str, Any]:
        call = Call(method="PUT", path=path, body=encode(body), read=as_object, may_repeat=True)
        return await self._transport.send(call)

    async def _delete(self, path: tuple[str, ...], query: Query) -> None:
        call = Call(method="DELETE", path=path, query=query, read=as_nothing, may_repeat=True)
        await self._transport.send(call)

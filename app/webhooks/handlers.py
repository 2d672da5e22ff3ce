"""Webhooks over HTTP: made, read, deleted; what was delivered, and sending it once more."""

from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import no_key, principal_of
from ..access.keys import ANONYMOUS, Keyring, Principal, hash_key
from ..http.bodies import answer, check_bodiless, check_query, decode_body, header, query_int
from ..model.errors import Forbidden, Invalid
from ..model.webhook import WebhookRequest, check_webhook_id
from .webhook_registry import PAGE_MAX, KeyOwner, WebhookRegistry

#: Messages that one request has sent once more.
RESEND_MAX = 1_000
#: Digits of a delivery's number, by which pages are turned.
_NUMBER_DIGITS_MAX = 18
STATES = ("delivered", "failing", "dead", "resend")


class ResendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages to send once more: some by id, or all in the state `dead`."""

    message_ids: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=RESEND_MAX)] | None = None
    state: Literal["dead"] | None = None


class WebhookHandlers:
    """Answers only keys with the scope `admin`, each about the webhooks whose namespaces it covers."""

    def __init__(self, registry: WebhookRegistry, keyring: Keyring) -> None:
        self._registry = registry
        self._keyring = keyring

    async def put(self, request: Request) -> Response:
        """`PUT /v1/webhooks/{id}`: 201 with the secret, which is shown once; 200 where it was there."""
        check_query(request)
        principal = await self._admin(request)
        webhook_id = _id_of(request)
        sent = await decode_body(request, WebhookRequest)
        token = header(request.scope, b"authorization").partition(" ")[2]
        change = await self._registry.put(webhook_id, sent, KeyOwner(principal, hash_key(token)))
        secret = {} if change.secret is None else {"secret": change.secret}
        return answer(request, change.webhook | secret, 201 if change.is_new else 200)

    async def get(self, request: Request) -> Response:
        """`GET /v1/webhooks/{id}`."""
        check_query(request)
        principal = await self._admin(request)
        return answer(request, await self._registry.get(_id_of(request), principal))

    async def list(self, request: Request) -> Response:
        """`GET /v1/webhooks`: those whose namespaces the key covers."""
        check_query(request)
        return answer(request, {"webhooks": await self._registry.list_all(await self._admin(request))})

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/webhooks/{id}`."""
        check_query(request)
        principal = await self._admin(request)
        check_bodiless(request.scope)
        await self._registry.delete(_id_of(request), principal)
        return Response(status_code=204)

    async def deliveries(self, request: Request) -> Response:
        """`GET /v1/webhooks/{id}/deliveries`: the latest first."""
        check_query(request, "state", "cursor", "limit")
        state, cursor = request.query_params.get("state"), request.query_params.get("cursor")
        if state is not None and state not in STATES:
            raise Invalid(f"is none of {', '.join(STATES)}", field="?state")
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _NUMBER_DIGITS_MAX):
            raise Invalid("is no next_cursor of this list", field="?cursor")
        limit = query_int(request, "limit", 100, low=1, high=PAGE_MAX)
        principal = await self._admin(request)
        before = None if cursor is None else int(cursor)
        deliveries = await self._registry.deliveries(
            _id_of(request), principal, state=state, before=before, limit=limit
        )
        last = deliveries[-1]["number"] if len(deliveries) == limit else None
        shown = [{name: value for name, value in one.items() if name != "number"} for one in deliveries]
        return answer(request, {"deliveries": shown, "next_cursor": None if last is None else str(last)})

    async def resend(self, request: Request) -> Response:
        """`POST /v1/webhooks/{id}/resend`: 202 with the ids of the messages that are sent once more."""
        check_query(request)
        principal = await self._admin(request)
        sent = await decode_body(request, ResendRequest)
        if (sent.message_ids is None) == (sent.state is None):
            raise Invalid('must have either `message_ids` or `"state": "dead"`', field="$")
        message_ids = await self._registry.resend(_id_of(request), principal, sent.message_ids)
        return answer(request, {"message_ids": message_ids}, 202)

    async def _admin(self, request: Request) -> Principal:
        """The caller, who is admin of something. Unauthorized, Forbidden, StoreUnavailable."""
        principal = await principal_of(request.scope, self._keyring)
        if principal is ANONYMOUS:
            raise no_key()
        if not any(scope.startswith("admin:") for scope in principal.scopes):
            raise Forbidden("the key needs the scope admin, with a pattern that covers the webhook's namespaces")
        return principal


def _id_of(request: Request) -> str:
    webhook_id: str = request.path_params["id"]
    check_webhook_id(webhook_id)
    return webhook_id

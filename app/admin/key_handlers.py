"""API keys over HTTP: made, listed, rotated and revoked by a key that is admin of the whole deployment."""

from collections.abc import Callable
from typing import Annotated, Any

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of, require_any_scope
from ..access.keys import Keyring, Principal
from ..access.rate_limit import RateLimit
from ..drivers.postgres import Postgres
from ..drivers.redis import Call
from ..http.bodies import answer, check_bodiless, check_query, decode_body, query_int
from ..model.errors import Invalid, StoreUnavailable
from ..model.key_problem import KeyNotFound
from ..store.changes import Changed
from ..store.namespace_cache import NamespaceCache
from ..store.publications import Publisher
from .key_registry import GRACE_S_MAX, SCOPES_MAX, KeyRegistry, NewSecret
from .state_gate import Gate

#: Changes of API keys that one key may make a second, on average. Each makes every server look something up.
KEY_CHANGES_A_SECOND_MAX = 10
#: Changes of API keys that one key may make at once, if it made none before: a script that sets up a deployment.
KEY_CHANGES_BURST_MAX = 200
#: Keys of a page.
PAGE_MAX = 1_000
# A secret must not stay in a cache on the way.
_NO_STORE = {"Cache-Control": "no-store"}


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new key. scopes: each `<read|write|admin>:<namespace pattern>`; name: for people."""

    scopes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=SCOPES_MAX)]
    name: str | None = None


class RotateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new secret. grace_s: seconds for which the one before is good, too."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=GRACE_S_MAX)] = 0


class KeyHandlers:
    """Answers only keys with `admin:*`. Rights are judged by all changes up to now: a key that was revoked a moment ago
    makes no other one.

    rate_limit: of each key; None if quotas are off.
    """

    def __init__(
        self,
        *,
        postgres: Postgres,
        gate: Gate,
        publisher: Publisher,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        clock: Callable[[], int],
        rate_limit: RateLimit | None,
    ) -> None:
        self._registry = KeyRegistry(postgres, gate, self._publish)
        self._publisher = publisher
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._clock = clock
        self._rate_limit = rate_limit

    async def post(self, request: Request) -> Response:
        """`POST /v1/keys`: 201 with the key, which is shown once; 202 where servers learn of it later."""
        check_query(request)
        principal = await self._changer(request)
        sent = await decode_body(request, KeyRequest)
        made = await self._registry.create(sent.scopes, sent.name, principal.id)
        return self._answer_secret(request, made, principal, 201)

    async def list(self, request: Request) -> Response:
        """`GET /v1/keys`: all in the order in which they were made, revoked ones too, without their secrets.
        `bootstrap_key` is this server's LEADERBOARD_API_KEY: a setting, which is in no list."""
        check_query(request, "cursor", "limit")
        limit = query_int(request, "limit", 100, low=1, high=PAGE_MAX)
        principal = await self._admin(request)
        try:
            rows = await self._registry.page(request.query_params.get("cursor"), limit + 1)
        except KeyNotFound:
            raise Invalid("is no next_cursor of this list", field="?cursor") from None
        shown, own_id, setting = rows[:limit], principal.id, self._keyring.bootstrap_id
        body = {
            "keys": [self._view(row, own_id) for row in shown],
            "bootstrap_key": None
            if setting is None
            else {"id": setting, "scopes": ["admin:*"], "is_own": setting == own_id},
            "next_cursor": shown[-1]["id"] if len(rows) > limit else None,
        }
        return answer(request, body)

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/keys/{id}`: 204, also for one that is revoked. `?confirm={id}` for the key of the request itself:
        nothing undoes that."""
        check_query(request, "confirm")
        principal = await self._changer(request)
        check_bodiless(request.scope)
        key_id, confirmed = self._id_of(request), request.query_params.get("confirm")
        if confirmed != key_id and (confirmed is not None or key_id == principal.id):
            what = "" if key_id != principal.id else "this revokes the key of the request itself: "
            raise Invalid(f"{what}must repeat the key's id: {key_id}", field="?confirm")
        try:
            await self._registry.revoke(key_id, principal.id)
        except StoreUnavailable as problem:
            what = "if it is recorded, it comes into force by itself once Redis takes it; send it again to be sure"
            raise StoreUnavailable(f"{what}: {problem.detail}") from problem
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """`POST /v1/keys/{id}/rotate`: 200 with the new secret, which is shown once; 202 where servers learn of it
        later."""
        check_query(request)
        principal = await self._changer(request)
        key_id = self._id_of(request)
        sent = await decode_body(request, RotateRequest, b"{}")
        made = await self._registry.rotate(key_id, grace_s=sent.grace_s, now=self._clock(), actor=principal.id)
        return self._answer_secret(request, made, principal, 200)

    async def _admin(self, request: Request) -> Principal:
        await self._namespace_cache.refresh()
        principal = await principal_of(request.scope, self._keyring)
        require_any_scope(principal, "admin")
        return principal

    async def _changer(self, request: Request) -> Principal:
        principal = await self._admin(request)
        if self._rate_limit is not None:
            self._rate_limit.take(principal.id)
        return principal

    def _id_of(self, request: Request) -> str:
        """The key in the path. Invalid for the one that is a setting."""
        key_id: str = request.path_params["id"]
        if key_id == self._keyring.bootstrap_id:
            raise Invalid("is LEADERBOARD_API_KEY, a setting: change it there, on every server", field="{id}")
        return key_id

    async def _publish(self, call: Call, key_id: str) -> None:
        changed = Changed(keys=frozenset((key_id,)))
        try:
            await self._publisher.publish([call], changed)
        finally:
            self._namespace_cache.forget(changed)

    def _answer_secret(self, request: Request, made: NewSecret, principal: Principal, status: int) -> Response:
        body = {"key": made.token, **self._view(made.row, principal.id)}
        return answer(request, body, status if made.failure is None else 202, _NO_STORE)

    def _view(self, row: asyncpg.Record, own_id: str) -> dict[str, Any]:
        """A key as an admin reads it: never a secret, nor the hash of one."""
        is_over = row["revoked_at"] is not None or row["previous_until_micros"] <= self._clock()
        names = ("id", "name", "scopes", "created_at", "created_by", "rotated_at", "rotated_by")
        return {
            **{name: row[name] for name in names},
            "previous_secret_until": None if is_over else row["previous_until"],
            "revoked_at": row["revoked_at"],
            "revoked_by": row["revoked_by"],
            "is_own": row["id"] == own_id,
        }

"""The API keys of the deployment: in Postgres first, then in Redis, from which the servers learn of them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import asyncpg

from ..access.keys import hash_key, new_key_id, new_token, scope_problem
from ..drivers.postgres import Postgres
from ..drivers.redis import REDIS_ERRORS, Call
from ..model.errors import Invalid, Problem, QuotaExceeded
from ..model.key_problem import KeyIsRevoked, KeyNotFound
from ..model.micros import SECOND, from_micros
from ..model.text import NAME_CHARS_MAX, check_chars
from ..store.namespace_cache import key_from_row, publish_key_call, retract_key_call
from .state_gate import Gate

#: API keys of a deployment that are not revoked: as many as a process caches, so that it looks each up once.
ACTIVE_KEYS_MAX = 10_000
#: Scopes of a key: each is compared at a request that the ones before do not allow.
SCOPES_MAX = 100
#: Seconds for which the secret before the newest one may be good: in a day all programs get the new one.
GRACE_S_MAX = 86_400
# The advisory lock of who makes a key.
_LOCK = 0x6C62_0013

#: Publishes a change of the key with this id, and announces it. StoreUnavailable, what a node raises.
Publish = Callable[[Call, str], Awaitable[None]]


class NewSecret(NamedTuple):
    """A key with a new secret. token: what its holder sends, which is stored nowhere. failure: why the servers do not
    know of it yet; they learn of it by themselves once Redis takes it. None: they know."""

    row: asyncpg.Record
    token: str
    failure: Exception | None


class KeyRegistry:
    """Makes, rotates, revokes and lists API keys. Each method may raise StoreUnavailable, those that change Recovering.

    A secret that is recorded is always returned, also where its publication fails: nobody else knows it.
    """

    def __init__(self, postgres: Postgres, gate: Gate, publish: Publish) -> None:
        self._postgres = postgres
        self._gate = gate
        self._publish = publish

    async def create(self, scopes: Sequence[str], name: str | None, actor: str) -> NewSecret:
        """Makes a key. actor: the id of the key whose holder does it, or a command. Invalid, QuotaExceeded."""
        check_new_key(scopes, name)
        key_id = new_key_id()
        token = new_token(key_id)
        await self._gate.check()
        async with self._postgres.transaction() as fetch:
            await fetch("lock_keys", _LOCK)
            (count,) = await fetch("count_active_keys")
            if count["active"] >= ACTIVE_KEYS_MAX:
                detail = f"the deployment has {ACTIVE_KEYS_MAX:,} API keys that are not revoked: revoke some first"
                raise QuotaExceeded(detail)
            scopes = list(dict.fromkeys(scopes))
            (row,) = await fetch("create_key", key_id, hash_key(token), scopes, name, actor)
        return await self._shown(row, token)

    async def rotate(self, key_id: str, *, grace_s: int, now: int, actor: str) -> NewSecret:
        """Gives a key a new secret. The one before is good for grace_s more, from now (microseconds, by the clock of
        Redis) on; one before that ends now. KeyNotFound, KeyIsRevoked."""
        token = new_token(key_id)
        until = from_micros(now + grace_s * SECOND) if grace_s else None
        await self._gate.check()
        row = await self._postgres.fetch_one("rotate_key", key_id, hash_key(token), until, actor)
        if row is None:
            await self._find(key_id)
            raise KeyIsRevoked(f"the key {key_id!r} is revoked, and gets no new secret: make another key")
        return await self._shown(row, token)

    async def revoke(self, key_id: str, actor: str) -> bool:
        """Revokes a key on every server. Returns whether it was active. KeyNotFound; what publishing raises.

        It publishes also what Postgres revoked before, because that call may have failed in between.
        """
        await self._gate.check()
        row = await self._postgres.fetch_one("revoke_key", key_id, actor)
        if row is None:
            await self._find(key_id)
        await self._gate.note()
        await self._publish(retract_key_call(key_id), key_id)
        return row is not None

    async def page(self, after: str | None, limit: int) -> list[asyncpg.Record]:
        """The next keys behind the one with an id, oldest first, revoked ones too. KeyNotFound."""
        if after is not None:
            await self._find(after)
        return await self._postgres.fetch("get_keys_page", after, limit)

    async def _find(self, key_id: str) -> None:
        if not await self._postgres.fetch("get_keys_by_id", [key_id]):
            raise KeyNotFound(f"there is no API key {key_id!r}")

    async def _shown(self, row: asyncpg.Record, token: str) -> NewSecret:
        try:
            await self._gate.note()
            await self._publish(publish_key_call(key_from_row(row)), row["id"])
        except (Problem, *REDIS_ERRORS) as failure:
            return NewSecret(row, token, failure)
        return NewSecret(row, token, None)


def check_new_key(scopes: Sequence[str], name: str | None) -> None:
    """Invalid unless a key may have these scopes and this name."""
    if not 1 <= len(scopes) <= SCOPES_MAX:
        raise Invalid(f"must have 1 to {SCOPES_MAX} scopes", field="$.scopes")
    for i, granted in enumerate(scopes):
        problem = scope_problem(granted)
        if problem is not None:
            raise Invalid(problem, field=f"$.scopes[{i}]")
    if name is not None:
        check_chars(name, "$.name", NAME_CHARS_MAX)

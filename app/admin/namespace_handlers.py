"""PUT, GET, DELETE and listing of namespaces."""

from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import may_read, principal_of, readable_namespace, require_scope
from ..access.keys import Keyring, Principal
from ..access.rate_limit import RateLimit
from ..drivers.postgres import Fetch, Postgres
from ..drivers.redis import Call
from ..http.bodies import answer, check_bodiless, check_query, decode_body
from ..model.errors import Invalid, Overloaded, QuotaExceeded, RuleLocked, StoreUnavailable, no_namespace
from ..model.micros import from_micros
from ..model.move import Move, move_of
from ..model.namespace import (
    Namespace,
    Rules,
    SentNamespace,
    check_change,
    latest_acceptable_at,
    partition_of,
    read_rules,
    rule_locked,
    rules_body,
)
from ..model.text import check_namespace_name
from ..store import keys
from ..store.changes import Changed
from ..store.key_space import delete_call
from ..store.log import has_entries
from ..store.namespace_cache import (
    NamespaceCache,
    namespace_from_row,
    parse_published,
    publish_calls,
    published_call,
    retract_calls,
    version_call,
)
from ..store.namespace_fields import boards_in, field_names_call
from ..store.publications import Publisher
from ..store.read_batcher import ReadBatcher
from ..store.rules_start import rules_from_seq
from .move_events import crosses_shadow, lock_events, record_mode
from .state_gate import Gate

_encode = msgspec.json.Encoder().encode
#: Changes of namespaces that one key may make a second, on average. A script that creates many waits a little. Each
#: change makes every server look something up.
CHANGES_A_SECOND_MAX = 50
#: Changes of namespaces that one key may make at once, if it made none before: a script that sets up a deployment.
CHANGES_BURST_MAX = 1_000
#: Tries to write a namespace that others write at the same time; after them it answers `503 store_unavailable`.
_TRIES_MAX = 3
#: Keys that one call unlinks: a ms of Redis or less, because it frees them later.
_KEYS_A_CALL = 1_000


class NamespaceHandlers:
    """Namespaces as administrators manage them: written to Postgres, then published to every process.

    key_namespaces_max: how many one key may have made; None if quotas are off; then changes are not limited either.
    """

    def __init__(
        self,
        postgres: Postgres,
        batcher: ReadBatcher,
        publisher: Publisher,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        partitions: int,
        clock: Callable[[], int],
        *,
        gate: Gate,
        key_namespaces_max: int | None,
    ) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._publisher = publisher
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._partitions = partitions
        self._clock = clock
        self._gate = gate
        self._key_namespaces_max = key_namespaces_max
        self._rate_limit = RateLimit(CHANGES_A_SECOND_MAX, CHANGES_BURST_MAX, "changes of namespaces")

    async def put(self, request: Request) -> Response:
        """`PUT /v1/namespaces/{ns}`: 201 new, 200 changed."""
        check_query(request)
        name = request.path_params["namespace"]
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "admin", name)
        self._take_token(principal)
        check_namespace_name(name, "{namespace}")
        sent = await decode_body(request, SentNamespace, b"{}")
        if sent.name not in (None, name):
            raise Invalid(f"must be the namespace's: {name}", field="$.name")
        rules = read_rules(sent)
        await self._gate.check()
        for _ in range(_TRIES_MAX):
            result = await self._put(name, rules, principal)
            if result is not None:
                namespace, created = result
                await self._gate.note()
                await self._make_known(namespace)
                if not created and not namespace.rules.bounded_sums:
                    await self._drop_sums(namespace)
                return answer(request, namespace.body(), 201 if created else 200)
        raise StoreUnavailable("the namespace is being changed by others")

    async def _put(self, name: str, rules: Rules, principal: Principal) -> tuple[Namespace, bool] | None:
        """Creates or changes a namespace. None if another request was faster."""
        actor, text, p = principal.id, _encode(rules).decode(), partition_of(name, rules.group, self._partitions)
        now = self._clock()
        row = await self._postgres.fetch_one("get_namespace", name)
        if row is None:
            made = await self._create(principal, name, p, rules, now)
            return None if made is None else (made, True)
        old = namespace_from_row(row)
        reach = max(row["latest_acceptable_at"], latest_acceptable_at(old.rules, now))
        new_rules, change = rules, check_change(old.rules, rules, reach)
        if row["has_user_data"] and p != old.partition:
            raise await self._why_it_stays(old, rules, change or "group")
        if change is not None:
            await self._fence(old)
            if await self._holds_grants(old):
                rules, text, p = old.rules, _encode(old.rules).decode(), old.partition
        # Equal rules get a new version too: it repairs a change that stopped between its fence and its end.
        event = {"previous_rules": rules_body(old.rules), "rules": rules_body(rules)}
        body = None if rules == old.rules else _encode(event).decode()
        changed = await self._update(old, rules, actor, (text, p, actor, body, reach, from_micros(now)))
        if changed is None:
            return None
        namespace = Namespace(
            old.id, name, p, changed["version"], rules, accept_future_max=changed["accept_future_max"]
        )
        if change is not None and rules == old.rules:
            await self._publish(name, publish_calls(namespace))
            raise rule_locked(change, old.rules, new_rules)
        return namespace, False

    async def _update(self, old: Namespace, rules: Rules, actor: str, update: tuple[Any, ...]) -> asyncpg.Record | None:
        """Writes rules; also that the namespace left the shadow by them, or came back. None if another was faster."""
        if not crosses_shadow(old.rules, rules):
            return await self._postgres.fetch_one("update_namespace", old.id, old.version, *update)
        async with self._postgres.transaction() as fetch:
            await lock_events(fetch)
            changed = next(iter(await fetch("update_namespace", old.id, old.version, *update)), None)
            if changed is not None:
                await record_mode(fetch, old, rules.mode, actor)
        return changed

    def _take_token(self, principal: Principal) -> None:
        if self._key_namespaces_max is not None:
            self._rate_limit.take(principal.id)

    async def _create(self, principal: Principal, name: str, p: int, rules: Rules, now: int) -> Namespace | None:
        """A new namespace; None where somebody else was faster. QuotaExceeded where the key has made as many as it may.

        An admin of all has no such bound: it makes keys, too.
        """
        event = _encode({"rules": rules_body(rules)}).decode()
        record = name, p, _encode(rules).decode(), principal.id, event, from_micros(now)
        bound = self._key_namespaces_max
        if bound is None or principal.may_all("admin"):
            made = await self._postgres.fetch_one("create_namespace", *record)
        else:
            async with self._postgres.transaction() as fetch:
                # Requests of one key take turns here, so that each counts what those before it have made.
                await fetch("lock_key", principal.id)
                await _check_quota(fetch, principal, bound)
                made = next(iter(await fetch("create_namespace", *record)), None)
        if made is None:
            return None
        return Namespace(made["id"], name, p, made["version"], rules, accept_future_max=made["accept_future_max"])

    async def _fence(self, namespace: Namespace) -> None:
        """From here on, its partition refuses plans of all versions so far, from any server. So nothing is written
        while the log is searched for grants, and after a move nothing is written to the old partition."""
        row = await self._postgres.fetch_one("get_next_rules_version")
        assert row is not None
        await self._batcher.call(version_call(namespace.partition, namespace_id=namespace.id, version=row["version"]))
        self._namespace_cache.forget(Changed(frozenset((namespace.name,))))

    async def _why_it_stays(self, namespace: Namespace, rules: Rules, change: str) -> RuleLocked:
        """Why a namespace does not go to another partition: its grants, or what it keeps of users."""
        rows = await self._postgres.fetch_one("has_ledger_rows", namespace.id)
        if rows is not None and rows["has_rows"]:
            return rule_locked(change, namespace.rules, rules)
        return RuleLocked("the namespace keeps users of its own", field="$.group")

    async def _holds_grants(self, namespace: Namespace) -> bool:
        """Looks into the log and the ledger, because a grant in quarantine is on no board and still counts here."""
        return await has_entries(self._batcher, self._postgres, namespace.partition, namespace.id)

    async def _drop_sums(self, namespace: Namespace) -> None:
        """Deletes the sum trees once bounded_sums is off. Writers with older rules are already refused; a retry of PUT
        finishes an interrupted deletion."""
        p, ns = namespace.partition, namespace.id
        boards = boards_in(await self._batcher.call(field_names_call(namespace)))
        trees = [keys.sum_tree(p, ns, board) for board in boards]
        for first in range(0, len(trees), _KEYS_A_CALL):
            await self._batcher.call(delete_call(trees[first : first + _KEYS_A_CALL]))

    async def _make_known(self, namespace: Namespace) -> None:
        """Publishes a change. StoreUnavailable: the change is in Postgres, and a persister will publish it later."""
        try:
            # The version goes first: after it no plan by earlier rules is applied. Then the directory makes the rules
            # known.
            await self._batcher.call(
                version_call(namespace.partition, namespace_id=namespace.id, version=namespace.version)
            )
            since = await rules_from_seq(self._postgres.fetch, self._batcher.call, namespace)
            known = msgspec.structs.replace(namespace, rules_from_seq=since)
            await self._publish(namespace.name, publish_calls(known))
        except StoreUnavailable as problem:
            what = "the namespace is recorded as asked for, and comes into force by itself once Redis takes it"
            raise StoreUnavailable(f"{what}: {problem.detail}") from problem

    async def _publish(self, name: str, calls: list[Call]) -> None:
        changed = Changed(frozenset((name,)))
        await self._publisher.publish(calls, changed)
        self._namespace_cache.forget(changed)

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}`."""
        check_query(request)
        # The answer comes from the caches, so they must be current first: rights and rules.
        await self._namespace_cache.refresh()
        principal = await principal_of(request.scope, self._keyring)
        namespace = await readable_namespace(principal, self._namespace_cache, request.path_params["namespace"])
        body = {**namespace.body(), "resets": namespace.calendar.resets(self._clock())}
        if principal.may("admin", namespace.name):
            body |= await self._move(namespace)
        return answer(request, body)

    async def _move(self, namespace: Namespace) -> dict[str, Move | None]:
        """How far its move is; nothing while Postgres is away: the rules are told nevertheless."""
        try:
            row = await self._postgres.fetch_one("get_move", namespace.id)
        except (StoreUnavailable, Overloaded):
            return {}
        assert row is not None
        return {"move": move_of(namespace.rules.mode, dict(row))}

    async def list(self, request: Request) -> Response:
        """`GET /v1/namespaces?prefix=`: those that the key may read; without a key the public ones."""
        check_query(request, "prefix")
        prefix = request.query_params.get("prefix", "")
        await self._namespace_cache.refresh()
        principal = await principal_of(request.scope, self._keyring)
        visible = [
            namespace.body()
            for namespace in await self._namespace_cache.all()
            if namespace.name.startswith(prefix) and may_read(principal, namespace)
        ]
        return answer(request, {"namespaces": visible})

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/namespaces/{ns}?confirm={ns}`: removes its boards; its ledger rows stay."""
        check_query(request, "confirm")
        name = request.path_params["namespace"]
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "admin", name)
        self._take_token(principal)
        check_bodiless(request.scope)
        check_namespace_name(name, "{namespace}")
        if request.query_params.get("confirm") != name:
            raise Invalid(f"must repeat the namespace's name: {name}", field="?confirm")
        await self._gate.check()
        row = await self._postgres.fetch_one("delete_namespace", name, principal.id)
        row = row or await self._half_deleted(name)
        await self._gate.note()
        await self._publish(
            name, retract_calls(name, namespace_id=row["id"], partition=row["partition"], version=row["version"])
        )
        return Response(status_code=204)

    async def _half_deleted(self, name: str) -> asyncpg.Record:
        """A namespace that is deleted in Postgres and still published in Redis. NamespaceNotFound if there is none."""
        published = await self._batcher.call(published_call(name))
        namespace = parse_published(published) if isinstance(published, bytes) else None
        row = None if namespace is None else await self._postgres.fetch_one("get_deleted_namespace", namespace.id)
        if row is None:
            raise no_namespace(name)
        return row


async def _check_quota(fetch: Fetch, principal: Principal, bound: int) -> None:
    (row,) = await fetch("count_namespaces_of_key", principal.id, bound)
    if row["made"] >= bound:
        what = "this key has made as many namespaces as a key may have"
        raise QuotaExceeded(f"{what}: {bound} (LEADERBOARD_KEY_NAMESPACES_MAX)", field="{namespace}")

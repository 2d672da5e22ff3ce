"""POST grants. A plain ASGI endpoint: on this route each µs of a Request and a Response is paid by every grant."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from ..access.guard import known_principal, principal_of
from ..access.keys import ANONYMOUS, Keyring
from ..http.bodies import (
    JSON,
    MSGPACK,
    NDJSON,
    decode,
    encode_json,
    encode_msgpack,
    media_type,
    read_body,
    send_response,
    unmarked,
    wants_msgpack,
)
from ..metrics import GRANTS
from ..model.entry import PlannedEntry
from ..model.errors import (
    AmountRange,
    AmountScale,
    Invalid,
    Problem,
    StoreUnavailable,
    TooLarge,
    Unauthorized,
)
from ..model.grant import Grant, NamedGrant, msgpack_number
from ..model.grant_problem import grant_problem
from ..model.namespace import Namespace
from ..store.apply import STALE_PLAN, Outcome
from ..store.call_cost import CALL_ENTRIES_MAX, CALL_US_MAX, write_cost
from ..store.changes import Changed
from ..store.namespace_cache import NamespaceCache
from ..store.profile_cache import NO_ZONES, ProfileCache, UserZones
from ..store.rules_lock import RulesLock
from .committer import Committer
from .grant_requests import YieldClock, check_size, is_array, read_options, size_of, split_batch
from .ledger_dedup import LedgerDedup
from .receipt_ranks import ReceiptRanks
from .receipts import Receipt, batch_summary, raise_first_refusal, refused_member, unreadable_member
from .uncounted_grants import UncountedGrants, UncountedLookup
from .write_options import WriteOptions

JSON_BYTES_MAX = 8 * 1024 * 1024  #: Bytes of a body that is one object or an array: 1,000 grants of 8 KB each.
LINES_BYTES_MAX = 40 * 1024 * 1024  #: Bytes of a body with a grant a line: 10,000 grants of 4 KB each.
PLANS_MAX = 8  #: Plans of a grant while its rules change under it; after them it answers `503 store_unavailable`.
PLAN_PAUSE_S = 0.01  #: Seconds before the second plan, doubled each time: a change shuts its partition for a moment.
LIFT_AFTER = 3  #: Plans after which a change that shuts the partition counts as broken off: 150 ms have passed.
_YIELD_EVERY = 64  #: Members that are planned before others have their turn on the event loop: some 3 ms.

_grant = {JSON: msgspec.json.Decoder(Grant), MSGPACK: msgspec.msgpack.Decoder(Grant)}
_named = {JSON: msgspec.json.Decoder(NamedGrant), MSGPACK: msgspec.msgpack.Decoder(NamedGrant)}
_applied, _duplicate, _quarantined = (GRANTS.labels(code) for code in ("applied", "duplicate", "quarantined"))


class GrantHandlers:
    """Grants in, receipts out."""

    def __init__(
        self,
        committer: Committer,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        memory: LedgerDedup,
        rules_lock: RulesLock,
        names: ProfileCache,
        places: ReceiptRanks,
        voided: UncountedLookup,
        clock: Callable[[], int],
        ack: str,
    ) -> None:
        self._committer = committer
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._dedup = memory
        self._rules_lock = rules_lock
        self._names = names
        self._places = places
        self._voided = voided
        self._clock = clock
        self._ack = ack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/namespaces/{ns}/grants` and `POST /v1/grants`."""
        wanted = read_options(scope)
        name: str | None = scope["path_params"].get("namespace")
        if wanted.atomic and name is not None:
            raise Invalid("only POST /v1/grants can be atomic", field="?atomic")
        media = media_type(scope)
        principal = known_principal(scope, self._keyring) or await principal_of(scope, self._keyring)
        terms = WriteOptions(principal, wanted.atomic, wanted.backfill, None, {} if wanted.rank else None)
        if name is not None:
            terms.check(name)
        elif principal is ANONYMOUS:
            raise Unauthorized("a key is needed here")
        body = unmarked(await read_body(scope, receive, LINES_BYTES_MAX if media == NDJSON else JSON_BYTES_MAX), media)
        namespace = (
            None if name is None else self._namespace_cache.cached(name) or await self._namespace_cache.namespace(name)
        )
        if media == NDJSON or is_array(body, media):
            members = await split_batch(body, media)
            answer: Any = await self._batch(members, media, namespace, terms._replace(batch=token_hex(8)))
            status = 200
        else:
            check_size(len(body))
            kind = _grant[media] if namespace else _named[media]
            status, answer = await self._single(decode(kind, body), media, namespace, terms)
        if terms.held is not None:
            answer = await self._places.added_to(answer, principal, terms.held)
        if wants_msgpack(scope):
            await send_response(scope, send, status, encode_msgpack(answer), b"application/msgpack")
        else:
            await send_response(scope, send, status, encode_json(answer), b"application/json")

    async def _single(
        self, grant: Grant, media: str, namespace: Namespace | None, terms: WriteOptions
    ) -> tuple[int, Receipt]:
        if media == MSGPACK:
            grant.amount = msgpack_number(grant.amount)
        for attempt in range(PLANS_MAX):
            where = namespace or await self._namespace_of(grant, terms)
            zones = await self._names.zones([grant.user_id]) if where.rules.streaks else NO_ZONES
            try:
                entry = terms.plan(grant, where, self._clock(), zones.by_user)
            except (AmountScale, AmountRange):
                entry = await self._plan_again(grant, where, terms, zones.by_user)
            if terms.held is not None:
                terms.held.update(await self._places.before([entry]))
            (outcome,) = await self._submitted([entry], zones)
            if outcome.code != "stale_rules":
                break
            namespace = await self._again(namespace, attempt, {where.name})
        receipt = self._receipt(entry, outcome)
        if outcome.code == "duplicate":
            _mark_uncounted(receipt, entry, await self._voided.among([entry]))
            _duplicate.inc()
            return 200, receipt
        (_applied if outcome.code == "applied" else _quarantined).inc()
        return 201, receipt

    async def _plan_again(
        self, grant: Grant, namespace: Namespace, terms: WriteOptions, zones: Mapping[str, str]
    ) -> PlannedEntry:
        """A plan by the rules in force, for a grant that those refuse which this process knew."""
        await self._namespace_cache.refresh()
        current = await self._namespace_cache.namespace(namespace.name)
        return terms.plan(grant, current, self._clock(), zones)

    async def _namespace_of(self, grant: Grant, terms: WriteOptions) -> Namespace:
        assert isinstance(grant, NamedGrant)
        terms.check(grant.namespace)
        return await self._namespace_cache.namespace(grant.namespace)

    async def _one_of(self, grant: Grant, terms: WriteOptions, unknown: dict[str, Problem]) -> Namespace:
        """The namespace of a batch's member; what is unknown is asked for once a batch."""
        assert isinstance(grant, NamedGrant)
        if grant.namespace in unknown:
            raise unknown[grant.namespace]
        try:
            return await self._namespace_of(grant, terms)
        except Problem as problem:
            unknown[grant.namespace] = problem
            raise

    async def _again(self, namespace: Namespace | None, attempt: int, names: Iterable[str]) -> Namespace | None:
        """The rules as they are now, after a while. names: of those that were stale."""
        await asyncio.sleep(PLAN_PAUSE_S * 2**attempt)
        stale = frozenset(names)
        if attempt >= LIFT_AFTER:
            await asyncio.gather(*map(self._rules_lock.release_stale, stale))
        self._namespace_cache.forget(Changed(stale))
        return None if namespace is None else await self._namespace_cache.namespace(namespace.name)

    def _receipt(self, entry: PlannedEntry, outcome: Outcome) -> Receipt:
        """The receipt of an outcome; any other than applied, quarantined and duplicate is raised as its problem."""
        if outcome.code not in ("applied", "quarantined", "duplicate"):
            if outcome.code == "stale_rules":
                raise StoreUnavailable("the namespace's rules keep changing")
            raise grant_problem(entry, outcome.code, outcome.detail, self._clock())
        namespace = entry.namespace
        return Receipt(
            outcome.code,
            entry.body.grant_id,
            namespace.name,
            entry.body.user,
            namespace.number_or_none(outcome.score),
            namespace.number_or_none(outcome.previous),
            outcome.seq,
            outcome.epoch,
            self._ack,
        )

    async def _batch(
        self, raw: list[Any], media: str, namespace: Namespace | None, terms: WriteOptions
    ) -> dict[str, Any]:
        self._committer.check_room(len(raw))
        results: list[Any] = [None] * len(raw)
        grants: dict[int, Grant] = {}
        lines = media == NDJSON
        spoken = JSON if lines else media
        kind = _grant[spoken] if namespace else _named[spoken]
        turns = YieldClock()
        for i, member in enumerate(raw):
            size = size_of(member)
            if turns.is_over(size):
                await asyncio.sleep(0)
            try:
                check_size(size)
                grants[i] = decode(kind, member)
                if spoken == MSGPACK:
                    grants[i].amount = msgpack_number(grants[i].amount)
            except TooLarge as problem:
                results[i] = refused_member(None, problem)
            except Problem as problem:
                results[i] = unreadable_member(member, spoken, problem)
        if terms.atomic:
            raise_first_refusal(results)
        for attempt in range(PLANS_MAX):
            stale = await self._commit(grants, namespace, terms, results)
            if not stale:
                break
            grants = {i: grants[i] for i in stale}
            named = (grant.namespace for grant in grants.values() if isinstance(grant, NamedGrant))
            namespace = await self._again(namespace, attempt, {namespace.name} if namespace else set(named))
        for i in grants:
            if results[i] is None:
                results[i] = refused_member(grants[i].grant_id, StoreUnavailable("the namespace's rules keep changing"))
        if terms.atomic:
            raise_first_refusal(results)
        return batch_summary(results)

    async def _commit(
        self,
        grants: dict[int, Grant],
        namespace: Namespace | None,
        terms: WriteOptions,
        results: list[Any],
    ) -> list[int]:
        """Plans and submits; fills `results`. The members whose rules were stale."""
        by_partition: dict[int, list[tuple[int, PlannedEntry]]] = {}
        spaces = await self._spaces(grants, namespace, terms, results)
        users = {grants[i].user_id for i, where in spaces.items() if where.rules.streaks}
        zones = await self._names.zones(list(users))
        now = self._clock()
        for count, (i, where) in enumerate(spaces.items()):
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            grant = grants[i]
            try:
                try:
                    entry = terms.plan(grant, where, now, zones.by_user)
                except (AmountScale, AmountRange):
                    entry = await self._plan_again(grant, where, terms, zones.by_user)
            except Problem as problem:
                results[i] = refused_member(grant.grant_id, problem)
                continue
            by_partition.setdefault(entry.namespace.partition, []).append((i, entry))
        if terms.atomic:
            raise_first_refusal(results)
            _check_atomic(by_partition)
        if terms.held is not None:
            planned = [entry for part in by_partition.values() for _, entry in part]
            terms.held.update(await self._places.before(planned))
        stale: list[int] = []
        await asyncio.gather(
            *(self._submit(held, results, stale, zones, terms.atomic) for held in by_partition.values())
        )
        return sorted(stale)

    async def _spaces(
        self, grants: dict[int, Grant], namespace: Namespace | None, terms: WriteOptions, results: list[Any]
    ) -> dict[int, Namespace]:
        """The namespace of each member; those that have none are told so in `results`."""
        if namespace is not None:
            return dict.fromkeys(grants, namespace)
        spaces: dict[int, Namespace] = {}
        unknown: dict[str, Problem] = {}
        for i, grant in grants.items():
            try:
                spaces[i] = await self._one_of(grant, terms, unknown)
            except Problem as problem:
                results[i] = refused_member(grant.grant_id, problem)
        return spaces

    async def _submitted(self, entries: list[PlannedEntry], zones: UserZones, atomic: bool = False) -> list[Outcome]:
        """The outcomes of entries of one partition; those that were planned by zones of earlier are planned again."""
        if not self._dedup.knows(entries, self._committer):
            await self._dedup.check(entries, self._committer)
        if zones.users and not await self._names.still_hold(zones):
            return [STALE_PLAN] * len(entries)
        return await self._committer.submit(entries[0].namespace.partition, entries, atomic)

    async def _submit(
        self, held: list[tuple[int, PlannedEntry]], results: list[Any], stale: list[int], zones: UserZones, atomic: bool
    ) -> None:
        entries = [entry for _, entry in held]
        try:
            outcomes = await self._submitted(entries, zones, atomic)
        except Problem as problem:
            for i, entry in held:
                results[i] = refused_member(entry.body.grant_id, problem)
            return
        sent_again = [e for e, outcome in zip(entries, outcomes, strict=True) if outcome.code == "duplicate"]
        uncounted = await self._voided.among(sent_again)
        for (i, entry), outcome in zip(held, outcomes, strict=True):
            if outcome.code == "stale_rules":
                stale.append(i)
                continue
            try:
                results[i] = receipt = self._receipt(entry, outcome)
                if outcome.code == "duplicate":
                    _mark_uncounted(receipt, entry, uncounted)
            except Problem as problem:
                results[i] = refused_member(entry.body.grant_id, problem)
        if atomic and stale:
            stale[:] = [i for i, _ in held]


def _mark_uncounted(receipt: Receipt, entry: PlannedEntry, uncounted: UncountedGrants) -> None:
    receipt.voided, receipt.quarantined = entry.id in uncounted.voided, entry.id in uncounted.quarantined


def _check_atomic(by_partition: dict[int, list[tuple[int, PlannedEntry]]]) -> None:
    groups = {held.namespace.rules.group or held.namespace.name for part in by_partition.values() for _, held in part}
    if len(groups) > 1:
        raise Invalid("an atomic request needs namespaces of one group", field="$")
    for part in by_partition.values():
        entries = [entry for _, entry in part]
        for what, held, bound in (
            ("grants", len(entries), CALL_ENTRIES_MAX),
            ("weight", write_cost(entries), CALL_US_MAX),
        ):
            if held > bound:
                raise TooLarge(f"an atomic request is too large: {what} {held:,}, at most {bound:,}")

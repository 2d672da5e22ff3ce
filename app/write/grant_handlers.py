"""POST grants. A plain ASGI endpoint, because on this route every grant would pay for a Request and a Response."""

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from ..access.guard import known_principal, no_key, principal_of
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
from ..model.errors import AmountRange, AmountScale, Invalid, Problem, StoreUnavailable, TooLarge
from ..model.grant import Grant, NamedGrant, msgpack_number
from ..model.grant_problem import grant_problem
from ..model.namespace import Namespace
from ..store.apply import STALE_PLAN, Outcome
from ..store.namespace_cache import NamespaceCache
from ..store.profile_cache import NO_ZONES, ProfileCache, UserZones
from .acknowledgements import NO_WAIT, Acknowledgements
from .committer import Committer
from .grant_preview import GrantPreview, preview_summary
from .grant_requests import YieldClock, check_size, is_array, read_options, size_of, split_batch
from .ledger_dedup import LedgerDedup
from .member_namespaces import namespace_of, namespaces_of
from .plan_attempts import PlanAttempts, RulesReader
from .receipt_ranks import ReceiptRanks
from .receipts import Receipt, batch_summary, raise_first_refusal, refused_member, unreadable_member
from .uncounted_grants import UncountedLookup
from .write_options import WriteOptions, check_atomic

JSON_BYTES_MAX = 8 * 1024 * 1024  #: Bytes of a body that is one object or an array: 1,000 grants of 8 KB each.
LINES_BYTES_MAX = 40 * 1024 * 1024  #: Bytes of a body with one grant in each line: 10,000 grants of 4 KB each.
#: The detail for a grant that met other rules with each plan.
RULES_UNSETTLED = "the namespace's rules keep changing"
_YIELD_EVERY = 64  #: Members that are planned before other tasks have their turn on the event loop: some 3 ms.

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
        dedup: LedgerDedup,
        rules: RulesReader,
        profiles: ProfileCache,
        ranks: ReceiptRanks,
        uncounted: UncountedLookup,
        clock: Callable[[], int],
        acks: Acknowledgements,
        preview: GrantPreview,
        digest_key: bytes,
    ) -> None:
        self._committer = committer
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._dedup = dedup
        self._rules = rules
        self._profiles = profiles
        self._ranks = ranks
        self._uncounted = uncounted
        self._clock = clock
        self._acks = acks
        self._preview = preview
        self._digest_key = digest_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/namespaces/{ns}/grants` and `POST /v1/grants`."""
        name: str | None = scope["path_params"].get("namespace")
        parameters = read_options(scope, in_namespace=name is not None)
        if parameters.dry_run and (parameters.atomic or parameters.rank or parameters.ack):
            raise Invalid("a dry run writes nothing: it goes with backfill alone", field="?dry_run")
        if parameters.atomic and name is not None:
            raise Invalid("only POST /v1/grants can be atomic", field="?atomic")
        media = media_type(scope, takes_lines=True)
        principal = known_principal(scope, self._keyring) or await principal_of(scope, self._keyring)
        options = WriteOptions(
            principal=principal,
            atomic=parameters.atomic,
            backfill=parameters.backfill,
            ranks_before={} if parameters.rank else None,
            ack=self._acks.begin(parameters.ack),
            digest_key=self._digest_key,
            is_dry=parameters.dry_run,
        )
        if name is not None:
            options.check(name)
        elif principal is ANONYMOUS:
            raise no_key()
        body = unmarked(await read_body(scope, receive, LINES_BYTES_MAX if media == NDJSON else JSON_BYTES_MAX), media)
        namespace = (
            None if name is None else self._namespace_cache.cached(name) or await self._namespace_cache.namespace(name)
        )
        with options.ack or NO_WAIT:
            status, answer = await self._answer(body, media, namespace, options)
        if options.ranks_before is not None:
            answer = await self._ranks.added_to(answer, principal, options.ranks_before)
        if wants_msgpack(scope):
            await send_response(scope, send, status, encode_msgpack(answer), b"application/msgpack")
        else:
            await send_response(scope, send, status, encode_json(answer), b"application/json")

    async def _answer(
        self, body: bytes, media: str, namespace: Namespace | None, options: WriteOptions
    ) -> tuple[int, Any]:
        """The status and the answer to a body: a receipt, or a batch's results."""
        if media == NDJSON or is_array(body, media):
            members = await split_batch(body, media)
            return 200, await self._batch(members, media, namespace, options._replace(batch=token_hex(8)))
        if options.is_dry:
            raise Invalid("a dry run takes an array, or a grant a line", field="?dry_run")
        check_size(len(body))
        kind = _grant[media] if namespace else _named[media]
        return await self._single(decode(kind, body), media, namespace, options)

    async def _single(
        self, grant: Grant, media: str, namespace: Namespace | None, options: WriteOptions
    ) -> tuple[int, Receipt]:
        if media == MSGPACK:
            grant.amount = msgpack_number(grant.amount)
        if options.ack is not None:
            options.ack.open(1)
        attempts: PlanAttempts | None = None
        while True:
            where = namespace or await namespace_of(self._namespace_cache, grant, options)
            zones = await self._profiles.zones([grant.user_id]) if where.rules.streaks else NO_ZONES
            try:
                entry = options.plan(grant, where, self._clock(), zones.by_user)
            except (AmountScale, AmountRange):
                entry = options.plan(grant, await self._latest(where), self._clock(), zones.by_user)
            if options.ranks_before is not None:
                options.ranks_before.update(await self._ranks.before([entry]))
            (outcome,) = await self._submitted([entry], zones)
            if not outcome.is_stale:
                break
            attempts = attempts or PlanAttempts(self._rules, RULES_UNSETTLED)
            await attempts.again({where.name})
            namespace = await self._current(namespace)
        receipt = self._receipt(entry, outcome, options)
        if options.ack is not None:
            options.ack.note_grants([0], [entry], [outcome])
            for cause in (await options.ack.wait()).values():
                raise cause
        if outcome.code == "duplicate":
            (await self._uncounted.among([entry])).mark(receipt, entry)
            _duplicate.inc()
            return 200, receipt
        (_applied if outcome.code == "applied" else _quarantined).inc()
        return 201, receipt

    async def _latest(self, namespace: Namespace) -> Namespace:
        """A namespace with the rules in force, for grants that the rules cached here refuse."""
        await self._namespace_cache.refresh()
        return await self._namespace_cache.namespace(namespace.name)

    async def _current(self, namespace: Namespace | None) -> Namespace | None:
        """A namespace with its current rules; None if each grant names its own."""
        return None if namespace is None else await self._namespace_cache.namespace(namespace.name)

    def _receipt(self, entry: PlannedEntry, outcome: Outcome, options: WriteOptions) -> Receipt:
        """The receipt of an outcome. Outcomes other than applied, quarantined and duplicate are raised as their
        problems."""
        if outcome.code not in ("applied", "quarantined", "duplicate"):
            raise grant_problem(entry, outcome.code, outcome.detail, self._clock())
        namespace = entry.namespace
        return Receipt(
            status=outcome.code,
            grant_id=entry.body.grant_id,
            namespace=namespace.name,
            user_id=entry.body.user,
            score=namespace.number_or_none(outcome.score),
            previous_score=namespace.number_or_none(outcome.previous),
            seq=outcome.seq,
            epoch=outcome.epoch,
            ack=self._acks.standard if options.ack is None else options.ack.level,
        )

    async def _batch(
        self, raw: list[Any], media: str, namespace: Namespace | None, options: WriteOptions
    ) -> dict[str, Any]:
        self._committer.check_room(len(raw))
        if options.ack is not None:
            options.ack.open(len(raw))
        results: list[Any] = [None] * len(raw)
        grants: dict[int, Grant] = {}
        member_media = JSON if media == NDJSON else media
        kind = _grant[member_media] if namespace else _named[member_media]
        turns = YieldClock()
        for i, member in enumerate(raw):
            size = size_of(member)
            if turns.is_over(size):
                await asyncio.sleep(0)
            try:
                check_size(size)
                grants[i] = decode(kind, member)
                if member_media == MSGPACK:
                    grants[i].amount = msgpack_number(grants[i].amount)
            except TooLarge as problem:
                results[i] = refused_member(None, problem)
            except Problem as problem:
                results[i] = unreadable_member(member, member_media, problem)
        if options.atomic:
            raise_first_refusal(results)
        await self._commit_all(grants, namespace, options, results)
        if options.ack is not None:
            for i, cause in (await options.ack.wait()).items():
                results[i] = refused_member(grants[i].grant_id, cause)
        if options.atomic:
            raise_first_refusal(results)
        return preview_summary(results) if options.is_dry else batch_summary(results)

    async def _commit_all(
        self, grants: dict[int, Grant], namespace: Namespace | None, options: WriteOptions, results: list[Any]
    ) -> None:
        """Plans and submits until no member is stale or time is up. Fills `results`."""
        attempts = PlanAttempts(self._rules, RULES_UNSETTLED)
        while stale := await self._commit(grants, namespace, options, results):
            grants = {i: grants[i] for i in stale}
            named = {grant.namespace for grant in grants.values() if isinstance(grant, NamedGrant)}
            try:
                await attempts.again({namespace.name} if namespace else named)
            except StoreUnavailable as problem:
                for i, grant in grants.items():
                    results[i] = refused_member(grant.grant_id, problem)
                return
            namespace = await self._current(namespace)

    async def _commit(
        self, grants: dict[int, Grant], namespace: Namespace | None, options: WriteOptions, results: list[Any]
    ) -> list[int]:
        """Plans and submits; fills `results`. Returns the members whose rules were stale."""
        by_partition: dict[int, list[tuple[int, PlannedEntry]]] = {}
        if namespace is None:
            namespaces = await namespaces_of(self._namespace_cache, grants, options, results)
        else:
            namespaces = dict.fromkeys(grants, namespace)
        users = {grants[i].user_id for i, where in namespaces.items() if where.rules.streaks}
        zones = await self._profiles.zones(list(users))
        now, latest = self._clock(), dict[str, Namespace]()
        for count, (i, where) in enumerate(namespaces.items()):
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            grant = grants[i]
            try:
                try:
                    entry = options.plan(grant, where, now, zones.by_user)
                except (AmountScale, AmountRange):
                    # Once for all of them: a batch whose amounts are all wrong would ask for each.
                    if where.name not in latest:
                        latest[where.name] = await self._latest(where)
                    entry = options.plan(grant, latest[where.name], now, zones.by_user)
            except Problem as problem:
                results[i] = refused_member(grant.grant_id, problem)
                continue
            by_partition.setdefault(entry.namespace.partition, []).append((i, entry))
        if options.is_dry:
            await self._preview.fill(by_partition, results)
            return []
        if options.atomic:
            raise_first_refusal(results)
            check_atomic([[entry for _, entry in part] for part in by_partition.values()])
        if options.ranks_before is not None:
            planned = [entry for part in by_partition.values() for _, entry in part]
            options.ranks_before.update(await self._ranks.before(planned))
        stale: list[int] = []
        await asyncio.gather(*(self._submit(part, results, stale, zones, options) for part in by_partition.values()))
        return sorted(stale)

    async def _submitted(self, entries: list[PlannedEntry], zones: UserZones, atomic: bool = False) -> list[Outcome]:
        """The outcomes of entries of one partition. If users' zones changed since the plan, all are stale."""
        if not self._dedup.is_in_generations(entries, self._committer):
            await self._dedup.check(entries, self._committer)
        if zones.users and not await self._profiles.still_hold(zones):
            return [STALE_PLAN] * len(entries)
        return await self._committer.submit(entries[0].namespace.partition, entries, atomic)

    async def _submit(
        self,
        part: list[tuple[int, PlannedEntry]],
        results: list[Any],
        stale: list[int],
        zones: UserZones,
        options: WriteOptions,
    ) -> None:
        entries = [entry for _, entry in part]
        try:
            outcomes = await self._submitted(entries, zones, options.atomic)
        except Problem as problem:
            for i, entry in part:
                results[i] = refused_member(entry.body.grant_id, problem)
            return
        if options.ack is not None:
            options.ack.note_grants((i for i, _ in part), entries, outcomes)
        sent_again = [e for e, outcome in zip(entries, outcomes, strict=True) if outcome.code == "duplicate"]
        uncounted = await self._uncounted.among(sent_again)
        for (i, entry), outcome in zip(part, outcomes, strict=True):
            if outcome.is_stale:
                stale.append(i)
                continue
            try:
                results[i] = receipt = self._receipt(entry, outcome, options)
                if outcome.code == "duplicate":
                    uncounted.mark(receipt, entry)
            except Problem as problem:
                results[i] = refused_member(entry.body.grant_id, problem)
        if options.atomic and stale:
            stale[:] = [i for i, _ in part]

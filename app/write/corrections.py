"""Corrections: edit, void and restore. One path for all of them.

It waits until the ledger has all of the grant and its user that Redis has, plans with it, and applies the plan. If
something changed meanwhile, the script refuses the plan, and it is made again.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..model.cell_ops import Cell, cells_of, needs_other_grants, plan_cells
from ..model.chain import (
    Step,
    cells_to_read,
    changes_of,
    entries_of,
    hold_since,
    is_loose,
    may_be_loose,
    needs_joint_plan,
    steps_of,
)
from ..model.correction import CorrectionRequest, GrantState, apply_correction
from ..model.entry import PlannedEntry
from ..model.errors import GrantNotFound, Problem, RevisionConflict, StoreUnavailable, UserIsErased
from ..model.grant_problem import grant_problem
from ..model.namespace import Namespace
from ..model.ops import CellOps
from ..model.visibility import is_erased
from ..store.apply import STALE_USER, Outcome
from ..store.board_reader import BoardReader
from ..store.call_cost import portions
from ..store.ledger import Ledger
from ..store.namespace_cache import NamespaceCache
from ..store.profile_cache import ProfileCache
from ..store.read_batcher import ReadBatcher
from .committer import Committer
from .ledger_wait import NOT_CAUGHT_UP, Deadline, GrantLookup, LedgerWait
from .plan_attempts import PlanAttempts, RulesReader
from .rank_projection import RankProjection
from .receipts import CorrectionReceipt

#: Seconds for all corrections of one user in a request, however many rounds they take.
CHAIN_S_MAX = 10.0
#: Seconds that a user's corrections wait for other users' in the same request before they begin.
TURN_S_MAX = 20.0
#: Users of a request whose corrections run at the same time: each reads the ledger, and other requests need Postgres
#: too.
_AT_ONCE = 16
#: Entries that are built before other tasks have their turn on the event loop.
_YIELD_EVERY = 64

CorrectionResult = CorrectionReceipt | Problem


class Corrector:
    """Plans corrections from the ledger, and applies them through the committer. StoreUnavailable without Postgres."""

    def __init__(
        self,
        committer: Committer,
        namespace_cache: NamespaceCache,
        batcher: ReadBatcher,
        boards: BoardReader,
        ledger: Ledger,
        rules: RulesReader,
        profiles: ProfileCache,
        clock: Callable[[], int],
        ack: str,
        digest_key: bytes = b"",
    ) -> None:
        self._committer = committer
        self._namespace_cache = namespace_cache
        self._batcher = batcher
        self._boards = boards
        self._ledger = ledger
        self._ledger_wait = LedgerWait(batcher, ledger)
        self._projection = RankProjection(batcher, boards)
        self._rules = rules
        self._profiles = profiles
        self._clock = clock
        self._ack = ack
        self._digest_key = digest_key

    async def correct_all(self, namespace: Namespace, requests: Sequence[CorrectionRequest]) -> list[CorrectionResult]:
        """Applies corrections; returns the result of each. Those of one user's grants are planned together and done in
        their order. Users do not wait for each other; some are served at the same time."""
        ids = {request.grant_id for request in requests}
        grants, lacking = await self._ledger.get_grants(namespace, list(ids)), None
        try:
            fresh = ids - grants.keys()
            known = await self._ledger_wait.wait_for_grants(namespace, fresh, Deadline())
        except Problem as problem:
            known, lacking = GrantLookup({}, {}), problem
        grants |= known.grants
        results: list[CorrectionResult] = [
            lacking or known.problems.get(request.grant_id) or _absent(namespace, request.grant_id)
            for request in requests
        ]
        chains: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            grant = grants.get(request.grant_id)
            if grant is not None and is_erased(grant.user):
                results[i] = UserIsErased("it stays as it is")
            elif grant is not None:
                chains.setdefault(grant.user, []).append(i)
        gate, until = asyncio.Semaphore(_AT_ONCE), asyncio.get_running_loop().time() + TURN_S_MAX

        async def run(user: str, indexes: list[int]) -> None:
            chain: Sequence[CorrectionResult]
            try:
                async with asyncio.timeout_at(until):
                    await gate.acquire()
            except TimeoutError:
                chain = [StoreUnavailable("the corrections before this one take too long") for _ in indexes]
            else:
                try:
                    chain = await self._chain(namespace, user, [requests[i] for i in indexes])
                finally:
                    gate.release()
            for i, result in zip(indexes, chain, strict=True):
                results[i] = result

        await asyncio.gather(*(run(user, indexes) for user, indexes in chains.items()))
        return results

    async def _chain(
        self, namespace: Namespace, user: str, requests: Sequence[CorrectionRequest]
    ) -> list[CorrectionResult]:
        """Corrections of one user's grants, round by round, as long as each round finishes some of them."""
        results: list[CorrectionResult | None] = [None] * len(requests)
        attempts = PlanAttempts(self._rules, NOT_CAUGHT_UP, CHAIN_S_MAX)
        while due := [i for i, result in enumerate(results) if result is None]:
            try:
                done, is_stale = await self._round(namespace, user, [requests[i] for i in due], attempts.waiting)
                for i, result in zip(due, done, strict=True):
                    results[i] = result
                if None in done:
                    await attempts.again({namespace.name} if is_stale else (), progress=any(done))
                    namespace = await self._namespace_cache.namespace(namespace.name)
            except Problem as problem:
                for i in due:
                    results[i] = results[i] or problem
        return [result for result in results if result is not None]

    async def _round(
        self, namespace: Namespace, user: str, requests: Sequence[CorrectionRequest], waiting: Deadline
    ) -> tuple[list[CorrectionResult | None], bool]:
        """Plans all of them from one state of the ledger, and submits them. Returns the results, None for those to plan
        again, and whether the rules were stale."""
        ids = list(dict.fromkeys(request.grant_id for request in requests))
        known = await self._ledger_wait.wait_for_grants(namespace, ids, waiting)
        if known.problems:
            return [known.problems.get(request.grant_id) for request in requests], False
        steps = await self._steps(namespace, user, requests, known.grants)
        joint = needs_joint_plan(namespace, steps)
        if joint:
            steps, entries = await self._joint_plan(namespace, user, requests, steps, waiting)
        else:
            entries = await self._entries(namespace, steps, None, 0)
        outcomes, problem = await self._submit(namespace, entries, joint)
        results = await self._results(namespace, steps, zip(entries, outcomes, strict=True), joint)
        is_stale = any(outcome.is_stale for outcome in outcomes)
        return [problem if result is None else result for result in results], is_stale

    async def _joint_plan(
        self,
        namespace: Namespace,
        user: str,
        requests: Sequence[CorrectionRequest],
        steps: list[Step],
        waiting: Deadline,
    ) -> tuple[list[Step], list[PlannedEntry]]:
        """The steps and entries of requests that depend on the user's other grants.

        The plan is loose if that is enough, because a user who gets grants all the time hardly ever stops changing.
        Else it waits until the ledger has the user's last change.
        """
        if may_be_loose(namespace):
            seq, flushed = await self._ledger_wait.wait_until_corrected(namespace, user, waiting)
            steps, rest = await self._with_others(namespace, user, requests, steps)
            entries = await self._entries(namespace, steps, rest, flushed, loose=True)
            if seq and is_loose(entries):  # If nothing of a user ever counted, the script cannot check the hold.
                return steps, entries
            if flushed >= seq:
                return steps, await self._entries(namespace, steps, rest, seq)
        seq = await self._ledger_wait.wait_until_unchanged(namespace, user, waiting)
        steps, rest = await self._with_others(namespace, user, requests, steps)
        return steps, await self._entries(namespace, steps, rest, seq)

    async def _with_others(
        self, namespace: Namespace, user: str, requests: Sequence[CorrectionRequest], steps: list[Step]
    ) -> tuple[list[Step], dict[str, Cell]]:
        """The steps, and what the user's other grants add up to in each cell."""
        ids = list(dict.fromkeys(request.grant_id for request in requests))
        if len(ids) > 1:
            # Each grant is one of the others for the rest, so all are read as of one moment.
            steps = await self._steps(namespace, user, requests, await self._ledger.get_grants(namespace, ids))
        changing = list({step.request.grant_id for step in changes_of(steps)})
        return steps, await self._ledger.others(namespace, user, changing, cells_to_read(namespace, steps))

    async def _submit(
        self, namespace: Namespace, entries: list[PlannedEntry], joint: bool
    ) -> tuple[list[Outcome], Problem | None]:
        """Submits entries; returns the outcomes in order. Entries that depend on each other go in one call after
        another, the first of each call depending on the call before. After an entry that was not applied the rest is
        stale, or has its problem."""
        if not joint:
            return (await self._committer.submit(namespace.partition, entries) if entries else []), None
        outcomes: list[Outcome] = []
        problem, loose = None, bool(entries) and _allows_grants(entries[0])
        for part in portions(entries):
            if outcomes:
                hold_since(part.entries[0], outcomes[-1].seq or 0, loose=loose)
            try:
                outcomes += await self._committer.submit(namespace.partition, list(part.entries), together=True)
            except Problem as error:
                if not outcomes:
                    raise
                problem = error
                break
            if outcomes[-1].code != "applied":
                break
        return outcomes + [STALE_USER] * (len(entries) - len(outcomes)), problem

    async def _steps(
        self, namespace: Namespace, user: str, requests: Sequence[CorrectionRequest], grants: dict[str, GrantState]
    ) -> list[Step]:
        """Reads the keys after the grants, so that a correction that used a key is already in its grant's revision."""
        used_keys = [request.key for request in requests if request.key is not None]
        key_records = await self._ledger.find_by_idempotency_key(namespace, used_keys)
        zones = await self._profiles.zones_of([user]) if namespace.rules.streaks else {}
        return steps_of(namespace, requests, grants, key_records, self._clock(), zones.get(user), self._digest_key)

    async def _entries(
        self,
        namespace: Namespace,
        steps: Sequence[Step],
        rest: dict[str, Cell] | None,
        user_seq: int,
        *,
        loose: bool = False,
    ) -> list[PlannedEntry]:
        """The entries of the steps, as `entries_of` makes them."""
        return await _made(entries_of(namespace, steps, rest, user_seq, loose=loose, digest_key=self._digest_key))

    async def _results(
        self, namespace: Namespace, steps: Sequence[Step], done: Iterator[tuple[PlannedEntry, Outcome]], joint: bool
    ) -> list[CorrectionResult | None]:
        """The result of each step; None: to be planned again. That includes steps after one that failed, of the same
        grant or the same joint plan."""
        results: list[CorrectionResult | None] = []
        failed: set[str] = set()
        for step in steps:
            entry, outcome = next(done) if step.after is not None else (None, None)
            if failed and (joint or step.request.grant_id in failed):
                results.append(None)
            elif entry is None or outcome is None:
                results.append(step.problem or await self._unchanged(namespace, step))
            elif outcome.code in ("applied", "duplicate"):
                results.append(self._receipt(entry, outcome))
            else:
                failed.add(step.request.grant_id)
                again = outcome.is_stale or outcome.code in ("grant_conflict", "stale_user", "key_used")
                problem = None if again else grant_problem(entry, outcome.code, outcome.detail, self._clock())
                results.append(problem)
        return results

    async def preview(self, namespace: Namespace, request: CorrectionRequest) -> dict[str, Any]:
        """The ranks that the user would have after a correction. Changes nothing."""
        waiting, grant_id = Deadline(), request.grant_id
        known = await self._ledger_wait.wait_for_grants(namespace, [grant_id], waiting)
        before = known.grants.get(grant_id)
        if before is None:
            raise known.problems.get(grant_id) or _absent(namespace, grant_id)
        if request.edit.revision not in (None, before.revision):
            raise RevisionConflict(f"the grant is at revision {before.revision}", field="$.revision")
        after = apply_correction(namespace, before, request, self._clock())
        live = before.live, after.live
        others: dict[str, Cell] = {}
        if needs_other_grants(namespace, live[0], live[1]):
            await self._ledger_wait.wait_until_flushed(namespace, before.user, waiting)
            boards, labels = cells_of(namespace, live[0], live[1])
            others = await self._ledger.others(namespace, before.user, [grant_id], ("all", *boards, *labels))
        plan = plan_cells(namespace, live[0], live[1], others)
        reads = request.admin or namespace.rules.mode != "shadow"
        moves = await self._projection.of(namespace, before.user, plan, ranks=reads) if after != before else []
        return {"status": "dry_run", "grant_id": grant_id, "revision": before.revision, "moves": moves}

    async def _unchanged(self, namespace: Namespace, step: Step) -> CorrectionReceipt:
        """The receipt if nothing is to be done, or it was done before. Its score is the current one."""
        grant, revision = step.before, step.earlier_revision
        assert grant is not None
        assert revision is not None
        number = namespace.number_or_none(await self._boards.score_of(namespace, "all", grant.user))
        return CorrectionReceipt(
            status="duplicate",
            grant_id=grant.grant_id,
            namespace=namespace.name,
            user_id=grant.user,
            score=number,
            previous_score=number,
            seq=None,
            epoch=None,
            ack=self._ack,
            revision=revision,
        )

    def _receipt(self, entry: PlannedEntry, outcome: Outcome) -> CorrectionReceipt:
        namespace, body = entry.namespace, entry.body
        return CorrectionReceipt(
            status=outcome.code,
            grant_id=body.grant_id,
            namespace=namespace.name,
            user_id=body.user,
            score=namespace.number_or_none(outcome.score),
            previous_score=namespace.number_or_none(outcome.previous),
            seq=outcome.seq,
            epoch=outcome.epoch,
            ack=self._ack,
            revision=body.revision,
        )


async def _made(entries: Iterator[PlannedEntry]) -> list[PlannedEntry]:
    """Builds the entries, with pauses for other tasks."""
    made: list[PlannedEntry] = []
    for entry in entries:
        made.append(entry)
        if len(made) % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return made


def _allows_grants(entry: PlannedEntry) -> bool:
    """Whether an entry was planned loosely."""
    return isinstance(entry.ops, CellOps) and entry.ops.hold is not None and entry.ops.hold.allows_grants


def _absent(namespace: Namespace, grant_id: str) -> GrantNotFound:
    return GrantNotFound(f"there is no grant {grant_id!r} in {namespace.name!r}")

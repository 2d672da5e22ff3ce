"""Corrections: edit, void, restore, and grants that come too late for their place. One path for all of them.

Wait until the ledger holds what Redis does of the grant and its user, plan by it, apply; what has changed meanwhile is
refused by the script and planned again.
"""

import asyncio
import re
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from ..model.correction import (
    Cell,
    Edit,
    Held,
    Moves,
    Verb,
    asked_digest,
    cells_of,
    correction_entry,
    edited,
    made_before,
    needs_others,
    plan_moves,
)
from ..model.entry import CORRECTION, GRANT, Entry, entry_id
from ..model.errors import Forbidden, GrantNotFound, RevisionConflict, StoreUnavailable, Unavailable, problem_of
from ..model.namespace import Namespace
from ..store import keys
from ..store.apply import Outcome
from ..store.boards import read_standing, standing_call
from ..store.directory import Directory
from ..store.fences import Fences
from ..store.gather import Gatherer
from ..store.ledger import Ledger
from ..store.log import is_counted
from .committer import Committer
from .receipts import CorrectionReceipt

WAIT_S_MAX = 2.0
LIFT_AFTER_S = 0.15
_POLL_S = 0.02
_NEWEST = 2**62
_MOVE = re.compile(r"w(\d+)([=+x])(-?\d*)")


class Ask(NamedTuple):
    """What a caller wants of a grant. key: the Idempotency-Key; admin: whether the caller is one here."""

    verb: Verb
    edit: Edit
    actor: str
    key: str | None = None
    admin: bool = False


class Corrector:
    """Plans by the ledger, applies through the committer. Postgres away: StoreUnavailable."""

    def __init__(
        self,
        committer: Committer,
        directory: Directory,
        gatherer: Gatherer,
        ledger: Ledger,
        fences: Fences,
        clock: Callable[[], int],
        ack: str,
    ) -> None:
        self._committer = committer
        self._directory = directory
        self._gatherer = gatherer
        self._ledger = ledger
        self._fences = fences
        self._clock = clock
        self._ack = ack

    async def correct(self, namespace: Namespace, grant_id: str, ask: Ask) -> CorrectionReceipt:
        """Applies one correction. GrantNotFound, RevisionConflict, StoreUnavailable, and an edit's own problems."""
        waiting = _Patience()
        while True:
            held = await self._known(namespace, grant_id, waiting)
            asked = None if ask.key is None else asked_digest(namespace, grant_id, ask.verb, ask.edit)
            if ask.key is not None and asked is not None:
                keyed = await self._ledger.keyed(namespace, [ask.key])
                if (made := made_before(keyed.get(ask.key, []), grant_id, asked)) is not None:
                    return await self._unchanged(namespace, held, made)
            if ask.edit.revision not in (None, held.revision):
                raise RevisionConflict(f"the grant is at revision {held.revision}", field="$.revision")
            after = self._after(namespace, held, ask)
            if after == held:
                return await self._unchanged(namespace, held, held.revision)
            if namespace.rules.mode == "frozen":
                raise problem_of("namespace_frozen")
            others, seq = await self._others(namespace, held, after, waiting)
            entry = correction_entry(
                *(namespace, ask.verb, held, after, others, seq),
                reason=ask.edit.reason,
                actor=ask.actor,
                key=ask.key,
                asked=asked,
            )
            (outcome,) = await self._committer.submit(namespace.partition, [entry])
            if outcome.code in ("applied", "duplicate"):
                return self._receipt(entry, outcome)
            if outcome.code == "stale_rules":
                if waiting.spent_s > LIFT_AFTER_S:
                    await self._fences.lift(namespace.name)
                await self._directory.refresh()
                namespace = await self._directory.namespace(namespace.name)
            elif outcome.code not in ("grant_conflict", "stale_user"):
                raise problem_of(outcome.code, outcome.detail)
            await waiting.pause()

    async def preview(self, namespace: Namespace, grant_id: str, ask: Ask) -> dict[str, Any]:
        """Who would move, and to where; changes nothing."""
        waiting = _Patience()
        held = await self._known(namespace, grant_id, waiting)
        if ask.edit.revision not in (None, held.revision):
            raise RevisionConflict(f"the grant is at revision {held.revision}", field="$.revision")
        after = self._after(namespace, held, ask)
        others, seq = await self._others(namespace, held, after, waiting)
        live = [None if side.voided else side for side in (held, after)]
        moves = plan_moves(namespace, live[0], live[1], others, seq)
        told = await self._would(namespace, held.user, moves) if after != held else []
        return {"status": "dry_run", "grant_id": grant_id, "revision": held.revision, "moves": told}

    async def settle(self, entries: list[Entry], outcomes: list[Outcome], atomic: bool) -> list[Outcome]:
        """Plans grants that came too late for a namespace of the latest by the ledger, and submits them again.

        Those that wait in vain stay `late`: what was applied beside them stands, and is told so.
        """
        waiting = _Patience()
        try:
            while late := [i for i, outcome in enumerate(outcomes) if outcome.code in ("late", "stale_user")]:
                for i in late:
                    waiting.check()
                    entries[i] = await self._late(entries[i], waiting)
                if atomic:
                    outcomes = await self._committer.submit(entries[0].namespace.partition, entries, True)
                    continue
                again = await self._committer.submit(entries[0].namespace.partition, [entries[i] for i in late])
                outcomes = list(outcomes)
                for i, outcome in zip(late, again, strict=True):
                    outcomes[i] = outcome
        except Unavailable:
            pass
        return outcomes

    async def _late(self, entry: Entry, waiting: "_Patience") -> Entry:
        body, namespace = entry.body, entry.namespace
        seq = await self._user_flushed(namespace, body.user, waiting)
        after = Held(
            **{name: getattr(body, name) for name in ("grant_id", "user", "category", "source", "source_id", "action")},
            **{
                name: getattr(body, name)
                for name in ("session_id", "granted_at", "windows", "amount", "revision", "day")
            },
            voided=False,
            seq=_NEWEST,
        )
        cells = cells_of(namespace, None, after)
        others = await self._ledger.others(namespace, body.user, body.grant_id, (*cells[0], *cells[1]))
        moves = plan_moves(namespace, None, after, others, seq)
        return msgspec.structs.replace(entry, windows=moves.windows, labels=moves.labels, moves=f"g{moves.text}")

    async def _known(self, namespace: Namespace, grant_id: str, waiting: "_Patience") -> Held:
        """The grant, once the ledger holds every revision that Redis has counted."""
        while True:
            held = await self._ledger.held(namespace, grant_id)
            kind, revision = (GRANT, 1) if held is None else (CORRECTION, held.revision + 1)
            name = entry_id(kind, namespace.id, grant_id, revision)
            if not await is_counted(self._gatherer, namespace.partition, name):
                if held is None:
                    raise GrantNotFound(f"there is no grant {grant_id!r} in {namespace.name!r}")
                return held
            await waiting.pause()

    async def _user_flushed(self, namespace: Namespace, user: str, waiting: "_Patience") -> int:
        """The seq of the user's last change, once the ledger holds it."""
        p = namespace.partition
        while True:
            seq = int(await self._gatherer.call(("HGET", keys.balances(p, namespace.id) + user, "seq")) or 0)
            if await self._ledger.seq(p) >= seq:
                return seq
            await waiting.pause()

    async def _others(
        self, namespace: Namespace, held: Held, after: Held, waiting: "_Patience"
    ) -> tuple[dict[str, Cell], int]:
        """What the user's other grants come to, and the user's last change by which that is complete."""
        live = [None if side.voided else side for side in (held, after)]
        if not needs_others(namespace, live[0], live[1]):
            return {}, 0
        seq = await self._user_flushed(namespace, held.user, waiting)
        windows, labels = cells_of(namespace, live[0], live[1])
        return await self._ledger.others(namespace, held.user, held.grant_id, ("all", *windows, *labels)), seq

    def _after(self, namespace: Namespace, held: Held, ask: Ask) -> Held:
        if ask.verb == "edit":
            return edited(namespace, held, ask.edit, self._clock())
        if held.quarantined and not ask.admin:
            raise Forbidden("only an admin's key decides about a grant in quarantine")
        return msgspec.structs.replace(held, voided=ask.verb == "void", quarantined=False)

    async def _unchanged(self, namespace: Namespace, held: Held, revision: int) -> CorrectionReceipt:
        """The receipt where nothing is to be done, or was done before."""
        number = namespace.number_or_none(await self._score(namespace, held.user, "all"))
        return CorrectionReceipt(
            *("duplicate", held.grant_id, namespace.name, held.user), number, number, None, None, self._ack, revision
        )

    def _receipt(self, entry: Entry, outcome: Outcome) -> CorrectionReceipt:
        namespace, body = entry.namespace, entry.body
        return CorrectionReceipt(
            *(outcome.code, body.grant_id, namespace.name, body.user),
            namespace.number_or_none(outcome.score),
            namespace.number_or_none(outcome.previous),
            *(outcome.seq, outcome.epoch, self._ack, body.revision),
        )

    async def _would(self, namespace: Namespace, user: str, moves: Moves) -> list[dict[str, Any]]:
        told = []
        for place, how, number in _MOVE.findall(moves.text):
            window = moves.windows[int(place) - 1]
            previous = await self._score(namespace, user, window)
            score = None if how == "x" else int(number) + (previous or 0 if how == "+" else 0)
            told.append(
                {
                    "window": window,
                    "user_id": user,
                    "previous_score": namespace.number_or_none(previous),
                    "score": namespace.number_or_none(score),
                    "previous_rank": await self._rank(namespace, window, previous, previous),
                    "rank": await self._rank(namespace, window, score, previous),
                }
            )
        return told

    async def _score(self, namespace: Namespace, user: str, window: str) -> int | None:
        reply = await self._gatherer.call(standing_call(namespace, user, [window]))
        _, (rank,) = read_standing(reply, namespace.sign)
        return None if rank is None else rank.units

    async def _rank(self, namespace: Namespace, window: str, score: int | None, own: int | None) -> int | None:
        """The competition rank of a score among the others, of whom the user's own score is none."""
        if score is None:
            return None
        board = keys.board(namespace.partition, namespace.id, window)
        better = await self._gatherer.call(("ZCOUNT", board, f"({namespace.sign * score}", "+inf"))
        return int(better) + 1 - int(own is not None and namespace.sign * own > namespace.sign * score)


class _Patience:
    """How long a request waits for the ledger to catch up, or for others to leave a grant alone."""

    def __init__(self) -> None:
        self._until = monotonic() + WAIT_S_MAX

    @property
    def spent_s(self) -> float:
        """For how long it has waited."""
        return monotonic() - self._until + WAIT_S_MAX

    async def pause(self) -> None:
        """Waits a little. StoreUnavailable once that was enough."""
        self.check()
        await asyncio.sleep(_POLL_S)

    def check(self) -> None:
        """StoreUnavailable once that was enough."""
        if monotonic() > self._until:
            raise StoreUnavailable("the ledger has not caught up with this grant or its user; try again")

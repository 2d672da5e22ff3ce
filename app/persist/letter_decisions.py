"""Carries out decisions about dead letters: records them, or takes them off the boards. Each takes one entry.

The row of that entry settles the letter, in the same transaction. Until then the same entry is submitted again, and the
script accepts it once. No written row is changed.
"""

from typing import NamedTuple

import asyncpg
import msgspec

from ..drivers.redis import RedisConnection, RedisRefused
from ..model.cell_ops import CellPlan, cells_of, plan_cells
from ..model.correction import GrantState, state_from_entry
from ..model.entry import LogEntry, PlannedEntry, claims_of
from ..model.entry_kinds import CORRECTION, HEAL, QUARANTINE_VERB, RETRY, kind_of
from ..model.entry_names import decision_id, digest_of, heal_name, retry_name
from ..model.namespace import Namespace
from ..model.ops import CellOps, Hold, unchanged_since
from ..store.ledger_offset import LedgerOffset
from ..store.user_balances import read_plan_base
from .faults import DEAD_LETTER, LEDGER, Faults, WorkUnit
from .ledger_row import unpack
from .ledger_session import LedgerSession
from .other_grants import other_grants_of
from .partition_round import PartitionRound

TO_RETRY, TO_DROP = "retry", "drop"
#: Letters of one pass: each reads its user's grants, and the ledger waits meanwhile.
DECIDED_A_PASS_MAX = 50


class DecidedLetter(NamedTuple):
    """A dead letter with a decision. recorded_at: microseconds; live_delta: live grants that it added."""

    epoch: int
    seq: int
    claimed: LogEntry
    decision: str
    attempts: int
    recorded_at: int
    live_delta: int

    @property
    def quarantined(self) -> bool:
        """Whether it is a grant that moved nothing."""
        return kind_of(self.claimed.kind).is_first and self.live_delta == 0

    @property
    def corrects(self) -> bool:
        """Whether it is a later revision of a grant."""
        kind = kind_of(self.claimed.kind)
        return kind.is_revision and not kind.is_first


async def carry_out(
    session: LedgerSession, link: RedisConnection, p: int, offset: LedgerOffset, faults: Faults
) -> None:
    """Carries out the decisions about a partition's letters for users whose last change the ledger has.

    Decisions end the pause of a ledger with too many letters: somebody has looked, and without its rows no decision is
    ever done. As long as one waits, each pass tries the ledger again; it takes few letters a minute all the same.
    """
    rows = await session.fetch("get_decided_dead_letters", p, faults.names(p, DEAD_LETTER), DECIDED_A_PASS_MAX)
    if rows:
        faults.end_long_pause(WorkUnit(p, LEDGER))
    partition_round = PartitionRound(link, p, offset)
    for row in rows:
        with faults.guard(WorkUnit(p, DEAD_LETTER, f"{row['epoch']}-{row['seq']}")):
            await _carry_out(session, partition_round, _letter(row))


def _letter(row: asyncpg.Record) -> DecidedLetter:
    claimed = unpack(row["entry"])
    return DecidedLetter(
        epoch=row["epoch"],
        seq=row["seq"],
        claimed=claimed,
        decision=row["decision"],
        attempts=row["attempts"],
        recorded_at=row["recorded_at"],
        live_delta=row["live_delta"],
    )


async def _carry_out(session: LedgerSession, partition_round: PartitionRound, letter: DecidedLetter) -> None:
    """Carries out one decision. If the user changed since the ledger's last entry, a later pass does it."""
    namespace_id, user = letter.claimed.namespace_id, letter.claimed.user
    p = partition_round.partition
    version, seq = await read_plan_base(partition_round.link, p, namespace_id, user)
    if version is None or seq > partition_round.offset.seq:
        return
    namespace = Namespace(namespace_id, "", p, version, await session.rules(namespace_id))
    hold = unchanged_since(seq)
    entry = retry_entry(namespace, letter, hold) if letter.decision == TO_RETRY else None
    if entry is None:
        plan, live_delta = await _plan(session, namespace, letter, hold)
        entry = drop_entry(namespace, letter, plan, live_delta)
    (outcome,) = await partition_round.submit([entry])
    if outcome.code not in ("applied", "duplicate", "stale_user", "stale_rules"):
        raise RedisRefused(f"{outcome.code} {outcome.detail or ''}".strip())


def retry_entry(namespace: Namespace, letter: DecidedLetter, hold: Hold) -> PlannedEntry:
    """An entry that moves no number and whose row records the letter. Each attempt has an id of its own."""
    original = letter.epoch, letter.seq, letter.recorded_at
    body = msgspec.structs.replace(letter.claimed, live_delta=0, original=original)
    if letter.quarantined:
        body = msgspec.structs.replace(body, voided=True, verb=QUARANTINE_VERB)
    return PlannedEntry(
        kind=RETRY,
        namespace=namespace,
        body=body,
        id=decision_id(namespace.id, epoch=letter.epoch, seq=letter.seq, attempts=letter.attempts),
        content=digest_of(retry_name(letter.epoch, letter.seq)),
        boards=("all",),
        ops=CellOps(hold=hold),
    )


def drop_entry(namespace: Namespace, letter: DecidedLetter, plan: CellPlan, live_delta: int) -> PlannedEntry:
    """The heal that takes a letter off the boards. Another correction may then claim the revision of a correction, and
    its key."""
    claimed, name = letter.claimed, heal_name(letter.epoch, letter.seq)
    body = msgspec.structs.replace(
        claimed,
        kind=HEAL.name,
        grant_id=name,
        revision=1,
        entry_amount=0 if letter.corrects else -claimed.entry_amount,
        live_delta=live_delta,
        meta=None,
        new_amount=None,
        voided=False,
        verb=None,
        reason=None,
        idempotency_key=None,
        request_digest=None,
        batch=None,
    )
    return PlannedEntry(
        kind=HEAL,
        namespace=namespace,
        body=body,
        id=decision_id(namespace.id, epoch=letter.epoch, seq=letter.seq, attempts=letter.attempts),
        content=digest_of(name),
        boards=plan.boards or ("all",),
        labels=plan.labels,
        ops=plan.ops,
        release=claims_of(claimed, letter.epoch, letter.seq) if letter.corrects else b"",
    )


async def _plan(
    session: LedgerSession, namespace: Namespace, letter: DecidedLetter, hold: Hold
) -> tuple[CellPlan, int]:
    """The plan without the letter, and its live delta. A dropped grant is gone; after a dropped correction the grant is
    as it was before. If a later correction counts, recorded or a letter itself, nothing moves."""
    claimed = letter.claimed
    is_live = not (letter.quarantined or claimed.voided)
    before = state_from_entry(claimed, letter.seq) if is_live else None
    after: GrantState | None = None
    if letter.corrects:
        others_by_revision = await _other_revisions(session, namespace, letter)
        last = max(others_by_revision, default=0)
        after = others_by_revision.get(last)
        if last > claimed.revision:
            before = after = None
    boards, labels = cells_of(namespace, before, after)
    others = await other_grants_of(
        session,
        namespace,
        claimed.user,
        letter.seq,
        grant_ids=[claimed.grant_id] if letter.corrects else [],
        boards=boards,
        labels=labels,
        without=[letter.seq],
    )
    plan = plan_cells(namespace, before, after, others.cells, hold=hold, sealed=others.sealed)
    return plan, (after is not None) - (before is not None)


async def _other_revisions(
    session: LedgerSession, namespace: Namespace, letter: DecidedLetter
) -> dict[int, GrantState | None]:
    """The states of a correction's grant by revision: the last recorded one, and those of other open letters. None:
    voided."""
    claimed, first = letter.claimed, letter.seq
    states: dict[int, GrantState | None] = {}
    for row in await session.fetch("get_grants", namespace.id, [claimed.grant_id]):
        states[row["revision"]], first = None if row["voided"] else _state_from_row(row), row["first_seq"]
    for row in await session.fetch("find_open_dead_letters", namespace.partition, claimed.grant_id):
        other = None if row["seq"] == letter.seq else _corrections_of(row["entry"], claimed)
        if other is not None:
            states[other.revision] = None if other.voided else state_from_entry(other, first)
    return states


def _corrections_of(packed: bytes, claimed: LogEntry) -> LogEntry | None:
    """The entry, if it is a correction of the same grant."""
    try:
        other = unpack(packed)
    except msgspec.DecodeError:
        return None
    same = (CORRECTION.name, claimed.namespace_id, claimed.grant_id)
    return other if (other.kind, other.namespace_id, other.grant_id) == same else None


def _state_from_row(row: asyncpg.Record) -> GrantState:
    names = ("grant_id", "user", "revision", "amount", "category", "source", "source_id", "action", "session_id")
    day = None if row["day"] is None else row["day"].isoformat()
    return GrantState(
        **{name: row[name] for name in (*names, "granted_at", "voided", "opening")},
        windows=tuple(row["windows"]),
        day=day,
        seq=row["first_seq"],
    )

"""What operators decided about dead letters: recorded after all, or taken off the boards. One entry each.

A letter is settled by the row of that entry, in its transaction; until then the same entry is submitted again, and the
script takes it once. Nothing that was written is changed.
"""

from hashlib import blake2b
from typing import NamedTuple

import asyncpg
import msgspec

from ..drivers.redis import RedisConnection, RedisRefused
from ..model.cell_ops import CellOps, cells_of, plan_ops
from ..model.correction import GrantState, state_from_entry
from ..model.entry import CORRECTION, GRANT, HEAL, QUARANTINE, LogEntry, PlannedEntry, entry_id, freed_by
from ..model.namespace import Namespace
from ..store import apply, fields, keys
from ..store.partitions import read_head
from .faults import DEAD_LETTER, Faults, WorkUnit
from .ledger_row import unpack
from .ledger_session import LedgerOffset, LedgerSession
from .other_grants import other_grants_of

RETRY, DROP = "retry", "drop"
#: Letters that are looked at in a pass: each costs its user's grants, and the ledger waits meanwhile.
DECIDED_A_PASS_MAX = 50


class DecidedLetter(NamedTuple):
    """A dead letter about which something was decided. recorded_at: microseconds; weight: live grants that it added."""

    epoch: int
    seq: int
    claimed: LogEntry
    decision: str
    attempts: int
    recorded_at: int
    weight: int

    @property
    def quarantined(self) -> bool:
        """Whether it is a grant that moved nothing."""
        return self.claimed.kind == GRANT and self.weight == 0


async def carry_out(
    session: LedgerSession, link: RedisConnection, p: int, offset: LedgerOffset, faults: Faults
) -> None:
    """Does what was decided about a partition's letters, as far as the ledger holds their users' last changes."""
    rows = await session.fetch("get_decided_dead_letters", p, faults.names(p, DEAD_LETTER), DECIDED_A_PASS_MAX)
    for row in rows:
        with faults.guard(WorkUnit(p, DEAD_LETTER, f"{row['epoch']}-{row['seq']}")):
            await _carry_out(session, link, p, offset, _letter(row))


def _letter(row: asyncpg.Record) -> DecidedLetter:
    claimed = unpack(row["entry"])
    return DecidedLetter(
        row["epoch"], row["seq"], claimed, row["decision"], row["attempts"], row["recorded_at"], row["live_delta"]
    )


async def _carry_out(
    session: LedgerSession, link: RedisConnection, p: int, offset: LedgerOffset, letter: DecidedLetter
) -> None:
    """Where the user has changed since the ledger's last entry, it is for a later pass."""
    namespace_id, user = letter.claimed.namespace_id, letter.claimed.user
    calls = (("HGET", keys.rules(p), namespace_id), ("HGET", keys.balances(p, namespace_id) + user, fields.SEQ))
    version, seq = await link.run(calls)
    for reply in (version, seq):
        if isinstance(reply, Exception):
            raise RedisRefused(str(reply))
    if version is None or int(seq or 0) > offset.seq:
        return
    namespace = Namespace(namespace_id, "", p, int(version), await session.rules(namespace_id))
    hold = f"u={int(seq or 0)}"
    entry = retry_entry(namespace, letter, hold) if letter.decision == RETRY else None
    if entry is None:
        ops, weight = await _plan(session, namespace, letter, hold)
        entry = drop_entry(namespace, letter, ops, weight)
    head = await read_head(link, p)
    head.known = (offset.epoch, offset.seq, offset.digest)
    (reply,) = await link.run([apply.pack(p, [entry], head)])
    (outcome,) = apply.read(reply)
    if outcome.code not in ("applied", "duplicate", "stale_user", "stale_rules"):
        raise RedisRefused(f"{outcome.code} {outcome.detail or ''}".strip())


def retry_entry(namespace: Namespace, letter: DecidedLetter, hold: str) -> PlannedEntry:
    """An entry that moves no number and whose row is what the letter claimed. Each attempt counts once."""
    name = f"retry:{letter.epoch}-{letter.seq}"
    body = msgspec.structs.replace(letter.claimed, weight=0, original=(letter.epoch, letter.seq, letter.recorded_at))
    if letter.quarantined:
        body = msgspec.structs.replace(body, voided=True, verb=QUARANTINE)
    return PlannedEntry(
        namespace,
        body,
        id=entry_id(DEAD_LETTER, namespace.id, name, letter.attempts + 1),
        content=blake2b(name.encode(), digest_size=16).digest(),
        boards=("all",),
        ops=f"-{hold}",
    )


def drop_entry(namespace: Namespace, letter: DecidedLetter, ops: CellOps, weight: int) -> PlannedEntry:
    """The heal that takes a letter off the boards. Its id is one for all that is decided, so a letter that is being
    recorded cannot be taken off at the same time. The revision of a correction, and its key, are free for another."""
    claimed, name = letter.claimed, f"heal:{letter.epoch}-{letter.seq}"
    body = msgspec.structs.replace(
        claimed,
        kind=HEAL,
        grant_id=name,
        revision=1,
        amount=-claimed.amount if claimed.kind == GRANT else 0,
        weight=weight,
        meta=None,
        value=None,
        voided=False,
        verb=None,
        reason=None,
        key=None,
        asked=None,
        batch=None,
    )
    return PlannedEntry(
        namespace,
        body,
        id=entry_id(DEAD_LETTER, namespace.id, f"retry:{letter.epoch}-{letter.seq}", letter.attempts + 1),
        content=blake2b(name.encode(), digest_size=16).digest(),
        boards=ops.boards or ("all",),
        labels=ops.labels,
        ops="t" + ops.text,
        freed=freed_by(claimed, letter.epoch, letter.seq) if claimed.kind == CORRECTION else b"",
    )


async def _plan(session: LedgerSession, namespace: Namespace, letter: DecidedLetter, hold: str) -> tuple[CellOps, int]:
    """What becomes of each number without the letter, and of the count of live grants: a grant is gone, a correction's
    grant is as it was before. Nothing moves where a later correction counts, recorded or a letter itself."""
    claimed = letter.claimed
    is_live = not (letter.quarantined or claimed.voided)
    before = _claimed(claimed, letter.seq) if is_live else None
    after: GrantState | None = None
    if claimed.kind == CORRECTION:
        others_by_revision = await _other_revisions(session, namespace, letter)
        last = max(others_by_revision, default=0)
        after = others_by_revision.get(last)
        if last > claimed.revision:
            before = after = None
    boards, labels = cells_of(namespace, before, after)
    own = [claimed.grant_id] if claimed.kind == CORRECTION else []
    others = await other_grants_of(session, namespace, claimed.user, letter.seq, own, boards, labels, [letter.seq])
    ops = plan_ops(namespace, before, after, others.cells, hold, kept=others.kept)
    return ops, (after is not None) - (before is not None)


async def _other_revisions(
    session: LedgerSession, namespace: Namespace, letter: DecidedLetter
) -> dict[int, GrantState | None]:
    """The grant of a correction as its last recorded revision and open letters but this one left it; None: voided."""
    claimed, first = letter.claimed, letter.seq
    found: dict[int, GrantState | None] = {}
    for row in await session.fetch("get_grants", namespace.id, [claimed.grant_id]):
        found[row["revision"]], first = None if row["voided"] else _held(row), row["first_seq"]
    for row in await session.fetch("find_open_dead_letters", namespace.partition, claimed.grant_id):
        other = None if row["seq"] == letter.seq else _corrections_of(row["entry"], claimed)
        if other is not None:
            found[other.revision] = None if other.voided else _claimed(other, first)
    return found


def _corrections_of(packed: bytes, claimed: LogEntry) -> LogEntry | None:
    """An entry, if it is a correction of the same grant."""
    try:
        other = unpack(packed)
    except msgspec.DecodeError:
        return None
    same = (CORRECTION, claimed.namespace_id, claimed.grant_id)
    return other if (other.kind, other.namespace_id, other.grant_id) == same else None


def _held(row: asyncpg.Record) -> GrantState:
    names = ("grant_id", "user", "revision", "amount", "category", "source", "source_id", "action", "session_id")
    day = None if row["day"] is None else row["day"].isoformat()
    return GrantState(
        **{name: row[name] for name in (*names, "granted_at", "voided")},
        windows=tuple(row["windows"]),
        day=day,
        seq=row["first_seq"],
    )


def _claimed(claimed: LogEntry, seq: int) -> GrantState:
    body = claimed if claimed.kind == GRANT else msgspec.structs.replace(claimed, amount=claimed.value or 0)
    return state_from_entry(body, seq)

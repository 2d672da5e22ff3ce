"""Heals: takes back what counted twice, by one compensating entry for each duplicate that only the ledger recognised.

Until then a duplicate counts as one more grant of its user in plans from the ledger; its heal works like a void.
"""

from collections.abc import Sequence

import msgspec

from ..drivers.redis import RedisConnection, RedisRefused
from ..model.cell_ops import CellPlan, cells_of, plan_cells
from ..model.correction import state_from_entry
from ..model.entry import PlannedEntry
from ..model.entry_kinds import HEAL, Repeat, kind_of
from ..model.entry_names import digest_of, entry_id, heal_name
from ..model.namespace import Namespace
from ..model.ops import AFTER_PREVIOUS, Hold, unchanged_since
from ..store.ledger_offset import LedgerOffset
from ..store.user_balances import read_plan_base
from .faults import HEAL as HEAL_FAILS
from .faults import Faults, WorkUnit, is_lost
from .ledger_session import LedgerSession, UnhealedDuplicate, duplicate_from_row
from .other_grants import other_grants_of
from .partition_round import PartitionRound

#: Heals of one pass: each reads its user's grants, and the ledger waits meanwhile.
HEALS_A_PASS_MAX = 100

# The user, or the rules, changed in between: a later pass plans anew.
_COME_AGAIN = ("stale_user", "stale_rules", "log_full")


async def heal(session: LedgerSession, link: RedisConnection, p: int, offset: LedgerOffset, faults: Faults) -> None:
    """Applies the open heals of a partition, user by user, some in each pass. A heal that fails waits, and others take
    its turn. O(heals × their users' grants)."""
    users: dict[tuple[int, str], list[UnhealedDuplicate]] = {}
    for row in await session.fetch("get_unhealed_duplicates", p, faults.names(p, HEAL_FAILS), HEALS_A_PASS_MAX):
        try:
            duplicate = duplicate_from_row(row)
        except msgspec.DecodeError as error:
            faults.note(_unit(p, epoch=row["epoch"], seq=row["seq"]), error)
            continue
        repeat = kind_of(duplicate.claimed.kind).repeat
        if duplicate.healed_seq is not None:
            await session.close_heal(p, duplicate, duplicate.healed_seq)
        elif repeat is Repeat.HEAL:
            users.setdefault((duplicate.claimed.namespace_id, duplicate.claimed.user), []).append(duplicate)
        elif repeat is Repeat.IGNORE:
            await session.close_heal(p, duplicate, duplicate.seq)
        else:
            # A heal is planned from the ledger's last entry of its user, so it cannot be a duplicate. If it is, that is
            # logged.
            twice = RedisRefused(f"an entry of the kind {duplicate.claimed.kind} came twice")
            faults.note(_unit(p, epoch=duplicate.epoch, seq=duplicate.seq), twice)
    partition_round = PartitionRound(link, p, offset)
    for duplicates in users.values():
        await _try_user(session, partition_round, duplicates, faults)


async def _try_user(
    session: LedgerSession, partition_round: PartitionRound, duplicates: Sequence[UnhealedDuplicate], faults: Faults
) -> None:
    """Heals one user. A failure concerns only this user."""
    units = [_unit(partition_round.partition, epoch=duplicate.epoch, seq=duplicate.seq) for duplicate in duplicates]
    try:
        await _heal_user(session, partition_round, duplicates)
    except Exception as error:
        for unit in units:
            faults.note(unit, error)
        if is_lost(error):
            raise
    else:
        for unit in units:
            faults.clear(unit)


def _unit(p: int, *, epoch: int, seq: int) -> WorkUnit:
    return WorkUnit(p, HEAL_FAILS, f"{epoch}-{seq}")


async def _heal_user(
    session: LedgerSession, partition_round: PartitionRound, duplicates: Sequence[UnhealedDuplicate]
) -> None:
    """Heals one user in one namespace. A user who changed since the ledger's last entry waits for a later pass."""
    namespace_id, user = duplicates[0].claimed.namespace_id, duplicates[0].claimed.user
    p = partition_round.partition
    version, seq = await read_plan_base(partition_round.link, p, namespace_id, user)
    if version is None or seq > partition_round.offset.seq:
        return
    namespace = Namespace(namespace_id, "", p, version, await session.rules(namespace_id))
    entries = []
    for i in range(len(duplicates)):
        hold = AFTER_PREVIOUS if i else unchanged_since(seq)
        entries.append(_entry(namespace, duplicates[i], await _plan(session, namespace, duplicates[: i + 1], hold)))
    for duplicate, outcome in zip(duplicates, await partition_round.submit(entries), strict=True):
        if outcome.code in ("applied", "duplicate") and outcome.seq is not None:
            await session.close_heal(p, duplicate, outcome.seq)
        elif outcome.code not in _COME_AGAIN:
            raise RedisRefused(f"{outcome.code} {outcome.detail or ''}".strip())


async def _plan(
    session: LedgerSession, namespace: Namespace, duplicates: Sequence[UnhealedDuplicate], hold: Hold
) -> CellPlan:
    """The plan that takes back the last of some duplicates, after those before it are taken back."""
    duplicate = duplicates[-1]
    # A duplicate in quarantine moved nothing.
    before = state_from_entry(duplicate.claimed, duplicate.seq) if duplicate.live_delta else None
    boards, labels = cells_of(namespace, before, None)
    others = await other_grants_of(
        session,
        namespace,
        duplicate.claimed.user,
        duplicate.seq,
        grant_ids=[],
        boards=boards,
        labels=labels,
        without=[duplicate.seq for duplicate in duplicates],
    )
    return plan_cells(namespace, before, None, others.cells, hold=hold, sealed=others.sealed)


def _entry(namespace: Namespace, duplicate: UnhealedDuplicate, plan: CellPlan) -> PlannedEntry:
    name, claimed = heal_name(duplicate.epoch, duplicate.seq), duplicate.claimed
    body = msgspec.structs.replace(
        claimed,
        kind=HEAL.name,
        grant_id=name,
        entry_amount=-claimed.entry_amount,
        live_delta=-duplicate.live_delta,
        meta=None,
    )
    return PlannedEntry(
        kind=HEAL,
        namespace=namespace,
        body=body,
        id=entry_id(HEAL, namespace.id, name, 1),
        content=digest_of(f"{name} {body.entry_amount}"),
        boards=plan.boards,
        labels=plan.labels,
        ops=plan.ops,
    )

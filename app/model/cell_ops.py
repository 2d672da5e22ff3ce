"""What a correction does to every cell of its user.

A cell is one number: the user's score on one board, or the balance of one label. A correction's effect on it depends on
the user's other live grants, which the ledger knows. So a plan is valid only while the user does not change.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from .aggregation import Aggregation
from .correction import CorrectionRequest, GrantState
from .entry import LogEntry, PlannedEntry, key_claim
from .entry_kinds import CORRECTION
from .entry_names import digest_of_content, entry_id
from .labels import is_day
from .namespace import Namespace
from .ops import AddToCell, CellOp, CellOps, DeleteCell, Hold, LastGrantedAt, SetCell
from .tie_break import latest_tie_place, tie_place


class Cell(NamedTuple):
    """What a user's other live grants add up to in one cell. They are ordered by granted_at, then seq.

    tie: the tie place of the score that they alone would make (model/tie_break), if the namespace breaks ties by
    granted_at.
    """

    highest: int
    lowest: int
    latest: int
    latest_at: int
    latest_seq: int
    tie: int | None = None

    def line_key(self, aggregation: Aggregation) -> tuple[int, int] | None:
        """The key of the grant whose tie place their score has; None where places are not kept."""
        return None if self.tie is None else aggregation.line_key_of_cell(self, self.tie)


class CellPlan(NamedTuple):
    """What an entry does to cells: its boards and labels, and the ops, which refer to these by number."""

    boards: tuple[str, ...]
    labels: tuple[str, ...]
    ops: CellOps


def cells_of(
    namespace: Namespace, before: GrantState | None, after: GrantState | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The boards (`all` first) and labels in which a grant counts before or after a correction (None: it does not
    count)."""
    sides = [side for side in (before, after) if side is not None]
    boards = dict.fromkeys(board for side in sides for board in side.boards(namespace))
    labels = dict.fromkeys(label for side in sides for label in side.labels)
    return tuple(boards), tuple(labels)


def plan_cells(
    namespace: Namespace,
    before: GrantState | None,
    after: GrantState | None,
    others: Mapping[str, Cell],
    *,
    hold: Hold | None = None,
    loose: bool = False,
    sealed: Collection[str] = (),
) -> CellPlan:
    """The op of each cell when a grant changes. O(cells).

    before, after: the grant, or None if it does not count. others: for each board and label, what the user's other live
    grants add up to. hold: the condition under which `others` are complete. loose: the user may get more grants
    meanwhile, which may raise the last granted_at. sealed: boards that never counted the grant and do not change.
    """
    boards, labels = cells_of(namespace, before, after)
    if not needs_other_grants(namespace, before, after):
        if before is None or after is None:
            return CellPlan(boards, labels, CellOps(hold=hold))
        return CellPlan(boards, labels, _sum_ops(boards, labels, after.amount - before.amount, hold))
    board_ops: list[CellOp] = []
    was_in, is_in = (_cells_counted(namespace, side) for side in (before, after))
    for i, name in enumerate(boards, 1):
        if name not in sealed:
            sides = before if name in was_in else None, after if name in is_in else None
            board_ops.append(_score_op(namespace, i, *sides, others.get(name)))
    label_ops: list[CellOp] = []
    for i, name in enumerate(labels, 1):
        sides = before if name in was_in else None, after if name in is_in else None
        if is_day(name):
            goes = sides[1] is None and name not in others
            label_ops.append(DeleteCell(i) if goes else SetCell(i, 1))
        else:
            label_ops.append(_number_op(namespace, i, *sides, others.get(name)))
    last = _last_granted_at(before, after, others.get("all"), may_rise=loose)
    return CellPlan(boards, labels, CellOps(tuple(board_ops), tuple(label_ops), last, hold))


def _sum_ops(boards: tuple[str, ...], labels: tuple[str, ...], by: int, hold: Hold | None) -> CellOps:
    """The ops of sums, which change in place independently of the user's other grants. Days stay."""
    return CellOps(
        boards=tuple(AddToCell(i, by) for i in range(1, len(boards) + 1)),
        labels=tuple(AddToCell(i, by) for i, name in enumerate(labels, 1) if not is_day(name)),
        hold=hold,
    )


def _last_granted_at(
    before: GrantState | None, after: GrantState | None, others: Cell | None, *, may_rise: bool
) -> LastGrantedAt:
    """What becomes of the user's last granted_at. may_rise: grants unknown to the plan may have raised it."""
    moments = ([] if others is None else [others.latest_at]) + ([] if after is None else [after.granted_at])
    if not moments:
        return LastGrantedAt(None)
    last = max(moments)
    if not may_rise:
        return LastGrantedAt(last)
    if before is None or before.granted_at <= last:
        return LastGrantedAt(last, is_least=True)
    return LastGrantedAt(last, before=before.granted_at)


def _cells_counted(namespace: Namespace, side: GrantState | None) -> frozenset[str]:
    """The cells in which a grant counts. O(cells)."""
    return frozenset() if side is None else frozenset((*side.boards(namespace), *side.labels))


def needs_other_grants(namespace: Namespace, before: GrantState | None, after: GrantState | None) -> bool:
    """Whether the ops depend on the user's other grants. A sum that changes in place does not, unless its tie-break
    place does."""
    if not namespace.aggregation.adds or namespace.by_moment or before is None or after is None:
        return before is not None or after is not None
    return (before.windows, before.labels, before.granted_at) != (after.windows, after.labels, after.granted_at)


def _number_op(
    namespace: Namespace, i: int, before: GrantState | None, after: GrantState | None, others: Cell | None
) -> CellOp:
    """The op of one cell: an amount to add to a sum, or a new number."""
    if after is None and others is None:
        return DeleteCell(i)
    return namespace.aggregation.op(i, before, after, others)


def _score_op(
    namespace: Namespace, i: int, before: GrantState | None, after: GrantState | None, others: Cell | None
) -> CellOp:
    """The op of a board's score, with its tie place if the namespace breaks ties by granted_at."""
    op = _number_op(namespace, i, before, after, others)
    if isinstance(op, DeleteCell) or not namespace.by_moment:
        return op
    return op._replace(tie_place=_tie_place(namespace, after, others))


def _tie_place(namespace: Namespace, after: GrantState | None, others: Cell | None) -> int:
    """The tie place of a score made of a grant and the others."""
    aggregation = namespace.aggregation
    own = None if after is None else aggregation.line_key(after.amount, tie_place(after.granted_at, after.seq))
    return latest_tie_place((own, None if others is None else others.line_key(aggregation)))


def correction_entry(
    namespace: Namespace,
    request: CorrectionRequest,
    before: GrantState,
    after: GrantState,
    others: Mapping[str, Cell],
    *,
    hold: Hold | None = None,
    loose: bool = False,
    request_digest: bytes | None = None,
    digest_key: bytes = b"",
) -> PlannedEntry:
    """The entry that claims the grant's next revision. `after.voided` says whether the grant still counts.

    others, hold, loose: as `plan_cells` takes them. request_digest: None without an Idempotency-Key. digest_key:
    the deployment's.
    """
    plan = plan_cells(namespace, before.live, after.live, others, hold=hold, loose=loose)
    revision, key = before.revision + 1, request.key
    body = LogEntry(
        kind=CORRECTION.name,
        namespace_id=namespace.id,
        user=before.user,
        grant_id=before.grant_id,
        revision=revision,
        entry_amount=0,
        live_delta=int(not after.voided) - int(not before.voided),
        category=after.category,
        source=after.source,
        source_id=after.source_id,
        action=after.action,
        session_id=after.session_id,
        granted_at=after.granted_at,
        windows=after.windows,
        meta=None,
        day=after.day,
        new_amount=after.amount,
        voided=after.voided,
        verb=request.verb,
        reason=request.edit.reason,
        actor=request.actor,
        idempotency_key=key,
        request_digest=request_digest,
        opening=after.opening,
    )
    return PlannedEntry(
        kind=CORRECTION,
        namespace=namespace,
        body=body,
        id=entry_id(CORRECTION, namespace.id, before.grant_id, revision),
        content=digest_of_content((request.verb, after, request.edit.reason, key), digest_key),
        boards=plan.boards,
        labels=plan.labels,
        ops=plan.ops,
        claim=b"" if key is None or request_digest is None else key_claim(namespace.id, key, request_digest),
    )

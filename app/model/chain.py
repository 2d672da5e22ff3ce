"""Plans corrections of one user's grants together: each plan includes the effects of those before it.

If they depend on the user's other grants or on each other, the first entry is valid only after the user's last known
change, and each other one only after the entry before it. So the script applies all of them, or those before the first
that it refuses. A loose plan stays valid if the user gets grants meanwhile: it only adds to sums, and deletes no
number.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from .cell_ops import Cell, cells_of, correction_entry, needs_other_grants
from .correction import (
    CorrectionRequest,
    GrantState,
    IdempotencyRecord,
    apply_correction,
    digest_request,
    revision_by_key,
)
from .entry import PlannedEntry
from .errors import GrantNotFound, Problem, RevisionConflict, problem_of
from .namespace import Namespace
from .ops import AFTER_PREVIOUS, CellOps, Hold, unchanged_since, uncorrected_since
from .tie_break import latest_tie_place, tie_place

#: A cell that has some grant. Nothing else of it is read.
_SOME = Cell(0, 0, 0, 0, 0)


class Step(NamedTuple):
    """One request of a chain: the grant before and after it, or the answer if nothing is to be done.

    earlier_revision: the revision that did the same before, so that nothing is to be done. request_digest: of a request
    with an Idempotency-Key.
    """

    request: CorrectionRequest
    before: GrantState | None = None
    after: GrantState | None = None
    request_digest: bytes | None = None
    earlier_revision: int | None = None
    problem: Problem | None = None

    @property
    def live(self) -> tuple[GrantState | None, GrantState | None]:
        """The grant before and after; None where it does not count."""
        return (
            None if self.before is None else self.before.live,
            None if self.after is None else self.after.live,
        )


def steps_of(
    namespace: Namespace,
    requests: Sequence[CorrectionRequest],
    grants: Mapping[str, GrantState],
    key_records: Mapping[str, Sequence[IdempotencyRecord]],
    now: int,
    zone: str | None,
    digest_key: bytes = b"",
) -> list[Step]:
    """One step for each request. Each starts from the grants as the steps before it leave them.

    key_records: by Idempotency-Key, the corrections made with it. now: microseconds. zone: the user's own.
    digest_key: the deployment's.
    """
    current = dict(grants)
    steps = []
    for request in requests:
        try:
            step = _step(namespace, request, current.get(request.grant_id), key_records, now, zone, digest_key)
        except Problem as problem:
            step = Step(request, problem=problem)
        if step.after is not None:
            current[request.grant_id] = msgspec.structs.replace(step.after, revision=step.after.revision + 1)
        steps.append(step)
    return steps


def _step(
    namespace: Namespace,
    request: CorrectionRequest,
    grant: GrantState | None,
    key_records: Mapping[str, Sequence[IdempotencyRecord]],
    now: int,
    zone: str | None,
    digest_key: bytes,
) -> Step:
    if grant is None:
        raise GrantNotFound(f"there is no grant {request.grant_id!r} in {namespace.name!r}")
    digest = None
    if request.key is not None:
        digest = digest_request(namespace, request, digest_key)
        earlier = revision_by_key(key_records.get(request.key, ()), request.grant_id, digest)
        if earlier is not None:
            return Step(request, grant, earlier_revision=earlier)
    if request.edit.revision not in (None, grant.revision):
        raise RevisionConflict(f"the grant is at revision {grant.revision}", field="$.revision")
    after = apply_correction(namespace, grant, request, now, zone)
    if after == grant:
        return Step(request, grant, earlier_revision=grant.revision)
    if namespace.rules.mode == "frozen":
        raise problem_of("namespace_frozen")
    return Step(request, grant, after, digest)


def changes_of(steps: Sequence[Step]) -> list[Step]:
    """The steps that make an entry."""
    return [step for step in steps if step.after is not None]


def needs_joint_plan(namespace: Namespace, steps: Sequence[Step]) -> bool:
    """Whether these steps depend on the user's other grants, or on each other."""
    changes = changes_of(steps)
    if len({step.request.grant_id for step in changes}) < len(changes):
        return True
    return any(needs_other_grants(namespace, *step.live) for step in changes)


def cells_to_read(namespace: Namespace, steps: Sequence[Step]) -> list[str]:
    """The cells for which the plan needs the user's other grants."""
    cells = {"all": None}
    for step in changes_of(steps):
        boards, labels = cells_of(namespace, *step.live)
        cells |= dict.fromkeys((*boards, *labels))
    return list(cells)


def may_be_loose(namespace: Namespace) -> bool:
    """Whether corrections of a namespace can be planned while their user gets grants. That is so if scores are sums and
    ties do not depend on single grants."""
    return namespace.aggregation.adds and not namespace.by_moment


def is_loose(entries: Sequence[PlannedEntry]) -> bool:
    """Whether entries stay valid if the user gets grants meanwhile: they delete no number, and no chain lowers the last
    granted_at."""
    plans = [entry.ops for entry in entries if isinstance(entry.ops, CellOps)]
    if any(ops.deletes for ops in plans):
        return False
    return len(plans) == 1 or not any(ops.lowers_last for ops in plans)


def entries_of(
    namespace: Namespace,
    steps: Sequence[Step],
    rest: Mapping[str, Cell] | None,
    user_seq: int,
    *,
    loose: bool = False,
    digest_key: bytes = b"",
) -> Iterator[PlannedEntry]:
    """The entries of the steps that change something, in order. O(changes · cells · log changes), mostly.

    rest: for each cell, what the grants that no step changes add up to, complete as of the user's change `user_seq`;
    None if that is not needed. loose: the rest is complete as of `user_seq`, and grants may have come since.
    digest_key: the deployment's.
    """
    cells, hold, next_hold = _Cells(namespace, rest or {}), None, _hold_since(user_seq, loose=loose)
    changes = changes_of(steps)
    for step in reversed(changes):
        cells.put(step.request.grant_id, step.live[0])
    for step in changes:
        assert step.before is not None
        assert step.after is not None
        grant_id, others = step.request.grant_id, dict[str, Cell]()
        if rest is not None:
            hold, next_hold = next_hold, AFTER_PREVIOUS
            boards, labels = cells_of(namespace, *step.live)
            others = cells.others(grant_id, ("all", *boards, *labels))
        yield correction_entry(
            namespace,
            step.request,
            step.before,
            step.after,
            others,
            hold=hold,
            loose=loose,
            request_digest=step.request_digest,
            digest_key=digest_key,
        )
        cells.put(grant_id, step.live[1])


def _hold_since(user_seq: int, *, loose: bool) -> Hold:
    return uncorrected_since(user_seq) if loose else unchanged_since(user_seq)


def hold_since(entry: PlannedEntry, user_seq: int, *, loose: bool = False) -> None:
    """Makes an entry valid after the user's change `user_seq`, because the entry that it follows was in an earlier
    call."""
    if isinstance(entry.ops, CellOps) and entry.ops.hold == AFTER_PREVIOUS:
        entry.ops = entry.ops._replace(hold=_hold_since(user_seq, loose=loose))


class _Cells:
    """What a user's live grants add up to in each cell, while some of them change.

    Each cell has its grants in order. If only sums matter, all cells but `all` have only the number of their grants.
    """

    def __init__(self, namespace: Namespace, rest: Mapping[str, Cell]) -> None:
        self._namespace = namespace
        self._rest = rest
        self._needs_counts_only = may_be_loose(namespace)
        self._grants: dict[str, tuple[GrantState, dict[str, None]]] = {}
        self._counts: dict[str, int] = {}
        self._amounts: dict[str, list[int]] = {}
        self._latest: dict[str, list[_Moment]] = {}
        self._line: dict[str, list[_LineKey]] = {}  # where the line goes by moments

    def put(self, grant_id: str, grant: GrantState | None) -> None:
        """Sets the state of a grant; None: it does not count. O(log grants) a cell, mostly."""
        before = self._grants.pop(grant_id, None)
        if before is not None:
            self._count(before[1], -1)
            for cell in self._ordered(before[1]):
                _remove(self._amounts[cell], before[0].amount)
                _remove(self._latest[cell], _moment(before[0]))
                if (key := self._line_key(before[0])) is not None:
                    _remove(self._line[cell], key)
        if grant is not None:
            where = dict.fromkeys((*grant.boards(self._namespace), *grant.labels))
            self._grants[grant_id] = grant, where
            self._count(where, 1)
            for cell in self._ordered(where):
                insort(self._amounts.setdefault(cell, []), grant.amount)
                insort(self._latest.setdefault(cell, []), _moment(grant))
                if (key := self._line_key(grant)) is not None:
                    insort(self._line.setdefault(cell, []), key)

    def others(self, grant_id: str, cells: Sequence[str]) -> dict[str, Cell]:
        """What all grants but one add up to in some cells, without cells that have no grant. O(1) each."""
        own, where = self._grants.get(grant_id, (None, {}))
        result = {}
        for name in cells:
            excluded = own if name in where else None
            if self._needs_counts_only and name != "all":
                if self._counts.get(name, 0) > (excluded is not None) or name in self._rest:
                    result[name] = self._rest.get(name, _SOME)
                continue
            amounts, latest = self._amounts.get(name, []), self._latest.get(name, [])
            cell = _combined(self._rest.get(name), amounts, latest, excluded)
            if cell is not None:
                result[name] = cell._replace(tie=self._tie(name, excluded)) if self._namespace.by_moment else cell
        return result

    def _count(self, cells: Mapping[str, None], by: int) -> None:
        if self._needs_counts_only:
            for cell in cells:
                self._counts[cell] = self._counts.get(cell, 0) + by

    def _ordered(self, cells: Mapping[str, None]) -> Iterable[str]:
        """Those of the cells that have their grants in order."""
        return ("all",) if self._needs_counts_only else cells

    def _line_key(self, grant: GrantState) -> "_LineKey | None":
        """None also if the namespace does not break ties by granted_at."""
        if not self._namespace.by_moment:
            return None
        return self._namespace.aggregation.line_key(grant.amount, tie_place(grant.granted_at, grant.seq))

    def _tie(self, name: str, own: GrantState | None) -> int:
        """The tie place of a board's score made of all grants but one."""
        keys, rest = self._line.get(name, []), self._rest.get(name)
        without = own is not None and keys[-1:] == [self._line_key(own)]
        last = keys[-2:-1] if without else keys[-1:]
        return latest_tie_place([*last, None if rest is None else rest.line_key(self._namespace.aggregation)])


_Moment = tuple[int, int, int]
_LineKey = tuple[int, int]


def _moment(grant: GrantState) -> _Moment:
    return grant.granted_at, grant.seq, grant.amount


def _remove(ordered: list[Any], value: Any) -> None:
    del ordered[bisect_left(ordered, value)]


def _combined(rest: Cell | None, amounts: list[int], latest: list[_Moment], own: GrantState | None) -> Cell | None:
    """Joins the cell of the rest with the ordered grants here, without one of these."""
    if len(amounts) == (own is not None):
        return rest
    high, low, last = amounts[-1], amounts[0], latest[-1]
    if own is not None:
        high = amounts[-2] if own.amount == high else high
        low = amounts[1] if own.amount == low else low
        last = latest[-2] if _moment(own) == last else last
    at, seq, amount = last
    cell = Cell(high, low, amount, at, seq)
    if rest is None:
        return cell
    newer = cell if (cell.latest_at, cell.latest_seq) > (rest.latest_at, rest.latest_seq) else rest
    return Cell(max(cell.highest, rest.highest), min(cell.lowest, rest.lowest), *newer[2:])

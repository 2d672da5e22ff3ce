"""Corrections of one user's grants planned in one go, one behind the other: each knows what those before it will do.

Where they hang on the user's other grants, or on each other, the first stands on the user's last change and each other
one on the entry right before it: the script takes all, or those up to the first that it refuses. A loose plan lets the
user get grants meanwhile: it adds to sums what is right whatever else is granted, and takes no number away.
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
    request_digest,
    revision_by_key,
)
from .entry import PlannedEntry
from .errors import GrantNotFound, Problem, RevisionConflict, problem_of
from .namespace import Namespace
from .tie_break import latest_place, line_key, tie_place

FOLLOWS = "f="
STRICT = "u="
LOOSE = "g="
#: Of a cell of which it matters only that somebody is in it.
_SOME = Cell(0, 0, 0, 0, 0)


class Step(NamedTuple):
    """What becomes of one ask: the grant before and after it, or what is told instead.

    unchanged: the revision by which it was done already. asked: the digest of an ask with an Idempotency-Key.
    """

    ask: CorrectionRequest
    before: GrantState | None = None
    after: GrantState | None = None
    asked: bytes | None = None
    unchanged: int | None = None
    problem: Problem | None = None

    @property
    def live(self) -> tuple[GrantState | None, GrantState | None]:
        """The grant before and after, where it counts."""
        before, after = (None if side is None or side.voided else side for side in (self.before, self.after))
        return before, after


def steps_of(
    namespace: Namespace,
    asks: Sequence[CorrectionRequest],
    grants: Mapping[str, GrantState],
    keyed: Mapping[str, Sequence[IdempotencyRecord]],
    now: int,
    zone: str | None,
) -> list[Step]:
    """A step an ask, each upon the grants as those before it leave them.

    keyed: what was done with their keys. zone: the user's own.
    """
    current = dict(grants)
    steps = []
    for ask in asks:
        try:
            step = _step(namespace, ask, current.get(ask.grant_id), keyed, now, zone)
        except Problem as problem:
            step = Step(ask, problem=problem)
        if step.after is not None:
            current[ask.grant_id] = msgspec.structs.replace(step.after, revision=step.after.revision + 1)
        steps.append(step)
    return steps


def _step(
    namespace: Namespace,
    ask: CorrectionRequest,
    held: GrantState | None,
    keyed: Mapping[str, Sequence[IdempotencyRecord]],
    now: int,
    zone: str | None,
) -> Step:
    if held is None:
        raise GrantNotFound(f"there is no grant {ask.grant_id!r} in {namespace.name!r}")
    asked = None if ask.key is None else request_digest(namespace, ask)
    if asked is not None and (made := revision_by_key(keyed.get(ask.key or "", ()), ask.grant_id, asked)) is not None:
        return Step(ask, held, unchanged=made)
    if ask.edit.revision not in (None, held.revision):
        raise RevisionConflict(f"the grant is at revision {held.revision}", field="$.revision")
    after = apply_correction(namespace, held, ask, now, zone)
    if after == held:
        return Step(ask, held, unchanged=held.revision)
    if namespace.rules.mode == "frozen":
        raise problem_of("namespace_frozen")
    return Step(ask, held, after, asked)


def changes_of(steps: Sequence[Step]) -> list[Step]:
    """The steps that bring an entry."""
    return [step for step in steps if step.after is not None]


def needs_joint_plan(namespace: Namespace, steps: Sequence[Step]) -> bool:
    """Whether these steps hang on the user's other grants, or on each other."""
    changes = changes_of(steps)
    if len({step.ask.grant_id for step in changes}) < len(changes):
        return True
    return any(needs_other_grants(namespace, *step.live) for step in changes)


def cells_wanted(namespace: Namespace, steps: Sequence[Step]) -> list[str]:
    """Every cell of which the user's other grants are to be known."""
    wanted = {"all": None}
    for step in changes_of(steps):
        windows, labels = cells_of(namespace, *step.live)
        wanted |= dict.fromkeys((*windows, *labels))
    return list(wanted)


def may_be_loose(namespace: Namespace) -> bool:
    """Whether corrections of a namespace can be planned while their user gets grants: where scores are sums, and the
    line does not hang on single grants."""
    return namespace.rules.aggregation == "sum" and not namespace.by_moment


def is_loose(entries: Sequence[PlannedEntry]) -> bool:
    """Whether a loose plan turned out to hold loosely: no number goes, and the last granted_at falls in no chain."""
    lowered = sum("@" in entry.ops for entry in entries)
    return not any("x" in entry.ops for entry in entries) and (lowered == 0 or len(entries) == 1)


def entries_of(
    namespace: Namespace, steps: Sequence[Step], rest: Mapping[str, Cell] | None, user_seq: int, *, loose: bool = False
) -> Iterator[PlannedEntry]:
    """The entries of the steps that change something, in order. O(changes · cells · log changes), mostly.

    rest: what the grants that no step changes make of each cell, complete as of the user's change `user_seq`; None
    where that is not needed. loose: `user_seq` is any seq as of which they are complete; grants may have come since.
    """
    cells, hold, follows = _Cells(namespace, rest or {}), "", f"{LOOSE if loose else STRICT}{user_seq}"
    changes = changes_of(steps)
    for step in reversed(changes):
        cells.put(step.ask.grant_id, step.live[0])
    for step in changes:
        assert step.before is not None
        assert step.after is not None
        if rest is not None:
            hold, follows = follows, FOLLOWS
        windows, labels = cells_of(namespace, *step.live)
        others = {} if rest is None else cells.others(step.ask.grant_id, ("all", *windows, *labels))
        yield correction_entry(namespace, step.ask, step.before, step.after, others, hold, step.asked, loose)
        cells.put(step.ask.grant_id, step.live[1])


def stand_on(entry: PlannedEntry, user_seq: int, *, loose: bool = False) -> None:
    """Lets an entry stand on the user's change `user_seq`, where what it follows went in a call before its own."""
    if entry.ops.endswith(FOLLOWS):
        entry.ops = entry.ops.removesuffix(FOLLOWS) + f"{LOOSE if loose else STRICT}{user_seq}"


class _Cells:
    """What a user's live grants make of each cell, while some change. Each cell holds its grants in order; where
    only a sum matters, a cell beside `all` holds no more than how many there are."""

    def __init__(self, namespace: Namespace, rest: Mapping[str, Cell]) -> None:
        self._namespace = namespace
        self._rest = rest
        self._counts_alone = may_be_loose(namespace)
        self._held: dict[str, tuple[GrantState, dict[str, None]]] = {}
        self._counts: dict[str, int] = {}
        self._amounts: dict[str, list[int]] = {}
        self._latest: dict[str, list[_Moment]] = {}
        self._line: dict[str, list[_LineKey]] = {}  # where the line goes by moments

    def put(self, grant_id: str, held: GrantState | None) -> None:
        """The grant is like this from here on; None: it does not count. O(log grants) a cell, mostly."""
        before = self._held.pop(grant_id, None)
        if before is not None:
            self._count(before[1], -1)
            for cell in self._ordered(before[1]):
                _take_out(self._amounts[cell], before[0].amount)
                _take_out(self._latest[cell], _moment(before[0]))
                if (key := self._line_key(before[0])) is not None:
                    _take_out(self._line[cell], key)
        if held is not None:
            where = dict.fromkeys((*held.boards(self._namespace), *held.labels))
            self._held[grant_id] = held, where
            self._count(where, 1)
            for cell in self._ordered(where):
                insort(self._amounts.setdefault(cell, []), held.amount)
                insort(self._latest.setdefault(cell, []), _moment(held))
                if (key := self._line_key(held)) is not None:
                    insort(self._line.setdefault(cell, []), key)

    def others(self, grant_id: str, cells: Sequence[str]) -> dict[str, Cell]:
        """What all grants but one make of some cells; those without any are left out. O(1) each."""
        own, where = self._held.get(grant_id, (None, {}))
        found = {}
        for name in cells:
            excluded = own if name in where else None
            if self._counts_alone and name != "all":
                if self._counts.get(name, 0) > (excluded is not None) or name in self._rest:
                    found[name] = self._rest.get(name, _SOME)
                continue
            amounts, latest = self._amounts.get(name, []), self._latest.get(name, [])
            cell = _combined(self._rest.get(name), amounts, latest, excluded)
            if cell is not None:
                found[name] = cell._replace(tie=self._tie(name, excluded)) if self._namespace.by_moment else cell
        return found

    def _count(self, cells: Mapping[str, None], by: int) -> None:
        if self._counts_alone:
            for cell in cells:
                self._counts[cell] = self._counts.get(cell, 0) + by

    def _ordered(self, cells: Mapping[str, None]) -> Iterable[str]:
        """Those of the cells that hold their grants in order."""
        return ("all",) if self._counts_alone else cells

    def _line_key(self, held: GrantState) -> "_LineKey | None":
        """None also where the line does not go by moments."""
        if not self._namespace.by_moment:
            return None
        return line_key(self._namespace.counted, held.amount, tie_place(held.granted_at, held.seq))

    def _tie(self, name: str, own: GrantState | None) -> int:
        """The place in line of a score on a board that all grants but one make."""
        keys, rest = self._line.get(name, []), self._rest.get(name)
        without = own is not None and keys[-1:] == [self._line_key(own)]
        last = keys[-2:-1] if without else keys[-1:]
        return latest_place([*last, None if rest is None else rest.line_key(self._namespace.counted)])


_Moment = tuple[int, int, int]
_LineKey = tuple[int, int]


def _moment(held: GrantState) -> _Moment:
    return held.granted_at, held.seq, held.amount


def _take_out(ordered: list[Any], value: Any) -> None:
    del ordered[bisect_left(ordered, value)]


def _combined(rest: Cell | None, amounts: list[int], latest: list[_Moment], own: GrantState | None) -> Cell | None:
    """The cell of the rest and of what stands in order here, without a grant that stands here too."""
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

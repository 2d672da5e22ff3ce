"""What a correction makes of every number of its user.

A number is a cell: the user's score on one board, or the balance of one label. What a correction makes of it depends on
the user's other live grants, which the ledger knows; a plan holds as long as the user has not changed since.
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from .correction import CorrectionRequest, GrantState
from .entry import CORRECTION, LogEntry, PlannedEntry, claim_of, entry_id
from .namespace import Namespace
from .tie_break import latest_place, line_key, tie_digits, tie_place

_pack = msgspec.msgpack.Encoder().encode


class Cell(NamedTuple):
    """What a user's other live grants make of a number. Its order is that of granted_at, then seq.

    tie: the place in line of a score that they alone would make (model/tie_break), where that goes by moments.
    """

    highest: int
    lowest: int
    latest: int
    latest_at: int
    latest_seq: int
    tie: int | None = None

    def line_key(self, how: str) -> tuple[int, int] | None:
        """That of their grant whose place it is, where places are kept."""
        if self.tie is None:
            return None
        return line_key(how, {"highest": self.highest, "lowest": self.lowest}.get(how, self.tie), self.tie)


class CellOps(NamedTuple):
    """What an entry moves: the boards and labels in the order of the places that `text` names."""

    boards: tuple[str, ...]
    labels: tuple[str, ...]
    text: str


def cells_of(
    namespace: Namespace, before: GrantState | None, after: GrantState | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The boards (`all` first) and labels in which a grant counted before or counts afterwards (None: not at all)."""
    sides = [side for side in (before, after) if side is not None]
    boards = dict.fromkeys(board for side in sides for board in side.boards(namespace))
    labels = dict.fromkeys(label for side in sides for label in side.labels)
    return tuple(boards), tuple(labels)


def plan_ops(
    namespace: Namespace,
    before: GrantState | None,
    after: GrantState | None,
    others: Mapping[str, Cell],
    hold: str = "",
    loose: bool = False,
    kept: Collection[str] = (),
) -> CellOps:
    """What becomes of each cell. others: by board, and by label, of the user's other live grants; O(cells).

    kept: boards that stay as they are, where the change hangs on the user's other grants.
    hold: by what `others` are complete, as lua/include/compute.lua reads it. A sum that grows or shrinks in place needs
    no such hold. loose: the user may get grants meanwhile, so that the last granted_at is told as they may raise it.
    """
    boards, labels = cells_of(namespace, before, after)
    if before is None and after is None:
        return CellOps((), (), f"-{hold}")
    if not needs_other_grants(namespace, before, after):
        assert before is not None
        assert after is not None
        by = after.amount - before.amount
        moved = [(place, name) for place, name in enumerate(labels, 1) if not name.startswith("d:")]
        text = [f"w{i}+{by}" for i in range(1, len(boards) + 1)] + [f"l{place}+{by}" for place, _ in moved]
        return CellOps(boards, labels, "".join(text) + hold)
    text = []
    was_in, is_in = (_cells_counted(namespace, side) for side in (before, after))
    for what, names in (("w", boards), ("l", labels)):
        for i, name in enumerate(names, 1):
            if name in kept:
                continue
            was, will = before if name in was_in else None, after if name in is_in else None
            if name.startswith("d:"):
                text.append(f"{what}{i}{'x' if will is None and name not in others else '=1'}")
            else:
                text.append(f"{what}{i}{_op(namespace, was, will, others.get(name))}")
                if what == "w" and namespace.by_moment and text[-1][-1] != "x":
                    text.append(f"~{tie_digits(_place(namespace, will, others.get(name)))}")
    moments = [cell.latest_at for cell in (others.get("all"),) if cell] + ([after.granted_at] if after else [])
    if not loose or not moments:
        text.append(f"a={max(moments)}" if moments else "ax")
    elif before is None or before.granted_at <= max(moments):
        text.append(f"a+{max(moments)}")
    else:
        text.append(f"a={max(moments)}@{before.granted_at}")
    return CellOps(boards, labels, "".join(text) + hold)


def _cells_counted(namespace: Namespace, side: GrantState | None) -> frozenset[str]:
    """The cells in which a grant counts. O(cells)."""
    return frozenset() if side is None else frozenset((*side.boards(namespace), *side.labels))


def needs_other_grants(namespace: Namespace, before: GrantState | None, after: GrantState | None) -> bool:
    """Whether what becomes of the cells hangs on the user's other grants; not where a sum changes in place, unless a
    place in line hangs on them."""
    if namespace.rules.aggregation != "sum" or namespace.by_moment or before is None or after is None:
        return before is not None or after is not None
    return (before.windows, before.labels, before.granted_at) != (after.windows, after.labels, after.granted_at)


def _op(namespace: Namespace, before: GrantState | None, after: GrantState | None, others: Cell | None) -> str:
    """One cell's move: by how much for a sum, else to what; where the latest counts, its time, too
    (`=<number>@<time>`). `x` where nothing is left in the cell."""
    if after is None and others is None:
        return "x"
    if namespace.rules.aggregation == "sum":
        return f"+{(after.amount if after else 0) - (before.amount if before else 0)}"
    if namespace.rules.aggregation == "latest":
        if after is not None and (others is None or (after.granted_at, after.seq) > others[3:5]):
            return f"={after.amount}@{after.granted_at}"
        assert others is not None
        return f"={others.latest}@{others.latest_at}"
    if others is None:
        assert after is not None
        return f"={after.amount}"
    ascending = namespace.rules.order == "asc"
    best = others.lowest if ascending else others.highest
    if after is None:
        return f"={best}"
    return f"={min(best, after.amount) if ascending else max(best, after.amount)}"


def _place(namespace: Namespace, after: GrantState | None, others: Cell | None) -> int:
    """The place in line of a score that a grant and the others make."""
    how = namespace.counted
    own = None if after is None else line_key(how, after.amount, tie_place(after.granted_at, after.seq))
    return latest_place((own, None if others is None else others.line_key(how)))


def correction_entry(
    namespace: Namespace,
    ask: CorrectionRequest,
    before: GrantState,
    after: GrantState,
    others: Mapping[str, Cell],
    hold: str = "",
    asked: bytes | None = None,
    loose: bool = False,
) -> PlannedEntry:
    """The entry that claims the grant's next revision. `after.voided` tells whether it counts from then on.

    hold, loose: as `plan_ops` takes them."""
    live = tuple(None if side.voided else side for side in (before, after))
    ops = plan_ops(namespace, live[0], live[1], others, hold, loose)
    revision = before.revision + 1
    body = LogEntry(
        kind=CORRECTION,
        namespace_id=namespace.id,
        user=before.user,
        grant_id=before.grant_id,
        revision=revision,
        amount=0,
        weight=int(not after.voided) - int(not before.voided),
        category=after.category,
        source=after.source,
        source_id=after.source_id,
        action=after.action,
        session_id=after.session_id,
        granted_at=after.granted_at,
        windows=after.windows,
        meta=None,
        day=after.day,
        value=after.amount,
        voided=after.voided,
        verb=ask.verb,
        reason=ask.edit.reason,
        actor=ask.actor,
        key=ask.key,
        asked=asked,
    )
    return PlannedEntry(
        namespace=namespace,
        body=body,
        id=entry_id(CORRECTION, namespace.id, before.grant_id, revision),
        content=blake2b(_pack((ask.verb, after, ask.edit.reason, ask.key)), digest_size=16).digest(),
        boards=ops.boards,
        labels=ops.labels,
        ops=ops.text,
        claim=b"" if ask.key is None or asked is None else claim_of(namespace.id, ask.key, asked),
    )

"""A user's grants in short, and what a correction's entry does to each number, by name."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from app.model.cell_ops import Cell
from app.model.correction import CorrectionRequest, Edit, GrantState
from app.model.entry import PlannedEntry
from app.model.micros import from_micros
from app.model.namespace import Namespace
from app.model.ops import render_ops
from app.model.tie_break import latest_tie_place, tie_place

DAY_US = 86_400_000_000
_CELL = re.compile(r"([wl])(\d+)(x|[=+]-?\d+(?:@-?\d+)?)(?:~(\d+))?")
_LAST = re.compile(r"a(x|[=+]-?\d+(?:@-?\d+)?)")


def grant(grant_id: str, amount: int, at: int = 0, **more: Any) -> GrantState:
    """A live grant at revision 1 on the `all` board; at: its moment, and its seq unless another is named."""
    fields: dict[str, Any] = {
        **dict.fromkeys(("category", "source", "source_id", "action", "session_id")),
        "user": "otter",
        "revision": 1,
        "windows": ("all",),
        "voided": False,
        "seq": at,
        "granted_at": at,
    }
    return GrantState(grant_id=grant_id, amount=amount, **fields | more)


def edit(grant_id: str, *, actor: str = "admin", key: str | None = None, **changes: Any) -> CorrectionRequest:
    """An edit of a grant. granted_at: microseconds."""
    sent = {name: _sent(name, value) for name, value in changes.items()}
    return CorrectionRequest(grant_id, "edit", Edit(**sent), actor, key)


def _sent(name: str, value: Any) -> Any:
    if name == "granted_at" and value is not None:
        value = from_micros(value)
    return msgspec.Raw(msgspec.json.encode(value)) if name in ("amount", "granted_at") else value


def void(grant_id: str, *, key: str | None = None, **more: Any) -> CorrectionRequest:
    """A void of a grant."""
    return CorrectionRequest(grant_id, "void", Edit(), "admin", key, **more)


def restore(grant_id: str, **more: Any) -> CorrectionRequest:
    """A restore of a grant."""
    return CorrectionRequest(grant_id, "restore", Edit(), "admin", **more)


def cells_made_by(namespace: Namespace, grants: Iterable[GrantState]) -> dict[str, Cell]:
    """What live grants make of each cell, by a look at all of them."""
    by_cell: dict[str, list[GrantState]] = {}
    for one in grants:
        if not one.voided:
            for cell in dict.fromkeys((*one.boards(namespace), *one.labels)):
                by_cell.setdefault(cell, []).append(one)
    return {cell: _cell(namespace, value) for cell, value in by_cell.items()}


def _cell(namespace: Namespace, grants: list[GrantState]) -> Cell:
    amounts = [one.amount for one in grants]
    last = max(grants, key=lambda one: (one.granted_at, one.seq))
    tie = None
    if namespace.by_moment:
        places = (namespace.aggregation.line_key(one.amount, tie_place(one.granted_at, one.seq)) for one in grants)
        tie = latest_tie_place(places)
    return Cell(max(amounts), min(amounts), last.amount, last.granted_at, last.seq, tie)


def moves_of(entry: PlannedEntry) -> dict[str, str]:
    """What an entry does to each board and label, by name: `+3`, `=5`, `=5@20` (a time beside it), `x` (gone). `last`:
    the moment of the last grant; `on`: what the plan stands on. The place in line among equals is left out."""
    text, changes = render_ops(entry.kind, entry.ops).removeprefix(entry.kind.letter), dict[str, str]()
    while (match := _CELL.match(text)) is not None:
        kind, place, what, _ = match.groups()
        changes[(entry.boards if kind == "w" else entry.labels)[int(place) - 1]] = what
        text = text[match.end() :]
    if (match := _LAST.match(text)) is not None:
        changes["last"] = match[1]
        text = text[match.end() :]
    return changes | ({"on": text} if text else {})
